"""One figure of all scenarios: the capacity of releases, with the range of the runs that confirm it.

The axis begins at zero. A triangle is "at least". Only neighbours with the same workers and threads are joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.report.charts import axis, heading, release_points, svg
from scripts.report.charts.form import Form
from scripts.report.charts.heading import Heading
from scripts.report.charts.svg import LIGHT, Chart, Look

_TITLE_PX, _PANEL_PX = 30, 150
_HEADROOM = 1.2  # of the highest value
_CEILING: Look = {"color": LIGHT["first"], "linestyle": "", "marker": "o", "markersize": 6}
_AT_LEAST: Look = {**_CEILING, "marker": "^", "markersize": 8, "fillstyle": "none"}
_HATCHED: Look = {"facecolor": LIGHT["background"], "edgecolor": LIGHT["grid"], "hatch": "////", "linewidth": 0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point(release_points.Point):
    """The capacity of a release, in requests a second; its conditions are the server's workers and threads."""

    is_ceiling: bool  # else the server can do at least that


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A scenario."""

    title: str
    points: tuple[Point, ...]
    absent: Mapping[str, str]  # releases without a point, and why in one or two words
    unsupported: tuple[str, ...] = ()  # releases that do not serve it


def chart(title: str, releases: Sequence[str], panels: Sequence[Panel]) -> Chart:
    """`releases`: the places of the axis, in order."""
    return Chart(make=_figure, data=(title, tuple(releases), tuple(panels)))


def _figure(form: Form, title: str, releases: Sequence[str], panels: Sequence[Panel]) -> Figure:
    head = Heading(
        form=form,
        title=title,
        legend=[
            heading.mark("capacity, lowest to highest run", _CEILING),
            heading.mark("at least", _AT_LEAST),
            heading.area("does not serve it", _HATCHED),
        ],
    )
    pitch_px = _TITLE_PX + _PANEL_PX + axis.RELEASES_PX
    figure = svg.figure(form, head.height_px + pitch_px * len(panels))
    head.draw(figure)
    places = {release: place for place, release in enumerate(releases)}
    for number, panel in enumerate(panels):
        axes = axis.panel(figure, head.height_px + pitch_px * number + _TITLE_PX, _PANEL_PX)
        axis.places(axes, releases)
        _panel(axes, panel, places)
    return figure


def _panel(axes: Axes, panel: Panel, places: Mapping[str, int]) -> None:
    axes.set_title(panel.title, fontweight="bold")
    shown = sorted((point for point in panel.points if point.release in places), key=lambda one: places[one.release])
    for run in release_points.unbroken(shown, places):
        _line(axes, run, places)
    _setups(axes, shown, places)
    for release in panel.unsupported:
        if release in places:
            axes.axvspan(places[release] - 0.5, places[release] + 0.5, **_HATCHED)
    for release, why in panel.absent.items():
        if release in places:
            axes.text(
                places[release], 0.04, why, rotation=90, ha="center", va="bottom",
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    axis.scale(axes, [0.0, *(_HEADROOM * point.high for point in shown)])


def _setups(axes: Axes, shown: Sequence[Point], places: Mapping[str, int]) -> None:
    """Name the setup where it changes, above its first release; nothing where all have the same."""
    setups = [(setup, next(group)) for setup, group in itertools.groupby(shown, lambda point: point.conditions)]
    for setup, first in setups if len(setups) > 1 else ():
        axes.text(
            places[first.release] - 0.2, 0.99, f"workers x threads: {setup}", va="top",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _line(axes: Axes, shown: Sequence[Point], places: Mapping[str, int]) -> None:
    at = [places[point.release] for point in shown]
    release_points.bars(axes, at, shown, color=LIGHT["first"], linewidth=1, elinewidth=1.4, capsize=3)
    for is_ceiling, look in ((True, _CEILING), (False, _AT_LEAST)):
        some = [point for point in shown if point.is_ceiling == is_ceiling]
        axes.plot([places[point.release] for point in some], [point.value for point in some], **look)
