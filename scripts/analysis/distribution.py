"""Exact arithmetic on stored histograms: how many, mean, percentiles.

Values are microseconds, results milliseconds.
"""

from __future__ import annotations

import math

import numpy as np

from scripts.records.schema import HistogramCounts


def size(counts: HistogramCounts | None) -> int:
    """How many values were recorded."""
    return int(counts.counts.sum()) if counts else 0


def mean_ms(counts: HistogramCounts | None) -> float | None:
    """The exact mean, from the exact sum; None without values."""
    number = size(counts)
    return counts.total_us / number / 1000 if counts and number else None


def carries(number: int, percent: float) -> bool:
    """Whether a sample is large enough for a percentile: one value in it must lie beyond.

    That asks for 100 values for 99 %, 1000 for 99.9 % and 10000 for 99.99 %.
    """
    return round(number * (1 - percent / 100), 6) >= 1


def percentile_ms(counts: HistogramCounts | None, percent: float) -> float | None:
    """The nearest-rank percentile of the stored values; None when the sample does not carry it.

    A stored value is the lower edge of its bucket, so the result is low by less than a bucket: less than 0.1 % with
    3 significant digits, 0.01 % with 4 (64 us at 1.25 s). It is never below the exact minimum.
    """
    number = size(counts)
    if counts is None or not carries(number, percent):
        return None
    rank = math.ceil(round(number * percent / 100, 6))
    place = int(np.searchsorted(np.cumsum(counts.counts), rank))
    return max(int(counts.values_us[place]), counts.min_us) / 1000
