"""Moderated t tests: few repeats decide more together, and noise is called a difference as seldom as it should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from scripts.inference import moderated_t

ROWS, REPEATS = 60, 4


def noise(seed: int, deviations: float | np.ndarray = 1.0) -> np.ndarray:
    """Differences that are none."""
    return np.random.default_rng(seed).normal(size=(ROWS, REPEATS)) * deviations


@pytest.mark.parametrize("unlike", [0.0, 0.5])
def test_noise(unlike: float) -> None:
    """5 % of differences that are none have a p value below 5 %, also where their variances are not alike."""
    found = []
    for seed in range(100):
        deviations = np.exp(np.random.default_rng(1000 + seed).normal(0, unlike, size=(ROWS, 1)))
        found.append(moderated_t.p_values(noise(seed, deviations)) < 0.05)
    assert np.mean(found) == pytest.approx(0.05, abs=0.01)


def test_together_they_decide_more() -> None:
    """A clear difference has a smaller p value beside others than Student's own."""
    rows = noise(3)
    rows[0] += 8
    assert moderated_t.p_values(rows)[0] < 0.01 * stats.ttest_1samp(rows[0], 0).pvalue


def test_a_single_outlier_is_no_difference() -> None:
    """A burst in one repeat makes the variance of that difference large, and no p value small."""
    rows = noise(4)
    rows[0] = (0.1, 30.0, -0.2, 0.0)
    assert moderated_t.p_values(rows)[0] > 0.05


def test_less_than_chance() -> None:
    """Repeats that are equal by accident are taken to vary as chance lets them."""
    rows = np.full((ROWS, REPEATS), 0.3)
    assert moderated_t.p_values(rows, least=1.0)[0] > 0.5
    assert moderated_t.p_values(rows)[0] < 1e-6


def test_one_difference_alone() -> None:
    """With nothing beside it, it is Student's own test."""
    rows = noise(5)[:1]
    assert moderated_t.p_values(rows)[0] == pytest.approx(stats.ttest_1samp(rows[0], 0).pvalue)


@pytest.mark.parametrize("variances", [1e-2, 0.3, 1.5, 4.0])
def test_the_common_variance_solves_smyths_equation(variances: float) -> None:
    """Trigamma of half the degrees of freedom is the spread of the logarithms beyond that of repeats alone."""
    rows = noise(5, np.exp(np.random.default_rng(6).normal(0, variances, size=(ROWS, 1))))
    logs = np.log(rows.var(axis=1, ddof=1))
    spread = logs.var(ddof=1) - special.polygamma(1, (REPEATS - 1) / 2)
    _, freedom = moderated_t._common(rows.var(axis=1, ddof=1), REPEATS - 1)
    if freedom < 1e4:
        assert special.polygamma(1, freedom / 2) == pytest.approx(spread, rel=1e-9)
    else:
        assert spread < 1e-3
