"""Arithmetic on stored histograms."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.analysis import distribution
from tests.fakes import synthetic_runs


def test_mean_comes_from_the_exact_sum() -> None:
    """The mean uses the exact sum and not the bucket edges."""
    rounded = synthetic_runs.counts([1000, 1000, 3000])
    assert distribution.mean_ms(rounded) == pytest.approx(5 / 3)


@pytest.mark.parametrize(
    ("number", "percent", "carried"),
    [
        (99, 99, False), (100, 99, True), (999, 99.9, False), (1000, 99.9, True), (9999, 99.99, False),
        (10000, 99.99, True), (1, 50, False), (2, 50, True), (19, 95, False), (20, 95, True), (0, 50, False),
    ],
)  # fmt: skip
def test_sample_carries_a_percentile(number: int, percent: float, carried: bool) -> None:
    """A percentile needs a sample with at least one value beyond it."""
    assert distribution.carries(number, percent) is carried


@pytest.mark.parametrize(("percent", "expected"), [(50, 0.1), (95, 0.19), (90, 0.18)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """Of 2, 4, ... 40 values by tens of microseconds the nearest rank is found exactly."""
    values = [10 * n for n in range(1, 21)]
    assert distribution.percentile_ms(synthetic_runs.counts(values), percent) == pytest.approx(expected)


def test_percentile_is_never_below_the_exact_minimum() -> None:
    """A bucket's lower edge is raised to the smallest value that was really seen."""
    one_bucket = synthetic_runs.spread_counts(10, 1000, 1, 1)
    raised = dataclasses.replace(one_bucket, total_us=10070, max_us=1009, min_us=1007)
    assert distribution.percentile_ms(raised, 50) == 1.007


def test_percentile_not_carried_is_none() -> None:
    """99 values do not tell a 99th percentile, and no values tell nothing."""
    assert distribution.percentile_ms(synthetic_runs.counts([5] * 99), 99) is None
    assert distribution.percentile_ms(None, 50) is None
