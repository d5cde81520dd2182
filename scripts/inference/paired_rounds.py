"""Campaigns of interleaved rounds, found again in the records: which runs may be paired.

Only runs of one round are ever compared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scripts.analysis.metrics import Metric
from scripts.analysis.run_reader import Run
from scripts.config import python_label
from scripts.config.errors import NotComparableError
from scripts.records import conditions

BASELINE = 1  # the first arm


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One run of every arm, on one machine: one after the other, or two at once."""

    round_id: str
    runs: dict[int, Run]  # by arm, from 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedRounds:
    """All rounds of one engine and flow of a campaign."""

    campaign: str
    engine: str
    flow: str
    arms: tuple[int, ...]  # from 1, the baseline, without a gap
    rounds: tuple[Round, ...]  # whole and ok; oldest first
    excluded: tuple[str, ...]  # runs and rounds left out, and why, in words

    def label(self, arm: int) -> str:
        """The name of an arm: its release, and its number where a release is there more than once (A/A)."""
        releases = self.releases
        earlier = sum(releases[other] == releases[arm] for other in self.arms if other < arm)
        return releases[arm] + (f" (again{'' if earlier == 1 else f' {earlier}'})" if earlier else "")

    @property
    def is_aa(self) -> bool:
        """Whether all arms are the same release on the same lock, so that every difference is noise."""
        if not self.rounds:
            return False
        runs = self.rounds[0].runs.values()
        return len({(run.record.requested.release, run.record.digests.lock) for run in runs}) == 1 and len(runs) > 1

    @property
    def fingerprint(self) -> str:
        """Of its conditions, as its baseline has them; rounds with another one have other noise. It needs a round."""
        return conditions.fingerprint(self.rounds[0].runs[BASELINE].record)

    def first(self, number: int) -> PairedRounds:
        """Only the first rounds."""
        return replace(self, rounds=self.rounds[:number])

    def between(self, baseline: int, candidate: int) -> PairedRounds:
        """Two arms alone, as if nothing else had been measured."""
        pair = ((BASELINE, baseline), (BASELINE + 1, candidate))
        rounds = tuple(replace(one, runs={to: one.runs[arm] for to, arm in pair}) for one in self.rounds)
        return replace(self, arms=tuple(to for to, _ in pair), rounds=rounds)

    def runs(self, arm: int) -> list[Run]:
        """The runs of an arm, oldest first."""
        return [one.runs[arm] for one in self.rounds]

    @property
    def releases(self) -> dict[int, str]:
        """By arm, as requested."""
        return {arm: one.runs[arm].record.requested.release for one in self.rounds[:1] for arm in self.arms}

    @property
    def pythons(self) -> dict[int, str]:
        """By arm, with patch version."""
        return {arm: one.runs[arm].record.python for one in self.rounds[:1] for arm in self.arms}

    @property
    def on_pythons(self) -> dict[int, str]:
        """By arm, the release that is compared by its Python; empty where releases are compared."""
        found = {arm: _on_python(one.runs[arm]) for one in self.rounds[:1] for arm in self.arms}
        return found if all(found.values()) else {}


def pair(runs: Iterable[Run]) -> list[PairedRounds]:
    """One for each campaign, engine and flow; NotComparableError when the runs of one differ in their conditions."""

    def key(run: Run) -> tuple[str, str, str]:
        requested = run.record.requested
        return requested.campaign, requested.engine, requested.flow

    placed = sorted(
        (run for run in runs if run.record.requested.campaign), key=lambda run: (key(run), run.record.run_id)
    )
    return [_pair(*names, list(group)) for names, group in itertools.groupby(placed, key)]


def pair_each(runs: Iterable[Run]) -> tuple[list[PairedRounds], dict[str, NotComparableError]]:
    """Every campaign by itself, and why some cannot be paired: one of mixed conditions keeps no other from it."""
    by_campaign: dict[str, list[Run]] = {}
    for run in runs:
        by_campaign.setdefault(run.record.requested.campaign, []).append(run)
    paired: list[PairedRounds] = []
    mixed: dict[str, NotComparableError] = {}
    for campaign, group in sorted(by_campaign.items()):
        try:
            paired += pair(group)
        except NotComparableError as error:
            mixed[campaign] = error
    return paired, mixed


