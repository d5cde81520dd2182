"""How metrics moved from release to release: panels of the picture and sentences, from one campaign over releases.

Pure; imports `comparison_page`, `headings`, `history`, `metrics`, `pairing`, `steps` and `suite`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from scripts.report import comparison_page, headings, history, steps
from scripts.report.canvas import Picture
from scripts.report.history import Panel, Point
from scripts.report.metrics import METRICS, Metric
from scripts.report.pairing import BASELINE, Series
from scripts.report.steps import Fit, Step
from scripts.suite import Suite

SHOWN = (
    "overhead_p50_ms", "overhead_p99_ms", "cpu_per_request_ms", "memory_end_bytes", "ready_s", "first_answer_ms",
)  # fmt: skip
_FEWEST_RELEASES = 3
_MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Across:
    """One scenario over many releases."""

    series: Series
    panels: tuple[Panel, ...]
    steps: tuple[Step, ...]

    @property
    def about(self) -> str:
        """How it was measured."""
        return comparison_page.about(self.series)

    @property
    def chart(self) -> str:
        """Name of its picture without theme and suffix."""
        return f"history-{self.series.engine}-{self.series.flow}"

    def title(self, matrix: Suite) -> str:
        """The scenario as people know it."""
        return headings.title(matrix, self.series.runs(BASELINE)[0].record.asked)

    def picture(self, matrix: Suite) -> Picture:
        """All releases that have the engine on the axis, with holes and what else changed."""
        engine = matrix.engine(self.series.engine)
        releases = [release for release in matrix.releases if matrix.has_engine(release, engine)]
        holes = {r.version: hole.outcome for r in releases if (hole := matrix.hole(r, self.series.flow))}
        notes = {behaviour.since: behaviour.what for behaviour in matrix.behaviours}
        return history.draw(self.title(matrix), [r.version for r in releases], self.panels, holes, notes)

    @property
    def sentences(self) -> list[str]:
        """What stepped at which release, in the order of releases."""
        order = list(self.series.releases.values())
        found = sorted(self.steps, key=lambda step: (order.index(step.release), step.metric.name))
        return [said(step) for step in found]


def newest(found: Iterable[Series]) -> dict[tuple[str, str], Series]:
    """By engine and flow the campaign with the most releases, of several the newest; candidates are not releases."""
    chosen: dict[tuple[str, str], Series] = {}
    for one in sorted((one for one in found if _over_releases(one)), key=lambda one: one.rounds[-1].round_id):
        key = (one.engine, one.flow)
        if key not in chosen or len(one.arms) >= len(chosen[key].arms):
            chosen[key] = one
    return chosen


def across(series: Series) -> Across:
    """Panels and steps of a campaign over releases."""
    models = {metric: steps.fit(series, metric) for metric in METRICS if metric.name in SHOWN}
    fitted = {metric: model for metric, model in models.items() if model is not None}
    found = {metric: steps.found(metric, model) for metric, model in fitted.items()}
    panels = tuple(_panel(series, metric, model, found[metric]) for metric, model in fitted.items())
    return Across(series=series, panels=panels, steps=tuple(step for some in found.values() for step in some))


def said(step: Step) -> str:
    """One step in words, with its size and interval."""
    interval = step.interval
    verb = "rose" if interval.estimate > 0 else "fell"
    low, high = sorted((abs(math.expm1(interval.low)), abs(math.expm1(interval.high))))
    size = f"{abs(math.expm1(interval.estimate)):.1%} ({low:.1%} to {high:.1%})".replace("%", " %")
    return f"{step.release}: {step.metric.words} {verb} by {size} against {step.before}"


def _over_releases(one: Series) -> bool:
    releases = list(one.releases.values())
    return len(set(releases)) >= _FEWEST_RELEASES and not any("+" in release for release in releases)


def _panel(series: Series, metric: Metric, model: Fit, found: list[Step]) -> Panel:
    """Points relative to the first release's median, so that rounds and machine speed are out of them."""
    values = [value for run in series.runs(BASELINE) if (value := run.values[metric.name]) is not None]
    scale = statistics.median(values) / (_MIB if metric.unit == "bytes" else 1)
    points = []
    for place, release in enumerate(model.releases):
        interval = model.against(place, 0)
        low, middle, high = (scale * math.exp(end) for end in (interval.low, interval.estimate, interval.high))
        points.append(Point(release=release, value=middle, low=low, high=high))
    unit = "MiB" if metric.unit == "bytes" else metric.unit
    stepped = frozenset(step.release for step in found)
    return Panel(title=metric.words, unit=unit, points=tuple(points), steps=stepped)
