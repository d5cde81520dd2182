"""How metrics changed from release to release: from one campaign over consecutive releases, or from loaded pairs."""

from __future__ import annotations

import datetime
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.metrics import METRICS, Metric
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.inference import change_points, loaded_pairs, lock_diff
from scripts.inference.change_points import ChangePoint, Fit, Observations, Shuffles
from scripts.inference.comparison import COVARIATE_METRIC, Floors, floor
from scripts.inference.lock_diff import VersionChange
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.records import conditions

_METRICS = tuple(metric for metric in METRICS if "history" in metric.shown_in)
_YEAR = datetime.timedelta(days=365)
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
    differences: tuple[ChangePoint, ...]  # of every release to the one before, whether they changed or not


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseHistory:
    """One scenario over many releases."""

    sources: tuple[PairedRounds, ...]  # one campaign over all releases, or pairs that were loaded at once
    releases: tuple[str, ...]  # in their order
    metrics: tuple[MetricHistory, ...]
    jumps: Mapping[str, list[VersionChange]]  # of packages that serve a request, by release
    covariate_changes: tuple[ChangePoint, ...]  # of the speed covariate, which adjusts the figures
    drift: tuple[ChangePoint, ...]  # of the newest release, since the best earlier one and since a year back
    false_positives: float  # share of shuffled campaigns with a change point or drift in any metric

    def against_before(self, metric: str) -> tuple[ChangePoint, ...]:
        """The difference of each release to the one before, by a metric; none where the history lacks it."""
        return next((one.differences for one in self.metrics if one.metric.name == metric), ())

    @property
    def engine(self) -> str:
        """The engine of all sources."""
        return self.sources[0].engine

    @property
    def flow(self) -> str:
        """The flow of all sources."""
        return self.sources[0].flow

    @property
    def at_once(self) -> bool:
        """Whether it is made of pairs that were loaded at once."""
        return loaded_pairs.loaded_at_once(self.sources[0])

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
    figures = [one for metric in _METRICS if (one := change_points.log_matrix(paired, metric))]
    shape = (len(paired.rounds), len(paired.arms))
    permuted, others = (change_points.permutations(shape, TRIALS, seed) for seed in _SEEDS)
    return _history([paired], figures, (permuted, others), floors, suite, _of_covariate(paired, permuted))


def of_pairs(found: Iterable[PairedRounds], floors: Floors, suite: Suite) -> list[ReleaseHistory]:
    """The same from pairs of releases that were loaded at once, one for each chain of them, newest release first.

    Of one scenario only the pairs under the conditions of the newest one count.
    """
    known = {release.version for release in suite.releases}
    scenarios: dict[tuple[str, str], list[PairedRounds]] = {}
    for one in sorted(found, key=lambda one: one.rounds[-1].round_id if one.rounds else ""):
        if loaded_pairs.loaded_at_once(one) and known.issuperset(one.releases.values()):
            scenarios.setdefault((one.engine, one.flow), []).append(one)
    return [made for pairs in scenarios.values() for made in _of_scenario(pairs, floors, suite)]


def _of_scenario(pairs: Sequence[PairedRounds], floors: Floors, suite: Suite) -> list[ReleaseHistory]:
    conditions = [_conditions(one) for one in pairs]
    chains = loaded_pairs.chains([one for one, found in zip(pairs, conditions, strict=True) if found == conditions[-1]])
    made = []
    for chain in chains:
        figures = [one for metric in _METRICS if (one := loaded_pairs.pair_logs(chain, metric))]
        if figures:
            shuffles = [loaded_pairs.signs(sum(len(one.rounds) for one in chain), TRIALS, seed) for seed in _SEEDS]
            made.append(_history(chain, figures, (shuffles[0], shuffles[1]), floors, suite, (), families=len(chains)))
    return sorted(made, key=lambda one: grouping.release_key(one.releases[-1]), reverse=True)


def _conditions(one: PairedRounds) -> str:
    return conditions.fingerprint(one.rounds[0].runs[BASELINE].record)


def _history(
    sources: Sequence[PairedRounds], figures: Sequence[Observations], shuffles: tuple[Shuffles, Shuffles],
    floors: Floors, suite: Suite, covariate_changes: tuple[ChangePoint, ...], *, families: int = 1,
) -> ReleaseHistory:  # fmt: skip
    """`shuffles`: for critical values, and for the false-positive rate. `families`: histories that hold together."""
    noise = {one.metric.name: floor(floors, sources[0], one.metric) or 0.0 for one in figures}
    together = len(figures) * families
    critical = {one.metric.name: change_points.critical_value(one, shuffles[0], together) for one in figures}
    releases = figures[0].releases if figures else tuple(sources[0].releases.values())
    year_back = _year_back(suite, releases[-1])
    metrics, drift = [], list[ChangePoint]()
    for one in figures:
        name, model = one.metric.name, one.fit()
        limits = (noise[name], together, critical[name])
        drift += change_points.drift(one.metric, model, year_back, *limits)
        metrics.append(
            MetricHistory(
                metric=one.metric,
                figures=_figures(sources, one.metric, model),
                changes=tuple(change_points.detect(one.metric, model, *limits)),
                differences=tuple(change_points.from_before(one.metric, model, together, critical[name])),
            )
        )
    return ReleaseHistory(
        sources=tuple(sources),
        releases=releases,
        metrics=tuple(metrics),
        jumps={release: moved for one in sources for release, moved in lock_diff.jumps(one, suite.watched).items()},
        covariate_changes=covariate_changes,
        drift=tuple(drift),
        false_positives=change_points.false_positives(figures, shuffles[1], critical, noise),
    )


def _year_back(suite: Suite, newest: str) -> str | None:
    """The newest release that was out a year before this one was; None where there is none."""
    uploaded = {release.version: release.uploaded for release in suite.releases}
    if newest not in uploaded:
        return None
    old_enough = [version for version, day in uploaded.items() if day <= uploaded[newest] - _YEAR]
    return max(old_enough, key=lambda version: uploaded[version], default=None)


def _of_covariate(paired: PairedRounds, permuted: Shuffles) -> tuple[ChangePoint, ...]:
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


def _figures(sources: Sequence[PairedRounds], metric: Metric, model: Fit) -> tuple[ReleaseFigure, ...]:
    """Relative to the first release's median, so that they contain neither rounds nor machine speed."""
    of_first = [
        run
        for one in sources
        for arm, release in one.releases.items()
        if release == model.releases[0]
        for run in one.runs(arm)
    ]
    scale = statistics.median(value for run in of_first if (value := run.values[metric.name]) is not None)
    found = []
    for place, release in enumerate(model.releases):
        interval = model.difference(place, 0)
        low, middle, high = (scale * math.exp(end) for end in (interval.low, interval.estimate, interval.high))
        found.append(ReleaseFigure(release=release, value=middle, low=low, high=high))
    return tuple(found)