def log_values(runs: Sequence[Run], metric: Metric) -> list[float] | None:
    """The log of the metric of each run; None when a run lacks it, must not be compared by it, or has no logarithm."""
    values = [run.values[metric.name] if run.counts(metric) else None for run in runs]
    logs = [math.log(value) for value in values if value is not None and value > 0]
    return logs if len(logs) == len(values) else None


def _pair(campaign: str, engine: str, flow: str, runs: list[Run]) -> PairedRounds:
    arms = tuple(range(BASELINE, max(run.record.requested.arm for run in runs) + 1))
    by_round: dict[str, dict[int, Run]] = {}
    rounds, excluded = [], []
    for run in sorted(runs, key=_trust):  # a disturbed run was repeated right away
        requested = run.record.requested
        before = by_round.setdefault(requested.round_id, {}).get(requested.arm)
        if before is not None:
            excluded.append(f"round {requested.round_id}: {_described(before)}; it was made again")
        by_round[requested.round_id][requested.arm] = run
    best: dict[int, str] = {}  # by number, of the rounds that may count
    for round_id, found in sorted(by_round.items(), key=lambda one: (not _distrusted(one[1]), one[0])):
        if not _why_excluded(found, arms):
            best[_number(found)] = round_id
    for round_id, found in sorted(by_round.items()):
        why = _why_excluded(found, arms) or _why_replaced(found, is_best=best[_number(found)] == round_id)
        if why:
            excluded.append(f"round {round_id}: {why}")
        else:
            rounds.append(Round(round_id=round_id, runs=found))
    _require_comparable(rounds)
    return PairedRounds(
        campaign=campaign, engine=engine, flow=flow, arms=arms, rounds=tuple(rounds), excluded=tuple(excluded)
    )


def _trust(run: Run) -> tuple[bool, bool]:
    return run.outcome == "ok", not run.distrusted


def _number(found: dict[int, Run]) -> int:
    return next(iter(found.values())).record.requested.round


def _distrusted(found: dict[int, Run]) -> list[Run]:
    return [run for run in found.values() if run.distrusted]


def _why_replaced(found: dict[int, Run], *, is_best: bool) -> str:
    """Why a round counts no more; empty when it does.

    Two arms at once are made again as another round of the same number. A round whose latencies can be trusted is
    never left out, though another one may have its number: that one replaces a record that cannot be read.
    """
    bad = _distrusted(found)
    return f"{'; '.join(map(_described, bad))}; it was made again" if bad and not is_best else ""


def _why_excluded(found: dict[int, Run], arms: tuple[int, ...]) -> str:
    """Why a round cannot be paired; empty when it can."""
    bad = [run for run in found.values() if run.outcome != "ok"]
    if bad:
        return "; ".join(map(_described, bad))
    return "" if len(found) == len(arms) else f"only {len(found)} of {len(arms)} runs were made"


def _described(run: Run) -> str:
    """What was wrong with a run."""
    distrusted = run.outcome == "ok" and run.distrusted
    outcome, reasons = (
        ("not to be trusted in its latencies", run.distrusted) if distrusted else (run.outcome, run.reasons)
    )
    return f"{run.record.requested.release} was {outcome}" + (f" ({'; '.join(reasons)})" if reasons else "")


def _require_comparable(rounds: Sequence[Round]) -> None:
    """Raise when conditions changed within a campaign; excluded runs need not agree.

    Arms may differ in Python where Pythons are compared; an arm has one in all rounds.
    """
    for one in rounds:
        for arm, run in one.runs.items():
            _require_alike(rounds[0].runs[BASELINE], run)
            if _on_python(run):
                _require_alike(rounds[0].runs[arm], run)


def _require_alike(first: Run, other: Run) -> None:
    pythons = {run.record.requested.python for run in (first, other)}
    compared = len(pythons) > 1 and all(map(_on_python, (first, other)))
    found = [
        one
        for one in conditions.differences(first.record, other.record)
        if not compared or one.name != conditions.PYTHON
    ]
    if found:
        raise NotComparableError(
            f"runs {first.record.run_id} and {other.record.run_id} of one campaign differ in "
            + "; ".join(f"{one.name}: {one.first!r} and {one.second!r}" for one in found),
            then="take the runs of one side out of the results and repeat the command, or name other --results",
        )


def _on_python(run: Run) -> str:
    """The release of a run that is compared by its Python; empty for any other run."""
    requested = run.record.requested
    release = python_label.without_python(requested.release, requested.python)
    return release if release != requested.release else ""
