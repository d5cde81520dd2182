"""Between which two neighbouring releases a metric stepped: bisection, decided by the intervals of `change_points`.

Measuring is a function that the caller gives. A stage
measures both ends of a range and its middle in the same interleaved rounds, and goes on with the half in which the
metric moved more. All intervals of a search hold at once: Bonferroni over the stages, their two looks and their three
shifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import Metric
from scripts.inference.change_points import Fit
from scripts.inference.comparison import LEVEL
from scripts.inference.intervals import Interval, bonferroni_level

Measure = Callable[[tuple[str, ...], int], tuple[Fit, float] | None]
"""The model of these releases after so many rounds and the noise floor as log ratio; None when a run does not tell."""

_LOOKS = 2  # at the rounds asked for, and at twice as many
DEFAULT_MINIMUM_EFFECT = 0.01  # of a metric that has no least change of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Both ends of a range and, unless they are neighbours, its middle."""

    releases: tuple[str, ...]  # two or three, in order
    model: Fit
    minimum_effect: float  # smallest log ratio that counts
    level: float

    @property
    def changes(self) -> tuple[Interval, ...]:
        """From release to release, as log ratios."""
        return tuple(self.model.against(place, place - 1, self.level) for place in range(1, len(self.releases)))

    @property
    def whole(self) -> Interval:
        """From the first release to the last."""
        return self.model.against(len(self.releases) - 1, 0, self.level)

    def moved(self, change: Interval) -> bool:
        """Whether it is certain, and large enough to count."""
        return change.exceeds(self.minimum_effect)

    @property
    def part(self) -> int | None:
        """The shift to look into, from 0: the largest that is certain; None when nothing moved for certain.

        When only the whole moved for certain, it is the larger of its parts.
        """
        candidates = [n for n, change in enumerate(self.changes) if self.moved(change)]
        if not candidates and self.moved(self.whole):
            candidates = list(range(len(self.changes)))
        return max(candidates, key=lambda n: abs(self.changes[n].estimate), default=None)

    @property
    def conclusive(self) -> bool:
        """Whether more rounds could not change where the search goes on."""
        return any(map(self.moved, self.changes)) or self.still or self.drift

    @property
    def still(self) -> bool:
        """Whether it is certain that nothing moved enough to count."""
        return self._small(self.changes) and self._small([self.whole])

    @property
    def drift(self) -> bool:
        """Whether it moved for certain, but each part too little to count."""
        return self.moved(self.whole) and self._small(self.changes)

    def _small(self, changes: Sequence[Interval]) -> bool:
        return all(-self.minimum_effect < change.low and change.high < self.minimum_effect for change in changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bisection:
    """A bisection that has ended."""

    metric: Metric
    stages: tuple[Stage, ...]

    @property
    def last(self) -> Stage:
        """Where it ended."""
        return self.stages[-1]

    @property
    def change_point(self) -> tuple[str, str, Interval] | None:
        """The release before, the release, and the shift between them; None when there is none for certain."""
        part = self.last.part
        if part is None or not self.last.moved(self.last.changes[part]):
            return None
        return self.last.releases[part], self.last.releases[part + 1], self.last.changes[part]

    @property
    def others(self) -> list[tuple[str, str, Interval]]:
        """Ranges outside of the search's path in which the metric moved for certain, too."""
        return [
            (stage.releases[n], stage.releases[n + 1], change)
            for stage in self.stages
            for n, change in enumerate(stage.changes)
            if n != stage.part and stage.moved(change)
        ]


def stages_of(number: int) -> int:
    """How many stages a search among so many releases takes at the most."""
    return max(1, math.ceil(math.log2(max(1, number - 1))))


def search(metric: Metric, releases: Sequence[str], measure: Measure, rounds: int) -> Bisection | None:
    """Bisect; each stage has `rounds` rounds, and twice as many where those do not tell. None without a figure."""
    minimum_effect = math.log1p(DEFAULT_MINIMUM_EFFECT if metric.minimum_effect is None else metric.minimum_effect)
    level = bonferroni_level(LEVEL, 3 * _LOOKS * stages_of(len(releases)))
    low, high = 0, len(releases) - 1
    stages: list[Stage] = []
    while True:
        places = (low, high) if high - low == 1 else (low, (low + high) // 2, high)
        names = tuple(releases[place] for place in places)
        for look in range(1, _LOOKS + 1):
            found = measure(names, rounds * look)
            if found is None:
                return None
            model, floor = found
            stage = Stage(releases=names, model=model, minimum_effect=max(minimum_effect, floor), level=level)
            if stage.conclusive:
                break
        stages.append(stage)
        part = stage.part
        if part is None or places[part + 1] - places[part] == 1:
            return Bisection(metric=metric, stages=tuple(stages))
        low, high = places[part], places[part + 1]
