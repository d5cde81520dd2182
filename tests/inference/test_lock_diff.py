"""What differs between two virtualenvs, and where packages that serve a request jumped."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.inference import lock_diff, paired_rounds
from scripts.inference.lock_diff import VersionChange
from scripts.inference.paired_rounds import PairedRounds
from scripts.records.schema import RunRecord
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign


def holding(**distributions: str) -> RunRecord:
    """A run whose virtualenv has these."""
    made = synthetic_runs.record()
    assert made.observed is not None
    return dataclasses.replace(made, observed=dataclasses.replace(made.observed, distributions=distributions))


def test_moved_new_and_gone_are_listed_promptflow_first() -> None:
    """Each with its versions, by name; what is the same is left out."""
    before = holding(aiohttp="3.9.5", flask="3.0.3", orjson="3.10.5", promptflow="1.12.0")
    after = holding(aiohttp="3.13.5", flask="3.0.3", jiter="0.14.0", promptflow="1.18.5")
    moved = lock_diff.between(before, after)
    assert lock_diff.text(moved) == (
        "promptflow 1.12.0 to 1.18.5, aiohttp 3.9.5 to 3.13.5, new: jiter 0.14.0, gone: orjson 3.10.5"
    )


def test_equal_environments_differ_in_nothing() -> None:
    """So do runs of which one never had any."""
    same = holding(flask="3.0.3")
    none = dataclasses.replace(same, observed=None)
    assert lock_diff.between(same, same) == lock_diff.between(same, none) == []
    assert lock_diff.text([]) == "nothing"


@pytest.mark.parametrize(
    ("before", "after", "jump"),
    [
        ("1.10.0", "1.11.3", False),
        ("1.10.0", "2.0", True),
        ("0.110.0", "0.110.3", False),
        ("0.110.0", "0.111.0", True),
        ("0.0.3", "0.0.4", True),
        ("2024.1", "2025.1", True),
        ("20.1.0", "22.0.0", True),
        ("3.0.0", "2.9", True),
        (None, "1.0", True),
        ("1.0", None, True),
        ("1.0", "1.1.dev", False),
        ("not a version", "1.0", True),
    ],
)
def test_jump(before: str | None, after: str | None, *, jump: bool) -> None:
    """The first number that is not 0 decides, and what came or went has jumped."""
    assert lock_diff.is_jump(VersionChange(name="x", before=before, after=after)) == jump


def over_releases(*installed: dict[str, str]) -> PairedRounds:
    """A campaign whose releases had these distributions."""
    names = [f"1.1{number}.0" for number in range(len(installed))]
    runs = []
    for run in campaign(names, 4):
        observed = run.record.observed
        assert observed is not None
        distributions = installed[names.index(run.record.requested.release)]
        record = dataclasses.replace(run.record, observed=dataclasses.replace(observed, distributions=distributions))
        runs.append(dataclasses.replace(run, record=record))
    (paired,) = paired_rounds.pair(runs)
    return paired


def test_only_what_is_watched() -> None:
    """Each release is held against the one before, by the watched distributions alone."""
    paired = over_releases(
        {"fastapi": "0.110.0", "numpy": "1.0"}, {"fastapi": "0.110.1", "numpy": "2.0"}, {"fastapi": "0.111.0"}
    )
    found = lock_diff.jumps(paired, ["fastapi"])
    assert found == {"1.12.0": [VersionChange(name="fastapi", before="0.110.1", after="0.111.0")]}
