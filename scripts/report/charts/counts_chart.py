"""One figure a scenario: counted instructions and CPU time of a request over releases, both against the first release.

On one scale the eye sees where they part. CPU time has intervals; counts hardly need any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.report.charts import axis, heading, release_points, svg
from scripts.report.charts.form import Form
from scripts.report.charts.heading import Heading
from scripts.report.charts.release_points import Point
from scripts.report.charts.svg import LIGHT, Chart, Look

_PANEL_PX = 230
_FIRST = 100.0  # percent
_LOOKS: tuple[Look, ...] = tuple(  # of each series
    {"color": LIGHT[role], "marker": marker, "markersize": 4.5, "linewidth": 1}
    for role, marker in (("first", "o"), ("second", "s"))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """What is drawn as one line."""

    name: str
    points: tuple[Point, ...]  # in percent of the first


def chart(title: str, releases: Sequence[str], series: Sequence[Series]) -> Chart:
    """`releases`: the places of the axis, in order."""
    return Chart(make=_figure, data=(title, tuple(releases), tuple(series)))


def _figure(form: Form, title: str, releases: Sequence[str], series: Sequence[Series]) -> Figure:
    values = [_FIRST, *(end for one in series for point in one.points for end in (point.low, point.high))]
    marks = [heading.mark(f"{one.name}, lower is better", look) for one, look in zip(series, _LOOKS, strict=False)]
    head = Heading(
        form=form, title=title, legend=[*marks, *heading.cut([values])],
        notes=["Bars are intervals. Scale at the right: change."],
    )  # fmt: skip
    figure = svg.figure(form, head.height_px + _PANEL_PX + axis.RELEASES_PX)
    head.draw(figure)
    axes = axis.panel(figure, head.height_px, _PANEL_PX, right_px=axis.right_px(with_scale=True))
    axis.places(axes, releases)
    places = {release: place for place, release in enumerate(releases)}
    for number, one in enumerate(series):
        _line(axes, one, places, number, len(series))
    axes.axhline(_FIRST, color=LIGHT["edge"], linewidth=0.8)
    axis.scale(axes, values, " %")
    axis.percent_scale(axes, _FIRST)
    return figure


def _line(axes: Axes, one: Series, places: dict[str, int], number: int, of: int) -> None:
    """A line with bars; the series stand a little beside each other, so that no bar hides another."""
    shown = [point for point in one.points if point.release in places]
    at = [places[point.release] + 0.16 * (number - (of - 1) / 2) for point in shown]
    release_points.bars(axes, at, shown, elinewidth=1.2, **_LOOKS[number])
