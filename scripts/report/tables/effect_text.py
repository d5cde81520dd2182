"""How a change, its interval, its threshold and its verdict are written."""

from __future__ import annotations

import math

from scripts.inference.comparison import Effect
from scripts.report.tables.formatting import DASH, percent


def change(effect: Effect) -> str:
    """The paired change in percent; empty without an interval."""
    return percent(effect.interval.estimate) if effect.interval else ""


def ends(effect: Effect) -> str:
    """Both ends of the interval in percent."""
    return f"{percent(effect.interval.low)} to {percent(effect.interval.high)}" if effect.interval else DASH


def threshold(effect: Effect) -> str:
    """The size that a worsening must exceed, and whether the noise floor sets it."""
    worse = -1 if effect.metric.better == "higher" else 1
    size = f"{abs(math.expm1(worse * effect.threshold)) * 100:.1f} %"
    return f"{size} (noise)" if effect.threshold == effect.floor else size


def verdict(effect: Effect) -> str:
    """The verdict; for an inconclusive one, also the rounds that it needs in all."""
    needed = effect.rounds_needed
    return f"{effect.verdict}: about {needed} rounds needed" if needed else effect.verdict


def reason(effect: Effect) -> str:
    """Change, verdict and threshold in one line, for a gate."""
    parts = [change(effect), verdict(effect), f"threshold {threshold(effect)}"]
    return ", ".join(filter(None, parts))
