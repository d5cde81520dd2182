"""How metrics changed from release to release: from one campaign over consecutive releases, or from loaded pairs.

Releases that came after the campaign are joined to it by pairs.
"""

from __future__ import annotations

import datetime
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scripts.analysis import grouping
from scripts.analysis.metrics import METRICS, Metric
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.inference import change_points, joined_releases, loaded_pairs, lock_diff
from scripts.inference.change_points import ChangePoint, Fit, HowShuffled_contra, Observations, Shuffles
from scripts.inference.comparison import COVARIATE_METRIC, Floors, floor
from scripts.inference.joined_releases import Disagreement
from scripts.inference.lock_diff import VersionChange
from scripts.inference.paired_rounds import BASELINE, PairedRounds

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

    sources: tuple[PairedRounds, ...]  # a campaign over releases, then what joins others to it; or pairs, all at once
    releases: tuple[str, ...]  # in their order
    metrics: tuple[MetricHistory, ...]
    jumps: Mapping[str, list[VersionChange]]  # of packages that serve a request, by release
    covariate_changes: tuple[ChangePoint, ...]  # of the speed covariate, which adjusts the figures
    drift: tuple[ChangePoint, ...]  # of the newest release, since the best earlier one and since a year back
    false_positives: float  # share of shuffled campaigns with a change point or drift in any metric
    anchors: Mapping[str, str] = field(
        default_factory=dict
    )  # by joined release: the one of the campaign that it hangs on
    disagreements: tuple[Disagreement, ...] = ()  # between the campaign and what joins releases to it

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
    every = list(found)
    over_releases = [one for one in every if _over_releases(one, every, suite) and not _counts_work(one)]
    for one in sorted(over_releases, key=lambda one: one.rounds[-1].round_id):
        key = (one.engine, one.flow)
        if key not in chosen or len(one.arms) >= len(chosen[key].arms):
            chosen[key] = one
    return chosen


def history(
    paired: PairedRounds, floors: Floors, suite: Suite, found: Iterable[PairedRounds] = ()
) -> ReleaseHistory:  # fmt: skip
    """Figures and change points of a campaign over releases, and incompatible changes of its packages.

    `found`: all campaigns, among them pairs that join releases to this one. Where these contradict it in a metric, no
    ratio passes to it: a joined release is then compared with the release before alone.
    """
    join = joined_releases.find(paired, found, suite)
    figures = [one for metric in _METRICS if (one := join.logs(metric))]
    first, second = (join.shuffles(TRIALS, seed) for seed in _SEEDS)
    made = _history(join.sources, figures, (first, second), floors, suite)
    disagreements = joined_releases.disagreements(join, _METRICS, floors)
    contradicted = {one.metric.name for one in disagreements}
    newest_is_joined = made.releases[-1] in join.anchors
    return replace(
        made,
        metrics=tuple(_without(one, join.anchors) if one.metric.name in contradicted else one for one in made.metrics),
        covariate_changes=_of_covariate(paired, first[0]),
        drift=tuple(one for one in made.drift if not newest_is_joined or one.metric.name not in contradicted),
        anchors=join.anchors,
        disagreements=tuple(disagreements),
    )


def _without(one: MetricHistory, releases: Collection[str]) -> MetricHistory:
    """Without their figures; their changes stay."""
    return replace(one, figures=tuple(figure for figure in one.figures if figure.release not in releases))


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
    prints = [one.fingerprint for one in pairs]
    chains = loaded_pairs.chains([one for one, found in zip(pairs, prints, strict=True) if found == prints[-1]])
    made = []
    for chain in chains:
        figures = [one for metric in _METRICS if (one := loaded_pairs.pair_logs(chain, metric))]
        if figures:
            first, second = (loaded_pairs.signs(sum(len(one.rounds) for one in chain), TRIALS, s) for s in _SEEDS)
            made.append(_history(chain, figures, (first, second), floors, suite, families=len(chains)))
    return sorted(made, key=lambda one: grouping.release_key(one.releases[-1]), reverse=True)


def _history(
    sources: Sequence[PairedRounds], figures: Sequence[Observations[HowShuffled_contra]],
    shuffles: tuple[HowShuffled_contra, HowShuffled_contra], floors: Floors, suite: Suite, *, families: int = 1,
) -> ReleaseHistory:  # fmt: skip
    """`shuffles`: for the widths of intervals, and for the false-positive rate. `families`: what holds together."""
    noise = {one.metric.name: floor(floors, sources[0], one.metric) or 0.0 for one in figures}
    together = len(figures) * families
    widened = {one.metric.name: change_points.widening(one, shuffles[0], together) for one in figures}
    releases = max((one.releases for one in figures), key=len, default=tuple(sources[0].releases.values()))
    year_back = _year_back(suite, releases[-1])
    metrics, drift = [], list[ChangePoint]()
    for one in figures:
        name, model = one.metric.name, one.fit()
        limits = (noise[name], together, widened[name])
        if model.releases == releases:
            drift += change_points.drift(one.metric, model, year_back, *limits)
        metrics.append(
            MetricHistory(
                metric=one.metric,
                figures=_figures(sources, one.metric, model),
                changes=tuple(change_points.detect(one.metric, model, *limits)),
                differences=tuple(change_points.from_before(one.metric, model, together, widened[name])),
            )
        )
    return ReleaseHistory(
        sources=tuple(sources),
        releases=releases,
        metrics=tuple(metrics),
        jumps=_jumps(sources, releases, suite),
        covariate_changes=(),
        drift=tuple(drift),
        false_positives=change_points.false_positives(figures, shuffles[1], widened, noise, together),
    )


def _jumps(
    sources: Iterable[PairedRounds], releases: Sequence[str], suite: Suite
) -> dict[str, list[VersionChange]]:  # fmt: skip
    """By release; of pairs only those of neighbours, for a jump is one from the release before."""
    before = dict(zip(releases[1:], releases, strict=False))
    return {
        release: moved
        for one in sources
        for release, moved in lock_diff.jumps(one, suite.watched).items()
        if len(one.arms) >= _FEWEST_RELEASES or before.get(release) == one.releases[BASELINE]
    }


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
    widened = change_points.widening(covariate, permuted)
    return tuple(change_points.detect(COVARIATE_METRIC, covariate.fit(), widened=widened))


def _over_releases(one: PairedRounds, found: Iterable[PairedRounds], suite: Suite) -> bool:
    """Whether its arms are consecutive releases, but for those that pairs join: so a change belongs to one release.

    Candidates are not releases. A release or an engine that left suite.toml has no place on the axis any more.
    """
    serving = suite.serving(one.engine, one.flow)
    releases = tuple(one.releases.values())
    few = len(releases) < _FEWEST_RELEASES or len(one.rounds) < change_points.FEWEST_ROUNDS
    if few or not {*releases} <= {*serving}:
        return False
    between = serving[serving.index(releases[0]) : serving.index(releases[-1]) + 1]
    if between == releases:
        return True
    joined = joined_releases.find(one, found, suite).anchors
    return releases == tuple(release for release in between if release not in joined)


def _counts_work(one: PairedRounds) -> bool:
    return one.rounds[0].runs[BASELINE].record.requested.profile.name == COUNT


def _figures(sources: Sequence[PairedRounds], metric: Metric, model: Fit) -> tuple[ReleaseFigure, ...]:
    """Relative to the first release's median, so that they contain neither rounds nor machine speed."""
    own = [one for one in sources if len(one.arms) == len(sources[0].arms)]  # no figure passes from pairs to a campaign
    of_first = [
        run
        for one in own
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
