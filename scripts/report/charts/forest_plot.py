"""One figure a comparison: every metric's change with its interval and its threshold.

Verdicts differ in shape, not only in colour.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.inference.comparison import Effect, Verdict
from scripts.inference.intervals import Interval
from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Chart
from scripts.report.tables.formatting import percent

_ROW_PX, _TITLE_PX = 34, 18
_TITLE_LETTERS = 88  # in a line
_FARTHEST = 60.0  # percent: a larger change is drawn at the edge, with its figure beside it
_STYLES: dict[Verdict, tuple[str, str]] = {  # colour role and marker
    "regression": ("second", "D"),
    "improvement": ("first", "s"),
    "within threshold": ("text", "o"),
    "inconclusive": ("text", "x"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlotRow:
    """One metric's change, in percent."""

    label: str  # without the unit, with an arrow for the good direction
    change: str  # the estimate as people read it
    estimate: float
    low: float
    high: float
    threshold: tuple[float, float]  # changes between these are within the threshold
    verdict: Verdict


def chart(title: str, found: Sequence[Effect]) -> Chart:
    """The metrics that have an interval, in the order of the table."""
    rows = [_row(effect, effect.interval) for effect in found if effect.interval is not None]
    return Chart(make=_figure, data=(title, tuple(rows)))


def _row(effect: Effect, interval: Interval) -> PlotRow:
    low, estimate, high = (math.expm1(end) * 100 for end in (interval.low, interval.estimate, interval.high))
    return PlotRow(
        label=effect.metric.short_title.replace(effect.metric.title, effect.metric.words),
        change=percent(interval.estimate),
        estimate=estimate,
        low=low,
        high=high,
        threshold=(math.expm1(-effect.threshold) * 100, math.expm1(effect.threshold) * 100),
        verdict=effect.verdict,
    )


def _figure(title: str, rows: Sequence[PlotRow]) -> Figure:
    lines = textwrap.wrap(title, _TITLE_LETTERS)
    above_px = 40 + _TITLE_PX * len(lines)
    height_px = above_px + 52 + _ROW_PX * max(1, len(rows))
    figure = svg.figure(height_px)
    figure.suptitle("\n".join(lines), x=0.02, y=1 - 12 / height_px, ha="left", va="top", fontsize=13, fontweight="bold")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.2, right=0.9, top=1 - above_px / height_px, bottom=44 / height_px)
    reach = min(_FARTHEST, max([1.0, *(1.15 * abs(end) for row in rows for end in (row.low, row.estimate, row.high))]))
    axes.set_xlim(-reach, reach)
    for place, row in enumerate(rows):
        _draw_row(axes, place, row, reach)
    axes.axvline(0, color=LIGHT["text"], linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("change against the baseline (%) with its interval; grey: within the threshold")
    axes.tick_params(length=3)
    for verdict, (role, marker) in _STYLES.items():
        axes.plot([], [], color=LIGHT[role], marker=marker, linestyle="", label=verdict)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, handlelength=1.2)
    return figure


def _draw_row(axes: Axes, place: int, row: PlotRow, reach: float) -> None:
    left, right = row.threshold
    axes.barh(place, right - left, left=left, height=0.55, color=LIGHT["grid"])
    role, marker = _STYLES.get(row.verdict, ("text", "x"))
    colour = LIGHT[role]
    axes.text(1.02, place, row.change, transform=axes.get_yaxis_transform(), va="center", color=LIGHT["text"])
    if abs(row.estimate) > reach:
        axes.plot(
            [math.copysign(reach * 0.97, row.estimate)], [place], color=colour, marker=">" if row.estimate > 0 else "<"
        )
        return
    axes.plot([max(row.low, -reach), min(row.high, reach)], [place, place], color=colour)
    axes.plot([row.estimate], [place], color=colour, marker=marker, markersize=7)
