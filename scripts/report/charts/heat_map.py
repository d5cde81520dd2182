"""One figure of all releases: how much worse each is than the best one, metric by metric, scenario by scenario.

A row is a release, and leads to its page. A column is a metric of a scenario. The numbers stand in the cells, so that
colours only help the eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Chart

_ROW_PX, _LABEL_PX, _HEAD_PX, _FOOT_PX, _GAP_PX = 20, 94, 128, 60, 8
_RIGHT_PX = 30  # for the last slanted heading
_TEXT = 12  # points, which are pixels at the width of a page
CLASSES = (2.0, 5.0, 10.0, 25.0, 50.0)  # percent worse than the best; beyond the last is a class of its own
_LIGHT_TEXT_FROM = 4  # class
_MOST_SHOWN = 999


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A metric of a release."""

    release: str
    worse: float  # percent than the best release of the column, at least 0
    changed: int  # against the release before: 1 worse, -1 better, 0 no change beyond noise
    is_best: bool = False
    is_worst: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A metric of a scenario."""

    metric: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A scenario."""

    title: str
    columns: tuple[Column, ...]
    unsupported: tuple[str, ...]  # releases that do not serve it


def chart(title: str, releases: Sequence[str], panels: Sequence[Panel]) -> Chart:
    """`releases`: rows from top to bottom."""
    return Chart(make=_figure, data=(title, tuple(releases), tuple(panels)))


def _figure(title: str, releases: Sequence[str], panels: Sequence[Panel]) -> Figure:
    height_px = _HEAD_PX + _ROW_PX * len(releases) + _FOOT_PX
    figure = svg.figure(height_px)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, svg.WIDTH_PX)
    axes.set_ylim(height_px, 0)
    axes.text(8, 10, title, va="top", fontsize=13, fontweight="bold")
    columns = sum(len(panel.columns) for panel in panels)
    width = (svg.WIDTH_PX - _LABEL_PX - _GAP_PX * (len(panels) - 1) - _RIGHT_PX) / max(1, columns)
    places = {release: _HEAD_PX + _ROW_PX * place for place, release in enumerate(releases)}
    for release, top in places.items():
        axes.text(_LABEL_PX - 6, top + _ROW_PX / 2, release, ha="right", va="center", fontsize=_TEXT)
    left = float(_LABEL_PX)
    for panel in panels:
        _panel(axes, panel, places, left, width)
        left += width * len(panel.columns) + _GAP_PX
    for release, top in places.items():  # above the cells, so that the whole row leads to the page
        row = Rectangle((0, top), svg.WIDTH_PX, _ROW_PX, facecolor="none", edgecolor="none")
        row.set_url(f"v{release}/README.md")
        axes.add_patch(row)
    _legend(axes, height_px)
    return figure


def _panel(axes: Axes, panel: Panel, places: dict[str, int], left: float, width: float) -> None:
    axes.text(left, 36, panel.title, va="top", fontsize=_TEXT, fontweight="bold")
    for number, column in enumerate(panel.columns):
        x = left + width * number
        axes.text(
            x + width / 2, _HEAD_PX - 5, column.metric, rotation=40, ha="left", va="bottom", fontsize=_TEXT,
            rotation_mode="anchor",
        )  # fmt: skip
        for cell in column.cells:
            if cell.release in places:
                _cell(axes, cell, x, places[cell.release], width)
    span = width * len(panel.columns)
    for release in panel.unsupported:
        if release in places:
            axes.add_patch(
                Rectangle(
                    (left, places[release] + 1),
                    span - 1,
                    _ROW_PX - 2,
                    facecolor=LIGHT["background"],
                    edgecolor=LIGHT["grid"],
                    hatch="////",
                    linewidth=0,
                )
            )


def _cell(axes: Axes, cell: Cell, x: float, top: int, width: float) -> None:
    level = level_of(cell.worse)
    outlined = {"edgecolor": LIGHT["text"], "linewidth": 1.2} if cell.is_worst else {"linewidth": 0}
    axes.add_patch(Rectangle((x + 0.5, top + 1), width - 1, _ROW_PX - 2, facecolor=LIGHT[f"level {level}"], **outlined))
    axes.text(
        x + width / 2, top + _ROW_PX / 2, text_of(cell), ha="center", va="center", fontsize=_TEXT,
        fontweight="bold" if cell.is_best or cell.is_worst else "normal",
        color=LIGHT["on dark levels" if level >= _LIGHT_TEXT_FROM else "on light levels"],
    )  # fmt: skip


def level_of(worse: float) -> int:
    """The class of a cell, from 0."""
    return sum(worse >= limit for limit in CLASSES)


def text_of(cell: Cell) -> str:
    """What stands in a cell: percent worse than the best release, with a triangle where the release changed it."""
    mark = {1: "\u25b2", -1: "\u25bc", 0: ""}[cell.changed]
    figure = "best" if cell.is_best else f"+{cell.worse:.0f}" if cell.worse <= _MOST_SHOWN else f">{_MOST_SHOWN}"
    return f"{mark}{figure}"


def _legend(axes: Axes, height_px: int) -> None:
    y, x = height_px - _FOOT_PX + 10, float(_LABEL_PX)
    axes.text(_LABEL_PX - 6, y + 8, "% worse", ha="right", va="center", fontsize=_TEXT)
    texts = ["below 2", "2 to 5", "5 to 10", "10 to 25", "25 to 50", "50 and more"]
    for level, text in enumerate(texts):
        axes.add_patch(Rectangle((x, y), 84, 16, facecolor=LIGHT[f"level {level}"], linewidth=0))
        colour = LIGHT["on dark levels" if level >= _LIGHT_TEXT_FROM else "on light levels"]
        axes.text(x + 42, y + 8, text, ha="center", va="center", fontsize=_TEXT, color=colour)
        x += 86
    axes.add_patch(
        Rectangle((x + 6, y), 30, 16, facecolor=LIGHT["background"], edgecolor=LIGHT["grid"], hatch="////", linewidth=0)
    )
    axes.text(x + 42, y + 8, "does not serve it", va="center", fontsize=_TEXT)
    axes.text(
        _LABEL_PX, y + 30,
        "In a cell: percent worse than the best release of its column. Outlined: the worst. "
        "\u25b2 worse, \u25bc better than the release before, beyond noise.",
        va="center", fontsize=_TEXT,
    )  # fmt: skip
