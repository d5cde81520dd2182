"""Failed requests, compared exactly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from scripts.inference import failure_counts
from scripts.inference.failure_counts import FailureCounts
from scripts.records.schema import Failure
from tests.fakes.synthetic_runs import campaign

NONE = FailureCounts(failed=0, requests=8000)


def some(failed: int) -> FailureCounts:
    """As many requests, some of which failed."""
    return FailureCounts(failed=failed, requests=8000)


@pytest.mark.parametrize(("base", "ours"), [(0, 1), (0, 8), (5, 9), (9, 5)])
def test_p_value_is_fishers(base: int, ours: int) -> None:
    """One-sided, as scipy's exact test has it."""
    table = np.array([[ours, 8000 - ours], [base, 8000 - base]])
    assert failure_counts.p_value(some(base), some(ours)) == pytest.approx(
        stats.fisher_exact(table, alternative="greater").pvalue
    )


def test_no_failure_has_the_bound_of_its_requests() -> None:
    """The rule of three, at half of the error: about 3.7 / 8000."""
    assert failure_counts.worst_increase(NONE, NONE, 0.05) == pytest.approx(3.69 / 8000, rel=0.01)


def test_visible_is_the_ratio_at_which_enough_requests_fail() -> None:
    """In 80 % of cases at least as many fail as make the test significant."""
    found = failure_counts.visible(NONE, NONE, 0.05 / 8, 0.8)
    assert found is not None
    fewest = next(n for n in range(1, 100) if failure_counts.p_value(NONE, some(n)) < 0.05 / 8)
    assert float(stats.binom.sf(fewest - 1, 8000, found)) == pytest.approx(0.8, abs=0.001)
    assert failure_counts.visible(NONE, FailureCounts(failed=0, requests=2), 1e-9, 0.8) is None


def test_counts_are_of_all_runs() -> None:
    """Of every kind of failure; an arm without a request has no failure either."""
    runs = campaign(("1.12.0",), 2)
    measured = runs[0].record.measurements
    assert measured is not None
    failures = (Failure(kind="status", message="500", count=3), Failure(kind="timeout", message="", count=1))
    load = dataclasses.replace(measured.load, failures=failures, recorded=1000)
    record = dataclasses.replace(runs[0].record, measurements=dataclasses.replace(measured, load=load))
    found = failure_counts.of_runs([dataclasses.replace(one, record=record) for one in runs])
    assert (found.failed, found.requests, found.ratio) == (8, 2000, 0.004)
    assert failure_counts.of_runs([]).ratio == 0.0
