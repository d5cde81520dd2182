"""How metrics moved from release to release, from one campaign over releases that follow each other."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.analysis.metrics import METRICS, Metric
from scripts.config.matrix import Suite
from scripts.inference import change_points, lock_diff
from scripts.inference.change_points import Fit, Orders, Step
from scripts.inference.comparison import CONTROL_METRIC, Floors, floor
from scripts.inference.lock_diff import Moved
from scripts.inference.paired_rounds import BASELINE, Series

_FEWEST_RELEASES = 3
TRIALS = 2000  # ways to shuffle; another seed draws those that the false alarms are counted in
_SEEDS = 20, 21


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseFigure:
    """A metric of one release, in the metric's unit: as the model has it, with the ends of its interval."""

    release: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricHistory:
    """One metric over the releases."""

    metric: Metric
    figures: tuple[ReleaseFigure, ...]  # in the order of releases
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseHistory:
    """One scenario over many releases."""

    series: Series
    metrics: tuple[MetricHistory, ...]
    jumps: Mapping[str, list[Moved]]  # of packages that serve a request, by release
    control_steps: tuple[Step, ...]  # of the control arm, which adjusted figures lean on
    false_alarms: float  # share of trials with a step in shuffled data, in any of the metrics

    def steps(self, release: str) -> list[Step]:
        """What changed with a release."""
        return [step for one in self.metrics for step in one.steps if step.release == release]


def newest(found: Iterable[Series], suite: Suite) -> dict[tuple[str, str], Series]:
    """By engine and flow the campaign over releases with the most of them, of several the newest."""
    chosen: dict[tuple[str, str], Series] = {}
    over_releases = [one for one in found if _over_releases(one, suite)]
    for one in sorted(over_releases, key=lambda one: one.rounds[-1].round_id):
        key = (one.engine, one.flow)
        if key not in chosen or len(one.arms) >= len(chosen[key].arms):
            chosen[key] = one
    return chosen


def history(series: Series, floors: Floors, suite: Suite) -> ReleaseHistory:
    """Figures and steps of a campaign over releases, and which packages jumped with these."""
    figures = [
        one for metric in METRICS if "history" in metric.shown_in and (one := change_points.told(series, metric))
    ]
    noise = {one.metric.name: floor(floors, series, one.metric) or 0.0 for one in figures}
    shape = (len(series.rounds), len(series.arms))
    shuffles, others = (change_points.orders(shape, TRIALS, seed) for seed in _SEEDS)
    errors = {one.metric.name: change_points.wide_enough(one, shuffles, len(figures)) for one in figures}
    metrics = []
    for one in figures:
        name = one.metric.name
        model = one.fit()
        steps = change_points.found(one.metric, model, noise[name], len(figures), errors[name])
        metrics.append(
            MetricHistory(metric=one.metric, figures=_figures(series, one.metric, model), steps=tuple(steps))
        )
    return ReleaseHistory(
        series=series,
        metrics=tuple(metrics),
        jumps=lock_diff.jumps(series, suite.watched),
        control_steps=_of_control(series, shuffles),
        false_alarms=change_points.false_alarms(figures, others, errors, noise),
    )


def _of_control(series: Series, shuffles: Orders) -> tuple[Step, ...]:
    control = change_points.told(series, CONTROL_METRIC)
    if control is None:
        return ()
    return tuple(
        change_points.found(CONTROL_METRIC, control.fit(), errors=change_points.wide_enough(control, shuffles))
    )


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


def _figures(series: Series, metric: Metric, model: Fit) -> tuple[ReleaseFigure, ...]:
    """Relative to the first release's median, so that rounds and machine speed are out of them."""
    scale = statistics.median(value for run in series.runs(BASELINE) if (value := run.values[metric.name]) is not None)
    found = []
    for place, release in enumerate(model.releases):
        interval = model.against(place, 0)
        low, middle, high = (scale * math.exp(end) for end in (interval.low, interval.estimate, interval.high))
        found.append(ReleaseFigure(release=release, value=middle, low=low, high=high))
    return tuple(found)
