"""How a change, its interval, its threshold and its verdict are written."""

from __future__ import annotations

import math

from scripts.inference.comparison import Effect
from scripts.report.tables.formatting import DASH, percent


def change(effect: Effect) -> str:
    """The paired change in percent; empty where there is none to tell."""
    return percent(effect.interval.estimate) if effect.interval else ""


def ends(effect: Effect) -> str:
    """Both ends of the interval in percent."""
    return f"{percent(effect.interval.low)} to {percent(effect.interval.high)}" if effect.interval else DASH


def counts_from(effect: Effect) -> str:
    """The size of a worsening from which it counts, and whether noise has set it."""
    worse = -1 if effect.metric.better == "higher" else 1
    size = f"{abs(math.expm1(worse * effect.threshold)) * 100:.1f} %"
    return f"{size} (noise)" if effect.threshold == effect.floor else size


def verdict(effect: Effect) -> str:
    """The verdict, and how many rounds in all an open one needs."""
    needed = effect.rounds_needed
    return f"{effect.verdict}: about {needed} rounds needed" if needed else effect.verdict


def reason(effect: Effect) -> str:
    """All of it in one line, for a gate."""
    told = [change(effect), verdict(effect), f"counts from {counts_from(effect)}"]
    return ", ".join(filter(None, told))
