"""One figure of all releases: how much worse each is than the best one, metric by metric, scenario by scenario.

A row is a release, and leads to its page. A column is a metric of a scenario. The numbers stand in the cells, so that
colours only help the eye.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts.report.charts import axis, svg
from scripts.report.charts.form import WIDE, Form
from scripts.report.charts.heading import Heading
from scripts.report.charts.svg import LIGHT, Chart, Look

_ROW_PX, _LABEL_PX, _HEAD_PX, _GAP_PX = 20, 94, 112, 8
_RIGHT_PX, _SLOPE = 36, 40  # of the slanted headings: room for the last one, and degrees
_LEGEND_PX, _LEGEND_ROW_PX = 94, 22
CLASSES = (2.0, 5.0, 10.0, 25.0, 50.0)  # percent worse than the best; beyond the last is a class of its own
_LIGHT_TEXT_FROM = 4  # class
_MOST_PERCENT = 999
_NOTES = (
    "In a cell: percent worse than the best release of its column, or from 10\u00d7 on how many times as much.",
    "\u25b2 worse, \u25bc better than the release before, beyond noise. Outlined: the worst. Colours, in percent:",
)
_HATCHED: Look = {
    "facecolor": LIGHT["background"], "edgecolor": LIGHT["edge"], "hatch": "////", "linewidth": 0,
}  # fmt: skip


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


def _figure(form: Form, title: str, releases: Sequence[str], panels: Sequence[Panel]) -> Figure:
    bands = [panels] if form == WIDE else [(panel,) for panel in panels]
    rows = [[release for release in releases if any(release not in p.unsupported for p in band)] for band in bands]
    head = Heading(form=form, title=title, notes=_NOTES)
    legend_px = _LEGEND_ROW_PX * math.ceil(len(_legend_texts()) / _legend_columns(form))
    height_px = head.height_px + legend_px + sum(_HEAD_PX + _ROW_PX * len(shown) for shown in rows) + svg.EDGE_PX
    figure = svg.figure(form, height_px)
    head.draw(figure)
    axes = axis.panel(figure, 0, height_px, left_px=0, right_px=0)
    axes.set_axis_off()
    axes.set_xlim(0, form.width_px)
    axes.set_ylim(height_px, 0)
    _legend(axes, form, head.height_px)
    top = head.height_px + legend_px
    for band, shown in zip(bands, rows, strict=True):
        _band(axes, form, band, shown, top)
        top += _HEAD_PX + _ROW_PX * len(shown)
    return figure


def _band(axes: Axes, form: Form, panels: Sequence[Panel], releases: Sequence[str], top: int) -> None:
    """Scenarios beside each other."""
    columns = sum(len(panel.columns) for panel in panels)
    width = (form.width_px - _LABEL_PX - _GAP_PX * (len(panels) - 1) - _RIGHT_PX) / max(1, columns)
    places = {release: top + _HEAD_PX + _ROW_PX * place for place, release in enumerate(releases)}
    for release, y in places.items():
        axes.text(_LABEL_PX - 6, y + _ROW_PX / 2, release, ha="right", va="center")
    left = float(_LABEL_PX)
    for panel in panels:
        _panel(axes, panel, places, left, top, width)
        left += width * len(panel.columns) + _GAP_PX
    for release, y in places.items():  # above the cells, so that the whole row leads to the page
        row = Rectangle((0, y), form.width_px, _ROW_PX, facecolor="none", edgecolor="none")
        row.set_url(f"v{release}/README.md")
        axes.add_artist(row)


def _panel(axes: Axes, panel: Panel, places: dict[str, int], left: float, top: int, width: float) -> None:
    axes.text(left, top + 12, panel.title, va="top", fontweight="bold")
    for number, column in enumerate(panel.columns):
        x = left + width * number
        axes.text(
            x + width / 2, top + _HEAD_PX - 5, column.metric, rotation=_SLOPE, ha="left", va="bottom",
            rotation_mode="anchor",
        )  # fmt: skip
        for cell in column.cells:
            if cell.release in places:
                _cell(axes, cell, x, places[cell.release], width)
    span = width * len(panel.columns)
    for release in panel.unsupported:
        if release in places:
            axes.add_artist(Rectangle((left, places[release] + 1), span - 1, _ROW_PX - 2, **_HATCHED))


def _cell(axes: Axes, cell: Cell, x: float, top: int, width: float) -> None:
    level = level_of(cell.worse)
    outlined = {"edgecolor": LIGHT["text"], "linewidth": 1.2} if cell.is_worst else {"linewidth": 0}
    axes.add_artist(
        Rectangle((x + 0.5, top + 1), width - 1, _ROW_PX - 2, facecolor=LIGHT[f"level {level}"], **outlined)
    )
    axes.text(
        x + width / 2, top + _ROW_PX / 2, text_of(cell), ha="center", va="center", color=LIGHT[_on(level)],
        fontweight="bold" if cell.is_best else "normal",
    )  # fmt: skip


def _on(level: int) -> str:
    """The role of text on a class's colour."""
    return "on dark levels" if level >= _LIGHT_TEXT_FROM else "on light levels"


def level_of(worse: float) -> int:
    """The class of a cell, from 0."""
    return sum(worse >= limit for limit in CLASSES)


def text_of(cell: Cell) -> str:
    """What stands in a cell: percent worse than the best release, with a triangle where the release changed it."""
    mark = {1: "\u25b2", -1: "\u25bc", 0: ""}[cell.changed]
    times = f"{1 + cell.worse / 100:.0f}\u00d7"
    return f"{mark}{'best' if cell.is_best else times if round(cell.worse) > _MOST_PERCENT else f'{cell.worse:.0f}'}"


def _legend_texts() -> list[str]:
    """Of the classes, then of what is hatched."""
    pairs = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(CLASSES)]
    return [f"below {CLASSES[0]:g}", *pairs, f"from {CLASSES[-1]:g}", "not served"]


def _legend_columns(form: Form) -> int:
    return int((form.width_px - 2 * svg.EDGE_PX) / _LEGEND_PX)


def _legend(axes: Axes, form: Form, top: int) -> None:
    for number, text in enumerate(_legend_texts()):
        row, column = divmod(number, _legend_columns(form))
        x, y = svg.EDGE_PX + _LEGEND_PX * column, top + _LEGEND_ROW_PX * row
        is_class = number <= len(CLASSES)
        look = {"facecolor": LIGHT[f"level {number}"], "linewidth": 0} if is_class else _HATCHED
        axes.add_artist(Rectangle((x, y), _LEGEND_PX - 4, _LEGEND_ROW_PX - 4, **look))
        axes.text(
            x + (_LEGEND_PX - 4) / 2, y + (_LEGEND_ROW_PX - 4) / 2, text, ha="center", va="center",
            color=LIGHT[_on(number) if is_class else "text"],
            bbox=None if is_class else {"facecolor": LIGHT["background"], "linewidth": 0, "pad": 1},
        )  # fmt: skip
