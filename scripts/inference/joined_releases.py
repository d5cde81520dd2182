"""Releases that a campaign over releases lacks, joined to it by pairs of releases that were loaded at once.

A campaign cannot have a release that came out after it. Pairs can: of the new release, and of an anchor, a release that
the campaign has too. Then log ratio(new / old) = log ratio(new / anchor) in the pairs + log ratio(anchor / old) in the
campaign. This is the adjusted indirect comparison (Bucher and others, "The Results of Direct and Indirect Treatment
Comparisons in Meta-Analysis of Randomized Controlled Trials", Journal of Clinical Epidemiology 50, 1997). Ratios pass
from the pairs to the campaign, and figures never do. The two are independent, so their errors add.

It rests on ratios being the same one after the other and at once. That is tested where both measured two releases.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scripts.analysis.grouping import release_key
from scripts.analysis.metrics import Metric
from scripts.config.load_profiles import AT_ONCE
from scripts.config.matrix import Suite
from scripts.inference import change_points, loaded_pairs
from scripts.inference.change_points import Fit, LogMatrix, Shuffles
from scripts.inference.comparison import LEVEL, Floors, floor, threshold
from scripts.inference.intervals import Figures, Interval, bonferroni_level
from scripts.inference.loaded_pairs import PairLogs
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.records import conditions
from scripts.records.schema import RunRecord

_MAY_DIFFER = (conditions.PROFILE, "locustfile", "tools", "Python of the tools")  # of pairs, from the campaign

Chain = tuple[PairedRounds, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """A campaign over releases, and what joins others to it."""

    campaign: PairedRounds
    chains: tuple[Chain, ...] = ()
    anchors: Mapping[str, str] = field(default_factory=dict)  # by joined release: the newest of both that is before it

    @property
    def sources(self) -> tuple[PairedRounds, ...]:
        """The campaign, then the pairs."""
        return (self.campaign, *itertools.chain.from_iterable(self.chains))

    def logs(self, metric: Metric) -> JoinedLogs | None:
        """A metric of all of it; None where the campaign lacks it. Where a chain does, its releases are left out."""
        in_turn = change_points.log_matrix(self.campaign, metric)
        if in_turn is None:
            return None
        chains = tuple(loaded_pairs.pair_logs(chain, metric) for chain in self.chains)
        joined = {release for one in chains if one is not None for release in one.releases if release in self.anchors}
        releases = tuple(sorted({*in_turn.releases, *joined}, key=release_key)) if joined else in_turn.releases
        return JoinedLogs(in_turn=in_turn, chains=chains, releases=releases, anchors=self.anchors)

    def shuffles(self, trials: int, seed: int) -> tuple[Shuffles, ...]:
        """How the noise of the campaign and of each chain is shuffled."""
        shape = (len(self.campaign.rounds), len(self.campaign.arms))
        rounds = [sum(len(pair.rounds) for pair in chain) for chain in self.chains]
        return (
            change_points.permutations(shape, trials, seed),
            *(loaded_pairs.signs(number, trials, seed) for number in rounds),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinedLogs:
    """The logs of a metric: of the campaign, and of the chains that join releases to it."""

    in_turn: LogMatrix
    chains: tuple[PairLogs | None, ...]  # None: too few rounds have the metric
    releases: tuple[str, ...]  # in the order of versions
    anchors: Mapping[str, str]

    @property
    def metric(self) -> Metric:
        """What was observed."""
        return self.in_turn.metric

    def fit(self) -> Fit:
        """The campaign's effects as they are, and those of the joined releases beside their anchors'."""
        return self._joined(self.in_turn.fit(), [None if one is None else one.fit() for one in self.chains])

    def without_changes(self, shuffles: Sequence[Shuffles]) -> Fit:
        """The models of trials in which nothing changed. `shuffles`: of the campaign, then of each chain."""
        of_campaign, *of_chains = shuffles
        trials = [
            None if one is None else one.without_changes(how) for one, how in zip(self.chains, of_chains, strict=True)
        ]
        return self._joined(self.in_turn.without_changes(of_campaign), trials)

    def _joined(self, in_turn: Fit, chains: Sequence[Fit | None]) -> Fit:
        """A release that the campaign has is its own anchor, so no chain moves it."""
        anchors = [self.anchors.get(release, release) for release in self.releases]
        parts = [
            (in_turn, _chosen(anchors, in_turn.releases)),
            *(
                (chain, _chosen(self.releases, chain.releases) - _chosen(anchors, chain.releases))
                for chain in chains
                if chain is not None
            ),
        ]
        effects = np.sum([part.effects @ rows.T for part, rows in parts], axis=0)
        errors = tuple(replace(one, unit=rows @ one.unit @ rows.T) for part, rows in parts for one in part.errors)
        return replace(in_turn, releases=self.releases, effects=effects, errors=errors)


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """Two releases that differ otherwise one after the other than at once, beyond noise and the metric's threshold."""

    metric: Metric
    before: str
    release: str
    in_turn: Interval  # log ratio to the release before; both hold together over all that are tested
    at_once: Interval


