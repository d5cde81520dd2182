"""Releases on the axis of a picture: their points with bars, and which of them a line joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A release, in the unit of its panel."""

    release: str
    value: float
    low: float  # ends of its bar
    high: float
    conditions: str = ""  # points with other conditions are not joined


AnyPoint = TypeVar("AnyPoint", bound=Point)


def bars(axes: Axes, at: Sequence[float], points: Sequence[Point], **look: Any) -> None:  # noqa: ANN401 - matplotlib's
    """The points with their bars, at places on the axis."""
    axes.errorbar(
        at, [point.value for point in points],
        yerr=[[point.value - point.low for point in points], [point.high - point.value for point in points]],
        **look,
    )  # fmt: skip


def unbroken(points: Sequence[AnyPoint], places: Mapping[str, int]) -> list[list[AnyPoint]]:
    """The points, in order, by lines: a line breaks where a release is missing, and where conditions differ."""
    found: list[list[AnyPoint]] = []
    for point in points:
        last = found[-1][-1] if found else point
        if (places[point.release] - places[last.release], point.conditions) == (1, last.conditions):
            found[-1].append(point)
        else:
            found.append([point])
    return found
