"""How a change, its interval, its threshold and its verdict are written."""

from __future__ import annotations

import math
from collections.abc import Iterable

from scripts.inference.comparison import Effect
from scripts.inference.usable_rounds import LeftOut
from scripts.report.tables.formatting import DASH, Markdown, code, filled, joined, listed, percent


def change(effect: Effect) -> str:
    """The paired change in percent; empty without an interval."""
    return percent(effect.interval.estimate) if effect.interval else ""


def ends(effect: Effect) -> str:
    """Both ends of the interval in percent."""
    return f"{percent(effect.interval.low)} to {percent(effect.interval.high)}" if effect.interval else DASH


def threshold(effect: Effect) -> str:
    """The size that a worsening must exceed, and whether the noise floor sets it."""
    size = f"{abs(math.expm1(effect.metric.worse(effect.threshold))) * 100:.1f} %"
    return f"{size} (noise)" if effect.threshold == effect.floor else size


def verdict(effect: Effect) -> str:
    """The verdict; for an inconclusive one, also the rounds that it needs in all."""
    needed = effect.rounds_needed
    return f"{effect.verdict}: about {needed} rounds needed" if needed else effect.verdict


def rounds(effect: Effect, measured: int) -> str:
    """How many of the measured rounds tell the metric."""
    left_out = sum(one.rounds for one in effect.left_out)
    return f"{measured - left_out} of {measured}" if left_out else str(measured)


def left_out(metrics: Iterable[tuple[str, tuple[LeftOut, ...]]], measured: int) -> list[Markdown]:
    """A sentence for each way in which metrics miss rounds: which metrics, how many rounds, and why.

    `metrics`: their words, and what is left out of them.
    """
    ways: dict[tuple[LeftOut, ...], list[str]] = {}
    for words, why in metrics:
        if why:
            ways.setdefault(why, []).append(words)
    return [
        filled("Left out of {}: {}.", listed(names), joined("; ", [_why(one, measured) for one in why]))
        for why, names in ways.items()
    ]


def _why(one: LeftOut, measured: int) -> Markdown:
    told = filled("{} of {} rounds, because {}", one.rounds, measured, one.reason)
    return filled("{} ({})", told, code(one.example)) if one.example else told