def find(campaign: PairedRounds, found: Iterable[PairedRounds], suite: Suite) -> Join:
    """What the pairs join to a campaign over releases.

    They have its scenario, machine, Python, flow and mock API, under the profile that loads the same servers at once. A
    release has one lock in all of them. No release is joined when one before it is missing.
    """
    pairs = _usable(campaign, found, suite)
    chains = [tuple(chain) for chain in loaded_pairs.chains(pairs)]
    anchors = {release: anchor for chain in chains for release, anchor in _anchors(campaign, chain)}
    there = {*campaign.releases.values(), *anchors}
    serving = suite.serving(campaign.engine, campaign.flow)
    first = serving.index(campaign.releases[BASELINE])
    whole = set(itertools.takewhile(there.__contains__, serving[first:]))
    anchors = {release: anchor for release, anchor in anchors.items() if release in whole}
    joining = [chain for chain in chains if anchors.keys() & _releases(chain)]
    return Join(campaign=campaign, chains=tuple(joining), anchors=anchors)


def disagreements(join: Join, metrics: Sequence[Metric], floors: Floors) -> list[Disagreement]:
    """Where campaign and chains contradict each other."""
    found = []
    tests = [
        (metric, logs.in_turn.fit(), chain.fit())
        for metric in metrics
        if (logs := join.logs(metric)) is not None
        for chain in logs.chains
        if chain is not None
    ]
    both = [
        (metric, in_turn, at_once, pair)
        for metric, in_turn, at_once in tests
        for pair in itertools.pairwise([one for one in at_once.releases if one in in_turn.releases])
    ]
    for metric, in_turn, at_once, (before, release) in both:
        level = bonferroni_level(LEVEL, len(both))
        one, other = (
            fit.difference(fit.releases.index(release), fit.releases.index(before), level) for fit in (in_turn, at_once)
        )
        gap = abs(one.estimate - other.estimate)
        if gap > max(math.hypot(_half(one), _half(other)), threshold(metric, floor(floors, join.campaign, metric))):
            found.append(Disagreement(metric=metric, before=before, release=release, in_turn=one, at_once=other))
    return found


def _half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def _chosen(releases: Sequence[str], columns: Sequence[str]) -> Figures:
    """A row for each release, with 1 in its column; a row of zeros where it has none."""
    return np.array([[float(release == column) for column in columns] for release in releases])


def _usable(campaign: PairedRounds, found: Iterable[PairedRounds], suite: Suite) -> list[PairedRounds]:
    """The pairs that may join releases to the campaign; of a release on several locks the newest pairs count."""
    record, locks = _record(campaign, BASELINE), _locks(campaign)
    serving = suite.serving(campaign.engine, campaign.flow)
    usable = []
    for pair in sorted((one for one in found if one.rounds), key=lambda one: one.rounds[-1].round_id, reverse=True):
        theirs = _locks(pair)
        if (
            loaded_pairs.loaded_at_once(pair)
            and (pair.engine, pair.flow) == (campaign.engine, campaign.flow)
            and theirs.keys() <= set(serving)
            and _may_join(record, _record(pair, BASELINE))
            and all(locks.get(release, lock) == lock for release, lock in theirs.items())
        ):
            locks |= theirs
            usable.append(pair)
    return usable


def _may_join(record: RunRecord, of_pair: RunRecord) -> bool:
    profiles = [one.requested.profile.name for one in (record, of_pair)]
    differ = {one.name for one in conditions.differences(record, of_pair)}
    return AT_ONCE.get(profiles[0]) == profiles[1] and differ <= set(_MAY_DIFFER)


def _record(one: PairedRounds, arm: int) -> RunRecord:
    return one.rounds[0].runs[arm].record


def _locks(one: PairedRounds) -> dict[str, str]:
    """Digest of the lock by release."""
    return {release: _record(one, arm).digests.lock for arm, release in one.releases.items()}


def _releases(chain: Chain) -> set[str]:
    return {release for pair in chain for release in pair.releases.values()}


def _anchors(campaign: PairedRounds, chain: Chain) -> Iterator[tuple[str, str]]:
    """Each release that only the chain has, and the newest one before it that both have; none without one."""
    there = set(campaign.releases.values())
    for release in _releases(chain) - there:
        before = [one for one in _releases(chain) & there if release_key(one) < release_key(release)]
        if before:
            yield release, max(before, key=release_key)
