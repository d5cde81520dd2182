"""What a count says of a request: its steady work, its growth with every request served, and collections apart.

Garbage collections are told apart: a full one is the work of several requests in one, and small ones come when they
will. Where the symbols of the Python tell their work, it is no steady work; else the median window holds no full one.
What is left of a window with a full one is steady work as any other's: in 18 counts (results/runs/count) it is 0.01 %
off the others on average. So no window is left out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from scripts.records.schema import CountedWindow, Counts

_FEWEST = 5  # windows that a line can be laid through
_TREND_P = 0.01  # from which on windows have no trend: one count in a hundred shows a false one


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """A line through the windows."""

    growth: float  # instructions a request, with every request served; 0: no trend
    scatter: float  # median absolute distance of a window to the line, as a share of the median window


def instructions_per_request(counts: Counts) -> float | None:
    """Of the median window, without garbage collections where they are known; None without a window."""
    return _median(counts, _steady_work)


def system_calls_per_request(counts: Counts) -> float | None:
    """Of the median window; None without one."""
    return _median(counts, lambda window: window.system_calls / window.requests)


def trend(counts: Counts) -> Trend | None:
    """The Theil-Sen line through the windows; None with too few of them.

    Its slope is the median of those of all pairs (Sen, "Estimates of the regression coefficient based on Kendall's
    tau", Journal of the American Statistical Association 63, 1968), so single windows do not move it. `scipy.stats` has
    it, too, and takes a second to import in every process that reads records.
    """
    served, work = map(np.array, _points(counts))
    if len(served) < _FEWEST:
        return None
    earlier, later = np.triu_indices(len(served), 1)
    rises = work[later] - work[earlier]
    slope = float(np.median(rises / (served[later] - served[earlier])))
    distances = np.abs(work - np.median(work) - slope * (served - np.median(served)))
    return Trend(
        growth=slope if _chance_of_trend(work, rises) < _TREND_P else 0.0,
        scatter=float(np.median(distances) / np.median(work)),
    )


def _chance_of_trend(work: NDArray[np.float64], rises: NDArray[np.float64]) -> float:
    """The p-value of the Mann-Kendall test: the chance of as many rises, or falls, without a trend.

    The normal approximation with ties and the correction for continuity (Kendall, "Rank Correlation Methods", 1975,
    chapter 4).
    """
    more = abs(float(np.sign(rises).sum()))
    alike = np.unique(work, return_counts=True)[1]
    variance = _kendall(len(work)) - sum(map(_kendall, alike.tolist()))
    return float(2 * ndtr(-(more - 1) / math.sqrt(variance))) if more else 1.0


def _kendall(number: int) -> float:
    """The variance of rises less falls between so many values in random order."""
    return number * (number - 1) * (2 * number + 5) / 18


def growth(counts: Counts) -> float | None:
    """Instructions by which a request grows with every request served; None with too few windows."""
    found = trend(counts)
    return found.growth if found else None


def full_collection_instructions(counts: Counts) -> float | None:
    """Of one full garbage collection; None where no window has one, or the Python has no symbols."""
    usual = [window.collection_instructions or 0 for window in counts.windows if window.full_collections == 0]
    found = [
        ((window.collection_instructions or 0) - (statistics.median(usual) if usual else 0)) / window.full_collections
        for window in counts.windows
        if window.full_collections
    ]
    return statistics.median(found) if found else None


def extra_instructions_per_request(counts: Counts) -> float | None:
    """What all windows have beyond the steady work, for each request: garbage collections, and single windows."""
    usual, requests = instructions_per_request(counts), sum(window.requests for window in counts.windows)
    if usual is None or not requests:
        return None
    return sum(window.instructions for window in counts.windows) / requests - usual


def _median(counts: Counts, value: Callable[[CountedWindow], float]) -> float | None:
    found = [value(window) for window in counts.windows if window.requests]
    return statistics.median(found) if found else None


def _steady_work(window: CountedWindow) -> float:
    """Instructions a request."""
    return (window.instructions - (window.collection_instructions or 0)) / window.requests


def _points(counts: Counts) -> tuple[list[float], list[float]]:
    """Requests served by the middle of each window, and its steady work."""
    served: list[float] = []
    work: list[float] = []
    before = counts.warm_up_requests
    for window in counts.windows:
        if window.requests:
            served.append(before + window.requests / 2)
            work.append(_steady_work(window))
        before += window.requests
    return served, work
