"""One figure a scenario: counted instructions and CPU time of a request over releases, both against the first release.

On one scale the eye sees where they part. CPU time has intervals; counts hardly need any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Chart

_HEIGHT_PX, _TEXT = 360, 12
_STYLES = (("first", "o"), ("second", "s"))  # colour role and marker of each series


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A release, in percent of the first."""

    release: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """What is drawn as one line."""

    name: str
    points: tuple[Point, ...]


def chart(title: str, releases: Sequence[str], series: Sequence[Series]) -> Chart:
    """`releases`: the places of the axis, in order."""
    return Chart(make=_figure, data=(title, tuple(releases), tuple(series)))


def _figure(title: str, releases: Sequence[str], series: Sequence[Series]) -> Figure:
    figure = svg.figure(_HEIGHT_PX)
    figure.suptitle(title, x=0.02, y=0.975, ha="left", va="top", fontsize=13, fontweight="bold")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.075, right=0.985, top=0.86, bottom=0.22)
    places = {release: place for place, release in enumerate(releases)}
    for number, one in enumerate(series):
        _line(axes, one, places, number, len(series))
    axes.axhline(100, color=LIGHT["edge"], linewidth=0.8)
    axes.set_xticks(range(len(releases)), list(releases), rotation=60, ha="right", rotation_mode="anchor", fontsize=10)
    axes.set_xlim(-0.7, len(releases) - 0.3)
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    axes.tick_params(axis="y", labelsize=_TEXT, length=3)
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 1.14), ncols=len(series), fontsize=_TEXT)
    return figure


def _line(axes: Axes, one: Series, places: dict[str, int], number: int, of: int) -> None:
    """A line with bars; the series stand a little beside each other, so that no bar hides another."""
    role, marker = _STYLES[number]
    points = [point for point in one.points if point.release in places]
    at = [places[point.release] + 0.16 * (number - (of - 1) / 2) for point in points]
    axes.errorbar(
        at, [point.value for point in points],
        yerr=[[point.value - point.low for point in points], [point.high - point.value for point in points]],
        color=LIGHT[role], marker=marker, markersize=4.5, linewidth=1, elinewidth=1.2, label=one.name,
    )  # fmt: skip
