"""Which packages and functions take more or less CPU time in one release than in another, from sampled stacks.

The CPU time per request of a run, as the system counts it, is divided as the samples of that run are. The replicate is
the repeat, never the sample: garbage collections and other bursts hit one function in one run.

Two things have to hold. The share of the samples changed, by a moderated paired t test over the repeats, and by Holm's
method over all packages, parts and functions. A share does not move with the speed of the machine. And the interval of
the CPU time excludes no change, because a share also moves when something else does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scripts.analysis import stacks
from scripts.inference import comparison, intervals, moderated_t
from scripts.inference.comparison import LEVEL
from scripts.records.explanations import Explanation, SampledRun, Stack

Kind = Literal["all", "package", "part", "function"]
"""All samples; the package that runs; the innermost part of promptflow behind it; the function that runs."""

SMALLEST = 0.01  # share of all samples: what is smaller is not told, and a smaller change is not named
FEWEST_SAMPLES = 1000  # of each release: then 1 % is 10 samples
FEWEST_REPEATS = intervals.fewest_rounds(LEVEL)

_Place = tuple[Kind, str]
_WHOLE: _Place = ("all", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class StackChange:
    """CPU time per request of a package, a part or a function, in both releases; means over the repeats."""

    kind: Kind
    name: str
    before_ms: float
    after_ms: float
    before_share: float  # of all samples of the release, 0 to 1
    after_share: float
    low_ms: float | None  # interval of the difference of times; None with too few repeats
    high_ms: float | None
    is_named: bool  # beyond noise, and at least 1 % of the baseline's CPU time

    @property
    def difference_ms(self) -> float:
        """How much more the second release takes."""
        return self.after_ms - self.before_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class StackChanges:
    """All that was looked at."""

    whole: StackChange
    changes: tuple[StackChange, ...]  # of all kinds; the largest first
    samples: tuple[int, int]  # of each release
    no_claim: str  # why nothing may be claimed; empty: it may

    def named(self, kind: Kind) -> list[StackChange]:
        """Those that changed for certain, the largest first."""
        return [one for one in self.changes if one.kind == kind and one.is_named]

    def of(self, kind: Kind) -> list[StackChange]:
        """All of a kind, the largest change first."""
        return [one for one in self.changes if one.kind == kind]


def changes(found: Explanation) -> StackChanges:
    """Compare the two releases of an explanation."""
    places = [_places(found.stack(number)) for number in range(len(found.stacks))]
    arms = [[repeat[arm] for repeat in found.repeats] for arm in (0, 1)]
    shares = [[_shares(run, places) for run in arm] for arm in arms]
    cpu_ms = [[run.cpu_ms for run in arm] for arm in arms]
    samples = sum(run.total for run in arms[0]), sum(run.total for run in arms[1])
    no_claim = _no_claim(found, samples)
    whole = _change(_WHOLE, shares, cpu_ms)
    looked_at = sorted({place for arm in shares for run in arm for place in run} - {_WHOLE})
    made = [(place, _change(place, shares, cpu_ms)) for place in looked_at]
    told = [(place, one) for place, one in made if max(one.before_share, one.after_share) >= SMALLEST]
    moved = [False] * len(told)
    if told and not no_claim:
        scores = np.array([_scores(_of_place(place, shares), arms) for place, _ in told])
        moved = comparison.significant(moderated_t.p_values(scores, least=1.0), LEVEL).tolist()
    judged = [_named(one, whole) if moves else one for (_, one), moves in zip(told, moved, strict=True)]
    return StackChanges(
        whole=whole if no_claim else _named(whole, whole),
        changes=tuple(sorted(judged, key=lambda one: (-abs(one.difference_ms), one.kind, one.name))),
        samples=samples,
        no_claim=no_claim,
    )


def _no_claim(found: Explanation, samples: tuple[int, int]) -> str:
    if len(found.repeats) < FEWEST_REPEATS:
        return f"an interval needs {FEWEST_REPEATS} repeats, and this has {len(found.repeats)}"
    for release, number in zip(found.releases, samples, strict=True):
        if number < FEWEST_SAMPLES:
            return f"a claim needs {FEWEST_SAMPLES} samples, and {release} has {number}"
    return ""


def _shares(run: SampledRun, places: Sequence[Sequence[_Place]]) -> dict[_Place, float]:
    """The share of each place in the samples of a run; `places`: of each stack. Of a run without samples none."""
    counted: Counter[_Place] = Counter()
    for number, times in run.samples:
        for place in places[number]:
            counted[place] += times
    total = run.total
    return {place: times / total for place, times in counted.items()}


def _places(stack: Stack) -> tuple[_Place, ...]:
    """All that a stack counts for."""
    return (
        _WHOLE,
        ("package", stacks.package(stack[-1])),
        ("part", stacks.part(stack)),
        ("function", stacks.function(stack[-1])),
    )


def _of_place(place: _Place, shares: Sequence[Sequence[dict[_Place, float]]]) -> list[list[float]]:
    """The shares of a place in the runs of each release."""
    return [[run.get(place, 0.0) for run in arm] for arm in shares]


def _differences(arms: Sequence[Sequence[float]]) -> list[float]:
    """From the first release to the second, repeat by repeat."""
    before, after = arms
    return [second - first for first, second in zip(before, after, strict=True)]


def _scores(of_place: Sequence[Sequence[float]], arms: Sequence[Sequence[SampledRun]]) -> list[float]:
    """The differences of the shares of a place, in standard deviations of what chance alone gives so many samples."""
    share = _mean([one for arm in of_place for one in arm])
    totals = zip(*([run.total for run in arm] for arm in arms), strict=True)
    deviations = [math.sqrt(share * (1 - share) * sum(1 / max(1, total) for total in both)) for both in totals]
    return [
        difference / deviation if deviation else 0.0
        for difference, deviation in zip(_differences(of_place), deviations, strict=True)
    ]


def _change(
    place: _Place, shares: Sequence[Sequence[dict[_Place, float]]], cpu_ms: Sequence[Sequence[float]]
) -> StackChange:
    """The change of a place, not named yet."""
    of_place = _of_place(place, shares)
    ms = [
        [share * each for share, each in zip(arm, cpu, strict=True)]
        for arm, cpu in zip(of_place, cpu_ms, strict=True)
    ]  # fmt: skip
    interval = intervals.paired_t_interval(_differences(ms), LEVEL)
    return StackChange(
        kind=place[0],
        name=place[1],
        before_ms=_mean(ms[0]),
        after_ms=_mean(ms[1]),
        before_share=_mean(of_place[0]),
        after_share=_mean(of_place[1]),
        low_ms=interval.low if interval else None,
        high_ms=interval.high if interval else None,
        is_named=False,
    )


def _named(change: StackChange, whole: StackChange) -> StackChange:
    """Named, unless its time may not have changed, or too little to matter."""
    certain = change.low_ms is not None and change.high_ms is not None and (change.low_ms > 0 or change.high_ms < 0)
    return replace(change, is_named=certain and abs(change.difference_ms) >= SMALLEST * whole.before_ms)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
