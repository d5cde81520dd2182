"""Separates promptflow's effect on a change between two releases from its dependencies' effect.

Three arms: the old release on its old lock, the old release on a newer lock, the new release. By the product of
ratios, old to new = (old lock to newer lock, the same promptflow) x (old promptflow to new, on like dependencies).
"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.inference.comparison import LEVEL, Effect, Floors, effects
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, percent

OLDER_LOCK, NEWER_LOCK, NEWER_RELEASE = BASELINE, 2, 3
_HEADLINE = "cpu_per_request_ms"
_HEADERS = ("Metric", "Dependencies", "promptflow", "Together")


def shares(paired: PairedRounds, floors: Floors) -> list[tuple[Effect, Effect, Effect]]:
    """Of each metric the paired change by dependencies alone, by promptflow alone, and by both."""
    found = (
        effects(paired, NEWER_LOCK, floors),
        effects(paired, NEWER_RELEASE, floors, baseline=NEWER_LOCK),
        effects(paired, NEWER_RELEASE, floors),
    )
    return list(zip(*found, strict=True))


def divided(found: Sequence[PairedRounds]) -> list[PairedRounds]:
    """The series that have all three arms."""
    return [one for one in found if one.rounds and NEWER_RELEASE in one.arms]


def answer(found: Sequence[PairedRounds], floors: Floors) -> str:
    """How the change of CPU time divides, of each series that has all three arms; empty without one."""
    return "; ".join(
        f"{one.engine} {one.flow}, {row[0].metric.words}: dependencies {_change(row[0])}, promptflow {_change(row[1])}"
        for one in divided(found)
        for row in shares(one, floors)
        if row[0].metric.name == _HEADLINE
    )


def table(paired: PairedRounds, floors: Floors) -> Markdown:
    """One row a metric, with intervals."""
    rows = [[row[0].metric.short_title, *map(_change, row)] for row in shares(paired, floors)]
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


def _change(effect: Effect) -> str:
    interval = effect.interval
    if interval is None:
        return DASH
    middle, low, high = (percent(part) for part in (interval.estimate, interval.low, interval.high))
    return f"{middle} ({low} to {high})"
