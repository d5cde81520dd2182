"""Where packages that serve a request jumped."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.inference import jumps, paired_rounds
from scripts.inference.lock_diff import Moved
from scripts.inference.paired_rounds import Series
from tests.fakes.synthetic_runs import campaign


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
    assert jumps.is_jump(Moved(name="x", before=before, after=after)) == jump


def over_releases(*installed: dict[str, str]) -> Series:
    """A campaign whose releases had these distributions."""
    names = [f"1.1{number}.0" for number in range(len(installed))]
    runs = []
    for run in campaign(names, 4):
        ran = run.record.ran
        assert ran is not None
        distributions = installed[names.index(run.record.asked.release)]
        record = dataclasses.replace(run.record, ran=dataclasses.replace(ran, distributions=distributions))
        runs.append(dataclasses.replace(run, record=record))
    (series,) = paired_rounds.series(runs)
    return series


def test_only_what_is_watched() -> None:
    """Each release is held against the one before, by the watched distributions alone."""
    series = over_releases(
        {"fastapi": "0.110.0", "numpy": "1.0"}, {"fastapi": "0.110.1", "numpy": "2.0"}, {"fastapi": "0.111.0"}
    )
    found = jumps.between_neighbours(series, ["fastapi"])
    assert found == {"1.12.0": [Moved(name="fastapi", before="0.110.1", after="0.111.0")]}
