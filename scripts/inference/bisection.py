"""Bisection: between which two neighbouring releases a metric changed, decided by the intervals of `change_points`.

The caller gives the function that measures. A stage measures both ends of a range and its middle in the same
interleaved rounds. The search goes on with the half in which the metric changed more. All intervals of a search hold
together: Bonferroni over the stages, their two looks and their three differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import Metric
from scripts.inference.change_points import Fit
from scripts.inference.comparison import LEVEL, threshold
from scripts.inference.intervals import Interval, bonferroni_level

Measure = Callable[[tuple[str, ...], int], tuple[Fit, float] | None]
"""The model of these releases after so many rounds, and the noise floor; None when a run lacks the metric."""

Identity = Callable[[str], str | None]
"""What a release is measured as; None when it cannot be measured. Two with one identity are not told apart."""

MOST_SKIPPED = 8  # that cannot be measured, after which a search is content with the range that it has
_LOOKS = 2  # at the requested rounds, and at twice as many
_DEFAULT_MINIMUM_EFFECT = 0.01  # for a metric that has none of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Both ends of a range and, unless they are neighbours, its middle."""

    releases: tuple[str, ...]  # two or three, in order
    model: Fit
    threshold: float  # log ratio that a change must exceed
    level: float

    @property
    def changes(self) -> tuple[Interval, ...]:
        """From release to release, as log ratios."""
        return tuple(self.model.difference(place, place - 1, self.level) for place in range(1, len(self.releases)))

    @property
    def whole(self) -> Interval:
        """From the first release to the last."""
        return self.model.difference(len(self.releases) - 1, 0, self.level)

    def is_change(self, change: Interval) -> bool:
        """Whether it is significant, and larger than the threshold."""
        return change.exceeds(self.threshold)

    @property
    def part(self) -> int | None:
        """The part of the range to look into, from 0: the one with the largest change; None when there is no change.

        Where only the whole range changed, it is the part with the larger estimate.
        """
        candidates = [n for n, change in enumerate(self.changes) if self.is_change(change)]
        if not candidates and self.is_change(self.whole):
            candidates = list(range(len(self.changes)))
        return max(candidates, key=lambda n: abs(self.changes[n].estimate), default=None)

    @property
    def conclusive(self) -> bool:
        """Whether more rounds could not change where the search goes on."""
        return any(map(self.is_change, self.changes)) or self.within_threshold or self.gradual

    @property
    def within_threshold(self) -> bool:
        """Whether all changes, the whole one too, are within the threshold."""
        return self._within([*self.changes, self.whole])

    @property
    def gradual(self) -> bool:
        """Whether the whole range changed, while each part is within the threshold."""
        return self.is_change(self.whole) and self._within(self.changes)

    def _within(self, changes: Sequence[Interval]) -> bool:
        return all(-self.threshold < change.low and change.high < self.threshold for change in changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bisection:
    """A finished bisection."""

    metric: Metric
    stages: tuple[Stage, ...]
    ends: tuple[str, str]  # what the search has narrowed the range to
    untested: tuple[str, ...] = ()  # between these ends: they cannot be measured, or were not tried any more
    skipped: tuple[str, ...] = ()  # all that the search came to and that cannot be measured, in order

    @property
    def last(self) -> Stage:
        """The stage at which it ended."""
        return self.stages[-1]

    @property
    def ended_early(self) -> bool:
        """Whether some between the ends were not even tried, because too many others cannot be measured."""
        return len(self.skipped) >= MOST_SKIPPED and not set(self.untested) <= set(self.skipped)

    @property
    def change_point(self) -> tuple[str, str, Interval] | None:
        """The release before, the release, and the change between them; None when no neighbours changed.

        They are neighbours but for what is `untested`.
        """
        part = self.last.part
        if part is None or not self.last.is_change(self.last.changes[part]):
            return None
        return *self.ends, self.last.changes[part]

    @property
    def others(self) -> list[tuple[str, str, Interval]]:
        """Ranges outside of the search's path in which the metric changed as well."""
        return [
            (stage.releases[n], stage.releases[n + 1], change)
            for stage in self.stages
            for n, change in enumerate(stage.changes)
            if n != stage.part and stage.is_change(change)
        ]


def stages_of(number: int) -> int:
    """How many stages a search among so many releases takes at most."""
    return max(1, math.ceil(math.log2(max(1, number - 1))))


def search(
    metric: Metric, releases: Sequence[str], measure: Measure, rounds: int, identity: Identity = str
) -> Bisection | None:
    """Bisect; each stage has `rounds` rounds, or twice as many where those are inconclusive.

    With MOST_SKIPPED that cannot be measured it ends with the range that it has. Both ends can be measured, and differ
    in identity. None when a run lacks the metric.
    """
    wanted = math.log1p(_DEFAULT_MINIMUM_EFFECT) if metric.minimum_effect is None else None
    level = bonferroni_level(LEVEL, 3 * _LOOKS * stages_of(len(releases)))
    low, high = 0, len(releases) - 1
    stages: list[Stage] = []
    skipped: set[int] = set()
    while True:
        low, middle, high = _middle(releases, low, high, identity, skipped)
        if stages and middle is None:  # the last stage has compared these two
            break
        places = (low, high) if middle is None else (low, middle, high)
        names = tuple(releases[place] for place in places)
        for look in range(1, _LOOKS + 1):
            found = measure(names, rounds * look)
            if found is None:
                return None
            model, floor = found
            stage = Stage(releases=names, model=model, threshold=threshold(metric, floor, wanted), level=level)
            if stage.conclusive:
                break
        stages.append(stage)
        part = stage.part
        if part is None:
            break
        low, high = places[part], places[part + 1]
    return Bisection(
        metric=metric,
        stages=tuple(stages),
        ends=(releases[low], releases[high]),
        untested=tuple(releases[low + 1 : high]),
        skipped=tuple(releases[place] for place in sorted(skipped)),
    )


def _middle(
    releases: Sequence[str], low: int, high: int, identity: Identity, skipped: set[int]
) -> tuple[int, int | None, int]:
    """The range with a middle that can be measured and is neither end; None for the middle when there is none.

    What cannot be measured is added to `skipped`, and its neighbours are tried. What has the identity of an end takes
    its place. Of n open places each half keeps at most n/2, so that `stages_of` holds.
    """
    while True:
        places = [place for place in range(low + 1, high) if place not in skipped]
        if not places or len(skipped) >= MOST_SKIPPED:
            return low, None, high
        place = places[(len(places) - 1) // 2]
        found = identity(releases[place])
        if found is None:
            skipped.add(place)
        elif found == identity(releases[low]):
            low = place
        elif found == identity(releases[high]):
            high = place
        else:
            return low, place, high
