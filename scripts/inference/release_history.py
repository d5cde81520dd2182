"""How metrics changed from release to release, from one campaign over consecutive releases."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.analysis.metrics import METRICS, Metric
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.inference import change_points, lock_diff
from scripts.inference.change_points import ChangePoint, Fit, Permutations
from scripts.inference.comparison import COVARIATE_METRIC, Floors, floor
from scripts.inference.lock_diff import VersionChange
from scripts.inference.paired_rounds import BASELINE, PairedRounds

_FEWEST_RELEASES = 3
TRIALS = 2000  # permutations
_SEEDS = 20, 21  # of the permutations for critical values, and of those for the false-positive rate


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseFigure:
    """A metric of one release, in the metric's unit: the model's estimate with the ends of its interval."""

    release: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricHistory:
    """One metric over the releases."""

    metric: Metric
    figures: tuple[ReleaseFigure, ...]  # in the order of releases
    changes: tuple[ChangePoint, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseHistory:
    """One scenario over many releases."""

    paired: PairedRounds
    metrics: tuple[MetricHistory, ...]
    jumps: Mapping[str, list[VersionChange]]  # of packages that serve a request, by release
    covariate_changes: tuple[ChangePoint, ...]  # of the speed covariate, which adjusts the figures
    false_positives: float  # share of permuted campaigns with a change point in any metric

    def changes(self, release: str) -> list[ChangePoint]:
        """What changed with a release."""
        return [change for one in self.metrics for change in one.changes if change.release == release]


def newest(found: Iterable[PairedRounds], suite: Suite) -> dict[tuple[str, str], PairedRounds]:
    """By engine and flow, the campaign over the most releases; the newest of several. Not of those that count work."""
    chosen: dict[tuple[str, str], PairedRounds] = {}
    over_releases = [one for one in found if _over_releases(one, suite) and not _counts_work(one)]
    for one in sorted(over_releases, key=lambda one: one.rounds[-1].round_id):
        key = (one.engine, one.flow)
        if key not in chosen or len(one.arms) >= len(chosen[key].arms):
            chosen[key] = one
    return chosen


def history(paired: PairedRounds, floors: Floors, suite: Suite) -> ReleaseHistory:
    """Figures and change points of a campaign over releases, and incompatible changes of its packages."""
    figures = [
        one for metric in METRICS if "history" in metric.shown_in and (one := change_points.log_matrix(paired, metric))
    ]
    noise = {one.metric.name: floor(floors, paired, one.metric) or 0.0 for one in figures}
    shape = (len(paired.rounds), len(paired.arms))
    permuted, others = (change_points.permutations(shape, TRIALS, seed) for seed in _SEEDS)
    critical = {one.metric.name: change_points.critical_value(one, permuted, len(figures)) for one in figures}
    metrics = []
    for one in figures:
        name = one.metric.name
        model = one.fit()
        changes = change_points.detect(one.metric, model, noise[name], len(figures), critical[name])
        metrics.append(
            MetricHistory(metric=one.metric, figures=_figures(paired, one.metric, model), changes=tuple(changes))
        )
    return ReleaseHistory(
        paired=paired,
        metrics=tuple(metrics),
        jumps=lock_diff.jumps(paired, suite.watched),
        covariate_changes=_of_covariate(paired, permuted),
        false_positives=change_points.false_positives(figures, others, critical, noise),
    )


def _of_covariate(paired: PairedRounds, permuted: Permutations) -> tuple[ChangePoint, ...]:
    covariate = change_points.log_matrix(paired, COVARIATE_METRIC)
    if covariate is None:
        return ()
    critical = change_points.critical_value(covariate, permuted)
    return tuple(change_points.detect(COVARIATE_METRIC, covariate.fit(), critical=critical))


def _over_releases(one: PairedRounds, suite: Suite) -> bool:
    """Whether its arms are consecutive releases: only then does a change belong to one release.

    Candidates are not releases. A release or an engine that left suite.toml has no place on the axis any more.
    """
    engines = [engine for engine in suite.engines if engine.name == one.engine]
    serving = [
        release.version
        for release in suite.releases
        if any(suite.has_engine(release, engine) for engine in engines)
        and suite.why_unsupported(release, one.flow) is None
    ]
    releases = list(one.releases.values())
    if len(releases) < _FEWEST_RELEASES or len(one.rounds) < change_points.FEWEST_ROUNDS or releases[0] not in serving:
        return False
    first = serving.index(releases[0])
    return serving[first : first + len(releases)] == releases


def _counts_work(one: PairedRounds) -> bool:
    return one.rounds[0].runs[BASELINE].record.requested.profile.name == COUNT


def _figures(paired: PairedRounds, metric: Metric, model: Fit) -> tuple[ReleaseFigure, ...]:
    """Relative to the first release's median, so that they contain neither rounds nor machine speed."""
    scale = statistics.median(value for run in paired.runs(BASELINE) if (value := run.values[metric.name]) is not None)
    found = []
    for place, release in enumerate(model.releases):
        interval = model.difference(place, 0)
        low, middle, high = (scale * math.exp(end) for end in (interval.low, interval.estimate, interval.high))
        found.append(ReleaseFigure(release=release, value=middle, low=low, high=high))
    return tuple(found)
