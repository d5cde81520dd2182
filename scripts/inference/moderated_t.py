"""Moderated t tests: many differences from few repeats, which tell their noise together.

Smyth, "Linear Models and Empirical Bayes Methods", Stat. Appl. Genet. Mol. Biol. 3 (2004). The variance of each
difference is drawn towards that of all, by as much as the variances are alike. So a few repeats decide more than by
themselves, and a difference whose own noise is large keeps it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, polygamma, stdtr

from scripts.inference.intervals import Figures

_SMALLEST = 1e-3  # variance, of which a logarithm is taken
_MOST_FREEDOM = 1e4  # of the common variance: beyond it, it is as good as known
_MOST_STEPS, _PRECISION = 50, 1e-12  # of Newton's method; it needs about six


def p_values(differences: Figures, least: float = 0.0) -> Figures:
    """Two-sided p values of "no difference on average"; one row a difference, one column a repeat, at least two.

    `least`: the variance of a difference of one repeat that chance alone gives; none is taken to be smaller.
    """
    number, own = differences.shape[1], differences.shape[1] - 1
    variances = differences.var(axis=1, ddof=1)
    common, freedom = _common(np.maximum(variances, _SMALLEST), own)
    moderated = np.maximum((freedom * common + own * variances) / (freedom + own), least)
    ratios = np.abs(differences.mean(axis=1)) / np.sqrt(np.maximum(moderated, np.finfo(float).tiny) / number)
    return np.asarray(2 * stdtr(freedom + own, -ratios), dtype=np.float64)


def _common(variances: Figures, own: int) -> tuple[float, float]:
    """The variance that all are drawn towards, and its degrees of freedom; these are 0 with less than two variances."""
    if len(variances) < 2:  # noqa: PLR2004 - their spread is looked at
        return 0.0, 0.0
    logs = np.log(variances) - digamma(own / 2) + math.log(own / 2)
    spread = float(logs.var(ddof=1) - polygamma(1, own / 2))
    if spread <= polygamma(1, _MOST_FREEDOM / 2):
        return float(np.exp(logs.mean())), _MOST_FREEDOM
    half = _inverse_trigamma(spread)
    return float(np.exp(logs.mean() + digamma(half) - math.log(half))), 2 * half


def _inverse_trigamma(value: float) -> float:
    """By Newton's method on the reciprocal, which is convex: from below, it cannot overshoot (Smyth, appendix).

    `scipy.optimize` takes half a second to import.
    """
    found = 0.5 + 1 / value
    for _ in range(_MOST_STEPS):
        trigamma = float(polygamma(1, found))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, found))
        found += step
        if abs(step) < _PRECISION * found:
            break
    return found
