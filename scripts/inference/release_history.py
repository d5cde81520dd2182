"""How metrics moved from release to release: panels of the picture and sentences, from one campaign over releases.

Pure; imports `comparison`, `comparison_page`, `headings`, `history`, `jumps`, `lock_difference`,
`metrics`, `pairing`, `steps` and `suite`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import headings
from scripts.analysis.metrics import METRICS, Metric
from scripts.config.matrix import Suite
from scripts.inference import change_points, jumps, lock_diff
from scripts.inference.change_points import Fit, Orders, Step
from scripts.inference.comparison import CONTROL_METRIC, Floors, floor
from scripts.inference.lock_diff import Moved
from scripts.inference.paired_rounds import BASELINE, Series
from scripts.report.charts import history_chart
from scripts.report.charts.history_chart import Panel, Point
from scripts.report.charts.svg import Picture
from scripts.report.pages import comparison_page

SHOWN = (
    "overhead_p50_ms", "overhead_p99_ms", "cpu_per_request_ms", "memory_end_bytes", "ready_s", "first_answer_ms",
)  # fmt: skip
_FEWEST_RELEASES = 3
TRIALS = 2000  # ways to shuffle; another seed draws those that the false alarms are counted in
_SEEDS = 20, 21
_MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Across:
    """One scenario over many releases."""

    series: Series
    panels: tuple[Panel, ...]
    steps: tuple[Step, ...]
    jumps: Mapping[str, list[Moved]]  # of packages that serve a request, by release
    behaviours: Mapping[str, str]  # what changed in promptflow, by release
    explained: Mapping[str, str]  # why metrics stepped, as looking into it has shown, by release
    control_steps: tuple[Step, ...]  # of the control arm, which adjusted figures lean on
    false_alarms: float  # share of trials with a step in shuffled data, in any of the metrics

    @property
    def about(self) -> str:
        """How it was measured."""
        return comparison_page.about(self.series)

    @property
    def chart(self) -> str:
        """Name of its picture without theme and suffix."""
        return f"history-{self.series.engine}-{self.series.flow}"

    def title(self, suite: Suite) -> str:
        """The scenario as people know it."""
        return headings.title(suite, self.series.runs(BASELINE)[0].record.asked)

    def picture(self, suite: Suite) -> Picture:
        """All releases that have the engine on the axis, with holes and what else changed."""
        return drawn(suite, self.title(suite), self.series.engine, self.series.flow, self.panels, self.jumps)

    @property
    def jumped(self) -> list[str]:
        """Which packages that serve a request jumped, by release in their order."""
        return [f"{release}: {lock_diff.told(moved)}" for release, moved in self.jumps.items()]

    @property
    def sentences(self) -> list[str]:
        """What stepped, one line a release in the order of releases, and what came with it."""
        return [self._sentence(release) for release in self.series.releases.values() if self._of(release)] + [
            f"**{step.release}**: {said(step)}: CPU time and overhead leave that share out"
            for step in self.control_steps
        ]

    def _of(self, release: str) -> list[Step]:
        return [step for step in self.steps if step.release == release]

    def _sentence(self, release: str) -> str:
        moved = "; ".join(said(step) for step in self._of(release))
        came = [self.behaviours[release]] if release in self.behaviours else []
        came += [lock_diff.told(self.jumps[release])] if release in self.jumps else []
        with_it = f" (with it came: {'; '.join(came)})" if came else ""
        why = f". {self.explained[release]}" if release in self.explained else ""
        return f"**{release}**: against {self._of(release)[0].before} {moved}{with_it}{why}"


def drawn(
    suite: Suite, title: str, engine_name: str, flow: str, panels: Sequence[Panel], jumped: Collection[str] = ()
) -> Picture:
    """Panels over all releases that have the engine, with holes and what else changed."""
    engine = suite.engine(engine_name)
    releases = [release for release in suite.releases if suite.has_engine(release, engine)]
    holes = {r.version: hole.outcome for r in releases if (hole := suite.hole(r, flow))}
    return history_chart.draw(title, [r.version for r in releases], panels, holes, _behaviours(suite), jumped)


def newest(found: Iterable[Series], suite: Suite) -> dict[tuple[str, str], Series]:
    """By engine and flow the campaign over releases with the most of them, of several the newest."""
    chosen: dict[tuple[str, str], Series] = {}
    over_releases = [one for one in found if _over_releases(one, suite)]
    for one in sorted(over_releases, key=lambda one: one.rounds[-1].round_id):
        key = (one.engine, one.flow)
        if key not in chosen or len(one.arms) >= len(chosen[key].arms):
            chosen[key] = one
    return chosen


def across(series: Series, floors: Floors, suite: Suite) -> Across:
    """Panels and steps of a campaign over releases, and what else changed with these."""
    figures = [
        one for metric in METRICS if metric.name in SHOWN and (one := change_points.told(series, metric)) is not None
    ]
    noise = {one.metric.name: floor(floors, series, one.metric) or 0.0 for one in figures}
    shape = (len(series.rounds), len(series.arms))
    shuffles, others = (change_points.orders(shape, TRIALS, seed) for seed in _SEEDS)
    errors = {one.metric.name: change_points.wide_enough(one, shuffles, len(figures)) for one in figures}
    panels, found = [], []
    for one in figures:
        name = one.metric.name
        model = one.fit()
        own = change_points.found(one.metric, model, noise[name], len(figures), errors[name])
        panels.append(_panel(series, one.metric, model, own))
        found += own
    return Across(
        series=series,
        panels=tuple(panels),
        steps=tuple(found),
        jumps=jumps.between_neighbours(series, suite.watched),
        behaviours=_behaviours(suite),
        explained={release.version: release.explained for release in suite.releases if release.explained},
        control_steps=_of_control(series, shuffles),
        false_alarms=change_points.false_alarms(figures, others, errors, noise),
    )


def _behaviours(suite: Suite) -> dict[str, str]:
    return {behaviour.since: behaviour.what for behaviour in suite.behaviours}


def _of_control(series: Series, shuffles: Orders) -> tuple[Step, ...]:
    control = change_points.told(series, CONTROL_METRIC)
    if control is None:
        return ()
    return tuple(
        change_points.found(CONTROL_METRIC, control.fit(), errors=change_points.wide_enough(control, shuffles))
    )


def said(step: Step) -> str:
    """One step in words, with its size and interval."""
    interval = step.interval
    verb = "rose" if interval.estimate > 0 else "fell"
    low, high = sorted((abs(math.expm1(interval.low)), abs(math.expm1(interval.high))))
    size = f"{abs(math.expm1(interval.estimate)):.1%} ({low:.1%} to {high:.1%})".replace("%", " %")
    return f"{step.metric.words} {verb} by {size}"


def _over_releases(one: Series, suite: Suite) -> bool:
    """Whether its arms are releases that follow each other: only then is a step that of the release that it is at.

    Candidates are none, and a release or an engine that left suite.toml has no place on the axis any more.
    """
    engines = [engine for engine in suite.engines if engine.name == one.engine]
    serving = [
        release.version
        for release in suite.releases
        if any(suite.has_engine(release, engine) for engine in engines) and suite.hole(release, one.flow) is None
    ]
    releases = list(one.releases.values())
    if len(releases) < _FEWEST_RELEASES or len(one.rounds) < change_points.FEWEST_ROUNDS or releases[0] not in serving:
        return False
    first = serving.index(releases[0])
    return serving[first : first + len(releases)] == releases


def _panel(series: Series, metric: Metric, model: Fit, found: list[Step]) -> Panel:
    """Points relative to the first release's median, so that rounds and machine speed are out of them."""
    values = [value for run in series.runs(BASELINE) if (value := run.values[metric.name]) is not None]
    scale = statistics.median(values) / shown_scale(metric)
    points = []
    for place, release in enumerate(model.releases):
        interval = model.against(place, 0)
        low, middle, high = (scale * math.exp(end) for end in (interval.low, interval.estimate, interval.high))
        points.append(Point(release=release, value=middle, low=low, high=high))
    stepped = frozenset(step.release for step in found)
    return Panel(title=metric.words, unit=shown_unit(metric), points=tuple(points), steps=stepped)


def shown_unit(metric: Metric) -> str:
    """The unit on an axis."""
    return {"bytes": "MiB", "ratio": ""}.get(metric.unit, metric.unit)


def shown_scale(metric: Metric) -> float:
    """How many of the metric's own unit make one of the axis."""
    return _MIB if metric.unit == "bytes" else 1.0
