"""What the benchmark of several load processes makes of a run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scripts.config.errors import SuiteError
from scripts.selftest import load_limit
from scripts.selftest.suite_cost import Figure
from tests.fakes import synthetic_runs
from tests.fakes.system import FakeSystem


def test_valid_run_shows_rate_lag_and_load() -> None:
    """The limit is on the lag of the worst process, and only for the number of users that is wanted."""
    run = synthetic_runs.run(synthetic_runs.record(release="mock"))
    found = load_limit.figure(run, load_limit.WANTED)
    assert found.text.startswith(
        f"{run.values['steady_throughput_rps']:.0f} requests/s, lag p99 3.2 ms, 1.6 of 8 cores"
    )
    assert found.is_met
    assert load_limit.figure(run, load_limit.WANTED * 2).limit is None


def test_invalid_run_misses_the_limit() -> None:
    """A low lag is worth nothing in a run whose books do not balance; the reason is told."""
    run = synthetic_runs.spoilt(synthetic_runs.run(synthetic_runs.record(release="mock")), reasons=("books differ",))
    found = load_limit.figure(run, load_limit.WANTED)
    assert not found.is_met
    assert found.text.endswith("invalid: books differ")


def test_load_that_recorded_nothing_is_an_error(tmp_path: Path) -> None:
    """What the session printed is quoted."""
    with pytest.raises(SuiteError, match="the mock API was not loaded"):
        list(load_limit.rows(FakeSystem(), tmp_path))


def test_the_middle_run_counts_and_an_invalid_one_is_the_worst() -> None:
    """One late run of three misses no limit, two do; all three are told."""
    fast, slow, invalid = (Figure(text=text, value=value) for text, value in (("5", 5.0), ("9", 9.0), ("no", math.inf)))
    assert load_limit.middle([invalid, slow, fast]) == Figure(text="5; 9; no", value=9.0)
    assert load_limit.middle([invalid, slow, invalid]).value == math.inf
    assert load_limit.middle([fast]) is fast
