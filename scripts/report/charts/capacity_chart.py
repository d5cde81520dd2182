"""One figure of all scenarios: the capacity of releases, with the range of the runs that confirm it.

The axis begins at zero. A triangle is "at least". Only neighbours with the same workers and threads are joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Chart

_PANEL_PX, _HEAD_PX, _FOOT_PX, _TEXT = 170, 62, 76, 12
_HEADROOM = 1.2  # of the highest value
_HATCHED: Any = {"facecolor": LIGHT["background"], "edgecolor": LIGHT["grid"], "hatch": "////", "linewidth": 0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """The capacity of a release, in requests a second."""

    release: str
    value: float
    low: float
    high: float
    is_ceiling: bool  # else the server can do at least that
    setup: str  # points of another setup are not joined


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


def _figure(title: str, releases: Sequence[str], panels: Sequence[Panel]) -> Figure:
    height_px = _HEAD_PX + _PANEL_PX * len(panels) + _FOOT_PX
    figure = svg.figure(height_px)
    figure.suptitle(title, x=0.01, y=1 - 8 / height_px, ha="left", va="top", fontsize=13, fontweight="bold")
    every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.065, right=0.985, top=1 - _HEAD_PX / height_px, bottom=_FOOT_PX / height_px, hspace=0.36
    )
    places = {release: place for place, release in enumerate(releases)}
    for axes, panel in zip(every, panels, strict=True):
        _panel(axes, panel, places)
    last = every[-1]
    last.set_xticks(
        range(len(releases)), list(releases), rotation=50, ha="right", rotation_mode="anchor", fontsize=_TEXT
    )
    last.set_xlim(-0.7, len(releases) - 0.3)
    figure.legend(
        handles=[
            Line2D([], [], color=LIGHT["first"], marker="o", markersize=6, label="capacity, lowest to highest run"),
            Line2D([], [], color=LIGHT["first"], marker="^", markersize=8, fillstyle="none", label="at least"),
            Patch(**_HATCHED, label="does not serve it"),
        ],
        loc="upper right", bbox_to_anchor=(0.99, 1 - 2 / height_px), ncols=3, fontsize=_TEXT,
    )  # fmt: skip
    return figure


def _panel(axes: Axes, panel: Panel, places: Mapping[str, int]) -> None:
    axes.set_title(panel.title, loc="left", fontsize=_TEXT, fontweight="bold")
    points = sorted((point for point in panel.points if point.release in places), key=lambda one: places[one.release])
    order = {point.release: number for number, point in enumerate(points)}  # the same step as that of the places
    for _, group in itertools.groupby(points, lambda one: (one.setup, places[one.release] - order[one.release])):
        _line(axes, list(group), places)
    _setups(axes, points, places)
    for release in panel.unsupported:
        if release in places:
            axes.axvspan(places[release] - 0.5, places[release] + 0.5, **_HATCHED)
    for release, why in panel.absent.items():
        if release in places:
            axes.text(
                places[release], 0.04, why, rotation=90, ha="center", va="bottom", fontsize=_TEXT,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    axes.set_ylim(0, _HEADROOM * max((point.high for point in points), default=1.0))
    axes.tick_params(axis="y", labelsize=_TEXT, length=3)


def _setups(axes: Axes, points: Sequence[Point], places: Mapping[str, int]) -> None:
    """Name the setup where it changes, above its first release; nothing where all have the same."""
    setups = [(setup, next(group)) for setup, group in itertools.groupby(points, lambda point: point.setup)]
    for setup, first in setups if len(setups) > 1 else ():
        axes.text(
            places[first.release] - 0.2, 0.99, f"workers x threads: {setup}", va="top", fontsize=_TEXT,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _line(axes: Axes, points: Sequence[Point], places: Mapping[str, int]) -> None:
    at = [places[point.release] for point in points]
    axes.errorbar(
        at, [point.value for point in points],
        yerr=[[point.value - point.low for point in points], [point.high - point.value for point in points]],
        color=LIGHT["first"], linewidth=1, elinewidth=1.4, capsize=3,
    )  # fmt: skip
    for is_ceiling, marker, size, fill in ((True, "o", 6, "full"), (False, "^", 8, "none")):
        some = [point for point in points if point.is_ceiling == is_ceiling]
        axes.plot(
            [places[point.release] for point in some], [point.value for point in some], linestyle="", marker=marker,
            markersize=size, fillstyle=fill, color=LIGHT["first"],
        )  # fmt: skip
