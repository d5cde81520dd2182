"""What differs between two virtualenvs."""

from __future__ import annotations

import dataclasses

from scripts.inference import lock_diff
from scripts.records.schema import RunRecord
from tests.fakes import synthetic_runs


def holding(**distributions: str) -> RunRecord:
    """A run whose virtualenv has these."""
    made = synthetic_runs.record()
    assert made.ran is not None
    return dataclasses.replace(made, ran=dataclasses.replace(made.ran, distributions=distributions))


def test_moved_new_and_gone_are_told_promptflow_first() -> None:
    """Each with its versions, by name; what is the same is left out."""
    before = holding(aiohttp="3.9.5", flask="3.0.3", orjson="3.10.5", promptflow="1.12.0")
    after = holding(aiohttp="3.13.5", flask="3.0.3", jiter="0.14.0", promptflow="1.18.5")
    moved = lock_diff.between(before, after)
    assert lock_diff.told(moved) == (
        "promptflow 1.12.0 to 1.18.5, aiohttp 3.9.5 to 3.13.5, new: jiter 0.14.0, gone: orjson 3.10.5"
    )


def test_equal_environments_differ_in_nothing() -> None:
    """So do runs of which one never had any."""
    same = holding(flask="3.0.3")
    none = dataclasses.replace(same, ran=None)
    assert lock_diff.between(same, same) == lock_diff.between(same, none) == []
    assert lock_diff.told([]) == "nothing"
