"""Separates promptflow's effect on a change between two releases from its dependencies' effect.

Three arms: the old release on its old lock, the old release on a newer lock, the new release. By the product of
ratios, old to new = (old lock to newer lock, the same promptflow) x (old promptflow to new, on like dependencies).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import METRICS
from scripts.inference.comparison import LEVEL, Effect, Floors, effects
from scripts.inference.gate_defaults import INSTRUCTIONS
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, percent, quantity

OLDER_LOCK, NEWER_LOCK, NEWER_RELEASE = BASELINE, 2, 3
_HEADLINE = "cpu_per_request_ms"
_HEADERS = ("Metric", "Dependencies", "promptflow", "Together")
_SHARES = (  # what of a change is whose: from one arm to another
    ("Dependencies", OLDER_LOCK, NEWER_LOCK),
    ("promptflow", NEWER_LOCK, NEWER_RELEASE),
    ("Together", OLDER_LOCK, NEWER_RELEASE),
)
_COUNT = next(metric for metric in METRICS if metric.name == INSTRUCTIONS)

CountedChange = Callable[[int, int], Interval | None]
"""The change of the counts from one arm to another, as log ratio; None where their noise is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedShare:
    """What of a change of the counts is whose."""

    share: str  # e.g. "Dependencies"
    arms: tuple[str, str]  # names of what is compared
    counts: tuple[float | None, float | None]  # instructions per request of each, median
    change: Interval | None


def shares(paired: PairedRounds, floors: Floors) -> list[tuple[Effect, ...]]:
    """Of each metric the paired change by dependencies alone, by promptflow alone, and by both."""
    found = [effects(paired, to, floors, baseline=arm) for _, arm, to in _SHARES]
    return list(zip(*found, strict=True))


def divided(found: Sequence[PairedRounds]) -> list[PairedRounds]:
    """The series that have all three arms."""
    return [one for one in found if one.rounds and NEWER_RELEASE in one.arms]


def answer(found: Sequence[PairedRounds], floors: Floors) -> str:
    """How the change of CPU time divides, of each series that has all three arms; empty without one."""
    return "; ".join(
        f"{one.engine} {one.flow}, {row[0].metric.words}: dependencies {_change(row[0].interval)}, "
        f"promptflow {_change(row[1].interval)}"
        for one in divided(found)
        for row in shares(one, floors)
        if row[0].metric.name == _HEADLINE
    )


def table(paired: PairedRounds, floors: Floors) -> Markdown:
    """One row a metric, with intervals."""
    rows = [[row[0].metric.short_title, *(_change(one.interval) for one in row)] for row in shares(paired, floors)]
    return markdown.markdown(_HEADERS, rows)


def render(found: Sequence[PairedRounds], floors: Floors) -> str:
    """A section for every series that has all three arms; empty without one."""
    parts = [
        {
            "heading": f"{one.engine} {one.flow}: whose change it is, "
            f"{one.label(BASELINE)} to {one.label(NEWER_RELEASE)}",
            "table": table(one, floors),
        }
        for one in divided(found)
    ]
    return templates.text("attribution.md.j2", parts=parts, level=f"{LEVEL:.0%}".replace("%", " %"))


def counts(found: Sequence[tuple[PairedRounds, CountedChange]]) -> str:
    """A section for every scenario: instructions of each arm, and whose change of them it is."""
    parts = [
        {"heading": f"{one.engine} {one.flow}: whose instructions they are, counted", "table": _counts(one, change)}
        for one, change in found
    ]
    return templates.text("attribution_counts.md.j2", parts=parts)


def counted_shares(paired: PairedRounds, change: CountedChange) -> list[CountedShare]:
    """Of the counts the change by dependencies alone, and with three arms also by promptflow alone and by both."""
    return [
        CountedShare(
            share=share,
            arms=(paired.label(arm), paired.label(to)),
            counts=(_counted(paired, arm), _counted(paired, to)),
            change=change(arm, to),
        )
        for share, arm, to in _SHARES
        if to in paired.arms
    ]


def _counts(paired: PairedRounds, change: CountedChange) -> Markdown:
    rows = [
        [one.share, *one.arms, " to ".join(quantity(count, _COUNT.unit) for count in one.counts), _change(one.change)]
        for one in counted_shares(paired, change)
    ]
    headers = ("Effect of", "From", "To", "Instructions", "Change")
    return markdown.markdown(headers, rows, labels=3)


def _counted(paired: PairedRounds, arm: int) -> float | None:
    found = [value for run in paired.runs(arm) if (value := run.values[_COUNT.name]) is not None]
    return statistics.median(found) if found else None


def _change(interval: Interval | None) -> str:
    if interval is None:
        return DASH
    middle, low, high = (percent(part) for part in (interval.estimate, interval.low, interval.high))
    return f"{middle} ({low} to {high})"
