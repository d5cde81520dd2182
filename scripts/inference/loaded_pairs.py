"""Releases that were loaded at once, two by two: from the log ratios of the pairs to an effect of each release.

The model is that of paired comparisons (Scheffe, "An Analysis of Variance for Paired Comparisons", JASA 47, 1952):
log ratio of a round = effect of the candidate - effect of the baseline + noise. Pairs join into one chain wherever they
share a release, so neighbours and a few bridges give every difference. Both arms of a pair have the same machine at the
same time, so there is no level of a round, and nothing to adjust for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.analysis.grouping import release_key
from scripts.analysis.metrics import Metric
from scripts.inference.change_points import FEWEST_ROUNDS, Errors, Fit, Shuffles
from scripts.inference.intervals import Figures
from scripts.inference.paired_rounds import BASELINE, PairedRounds, log_values


@dataclass(frozen=True, kw_only=True, slots=True)
class PairLogs:
    """The log ratios of a metric, one a round."""

    metric: Metric
    releases: tuple[str, ...]  # in the order of versions
    baselines: NDArray[np.intp]  # places in `releases`, one a round
    candidates: NDArray[np.intp]  # likewise
    ratios: Figures  # log(candidate / baseline), likewise
    rounds: NDArray[np.intp]  # the places of these rounds among all of the chain's

    def fit(self) -> Fit:
        """The model by least squares; the first release has the effect 0."""
        return self._fitted(self.ratios)

    def without_changes(self, shuffles: Shuffles) -> Fit:
        """The models of trials in which nothing changed. `shuffles`: signs, (trials, all rounds).

        Which of two equal releases is the candidate is arbitrary, so the sign of a round's noise is, too.
        """
        noise = self.ratios - self.fit().effects @ self._design().T
        return self._fitted(noise * shuffles[:, self.rounds])

    def _design(self) -> Figures:
        rows = np.zeros((len(self.ratios), len(self.releases)))
        places = np.arange(len(self.ratios))
        rows[places, self.candidates] += 1
        rows[places, self.baselines] -= 1
        return rows

    def _unit(self) -> Figures:
        """Covariance of the effects in variances of the noise; the first release's effect is 0 by definition."""
        design = self._design()[:, 1:]
        unit = np.zeros((len(self.releases),) * 2)
        unit[1:, 1:] = np.linalg.inv(design.T @ design)
        return unit

    def _fitted(self, ratios: Figures) -> Fit:
        """The model of ratios, (rounds,), or of a stack of them, (trials, rounds)."""
        design, freedom = self._design()[:, 1:], len(self.ratios) - (len(self.releases) - 1)
        effects = ratios @ np.linalg.pinv(design).T
        noise = np.sqrt(((ratios - effects @ design.T) ** 2).sum(axis=-1) / freedom)
        return Fit(
            releases=self.releases, rounds=len(self.ratios), effects=np.insert(effects, 0, 0.0, axis=-1),
            errors=(Errors(unit=self._unit(), noise=noise, freedom=freedom),), slope=np.zeros(ratios.shape[:-1]),
        )  # fmt: skip


def signs(rounds: int, trials: int, seed: int) -> Shuffles:
    """Random signs for noise of so many rounds: (trials, rounds)."""
    return 2 * np.random.default_rng(seed).integers(0, 2, (trials, rounds), dtype=np.intp) - 1


def chains(pairs: Iterable[PairedRounds]) -> list[list[PairedRounds]]:
    """Pairs that are joined by the releases they share, together."""
    found: list[list[PairedRounds]] = []
    for pair in pairs:
        joined = [chain for chain in found if _releases(chain) & _releases([pair])]
        found = [chain for chain in found if chain not in joined]
        found.append([*(one for chain in joined for one in chain), pair])
    return found


def pair_logs(chain: Sequence[PairedRounds], metric: Metric) -> PairLogs | None:
    """The log ratios of a chain; None when too few rounds have the metric to join the releases and show the noise."""
    releases = sorted(_releases(chain), key=release_key)
    places = {release: place for place, release in enumerate(releases)}
    rows: list[tuple[int, int, float, int]] = []
    for number, (pair, one) in enumerate((whole, one) for whole in chain for one in whole.rounds):
        logs = log_values([one.runs[arm] for arm in pair.arms], metric)
        if logs is not None:
            baseline, candidate = (places[pair.releases[arm]] for arm in pair.arms)
            rows.append((baseline, candidate, logs[1] - logs[0], number))
    joined = _joined(len(releases), [row[:2] for row in rows])
    if not joined or len(rows) < len(releases) - 1 + FEWEST_ROUNDS:
        return None
    baselines, candidates, ratios, rounds = zip(*rows, strict=True)
    return PairLogs(
        metric=metric, releases=tuple(releases), ratios=np.array(ratios, dtype=np.float64),
        baselines=np.array(baselines, dtype=np.intp), candidates=np.array(candidates, dtype=np.intp),
        rounds=np.array(rounds, dtype=np.intp),
    )  # fmt: skip


def _joined(releases: int, pairs: Iterable[tuple[int, ...]]) -> bool:
    """Whether the pairs join all releases into one chain."""
    reached, ways = {0}, [set(pair) for pair in pairs]
    while grown := [way for way in ways if way & reached and not way <= reached]:
        reached |= set().union(*grown)
    return len(reached) == releases


def _releases(pairs: Iterable[PairedRounds]) -> set[str]:
    return {release for pair in pairs for release in pair.releases.values()}


def loaded_at_once(one: PairedRounds) -> bool:
    """Whether the rounds loaded two different releases at the same time."""
    return (
        bool(one.rounds)
        and one.rounds[0].runs[BASELINE].record.requested.profile.at_once == len(one.arms) > 1
        and len(set(one.releases.values())) == len(one.arms)
    )
