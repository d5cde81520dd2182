"""One figure a comparison: every metric's change with its interval and its threshold.

Verdicts differ in shape, not only in colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.inference.comparison import Effect, Verdict
from scripts.inference.intervals import Interval
from scripts.report.charts import axis, heading, svg
from scripts.report.charts.form import COMPACT, Form
from scripts.report.charts.heading import Heading
from scripts.report.charts.svg import LIGHT, Chart, Look
from scripts.report.tables.formatting import percent

_ROW_PX = 30
_LABEL_GAP_PX, _CHANGE_PX = 20, 74  # beside the names of metrics, and for the figures at the right
_FARTHEST = 60.0  # percent: a larger change is drawn at the edge, with its figure beside it
_VERDICTS: tuple[tuple[Verdict, str, str], ...] = (  # with colour role and marker
    ("regression", "second", "D"),
    ("improvement", "first", "s"),
    ("within threshold", "text", "o"),
    ("inconclusive", "text", "x"),
)
_LOOKS: dict[Verdict, Look] = {
    verdict: {"color": LIGHT[role], "marker": marker, "markersize": 7, "linestyle": ""}
    for verdict, role, marker in _VERDICTS
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
    return Chart(make=_figure, data=(title, tuple(rows)), form=COMPACT)


def _row(effect: Effect, interval: Interval) -> PlotRow:
    estimate, low, high = (ratio * 100 for ratio in interval.ratios)
    return PlotRow(
        label=effect.metric.short_title.replace(effect.metric.title, effect.metric.words),
        change=percent(interval.estimate),
        estimate=estimate,
        low=low,
        high=high,
        threshold=(math.expm1(-effect.threshold) * 100, math.expm1(effect.threshold) * 100),
        verdict=effect.verdict,
    )


def _figure(form: Form, title: str, rows: Sequence[PlotRow]) -> Figure:
    marks = [heading.mark(verdict, look) for verdict, look in _LOOKS.items()]
    head = Heading(
        form=form, title=title, legend=[*marks, heading.area("threshold")],
        notes=["Arrows show the good direction. Lines are intervals."],
    )  # fmt: skip
    height_px = _ROW_PX * max(1, len(rows))
    figure = svg.figure(form, head.height_px + height_px + axis.TICKS_PX + axis.LABEL_PX)
    head.draw(figure)
    left_px = _LABEL_GAP_PX + max((svg.text_px(row.label) for row in rows), default=0)
    axes = axis.panel(figure, head.height_px, height_px, left_px=left_px, right_px=_CHANGE_PX)
    reach = min(_FARTHEST, max([1.0, *(1.15 * abs(end) for row in rows for end in (row.low, row.estimate, row.high))]))
    axis.along(axes, -reach, reach, "change against the baseline, %", grid=True)
    axis.rows(axes, [row.label for row in rows])
    _draw(axes, rows, reach)
    axes.axvline(0, color=LIGHT["text"], linewidth=0.8)
    return figure


def _draw(axes: Axes, rows: Sequence[PlotRow], reach: float) -> None:
    """What looks the same at once: each call of matplotlib takes a millisecond, and there are hundreds of pictures."""
    starts = [row.threshold[0] for row in rows]
    widths = [right - left for left, right in (row.threshold for row in rows)]
    axes.barh(range(len(rows)), widths, left=starts, height=0.55, color=LIGHT["area"])
    for place, row in enumerate(rows):
        axes.text(1.03, place, row.change, transform=axes.get_yaxis_transform(), va="center", color=LIGHT["text"])
    for look in _LOOKS.values():
        alike = [one for one in enumerate(rows) if _LOOKS.get(one[1].verdict, _LOOKS["inconclusive"]) is look]
        _draw_alike(axes, [one for one in alike if abs(one[1].estimate) <= reach], look, reach)
        for end, marker in ((reach, ">"), (-reach, "<")):
            beyond = [place for place, row in alike if row.estimate / end > 1]
            if beyond:
                axes.plot([end * 0.97] * len(beyond), beyond, color=look["color"], marker=marker, linestyle="")


def _draw_alike(axes: Axes, rows: Sequence[tuple[int, PlotRow]], look: Look, reach: float) -> None:
    """Rows with their places; all lines as one with gaps, and all points."""
    if not rows:
        return
    ends = [end for _, row in rows for end in (max(row.low, -reach), min(row.high, reach), math.nan)]
    axes.plot(ends, [place for place, _ in rows for _ in range(3)], color=look["color"])
    axes.plot([row.estimate for _, row in rows], [place for place, _ in rows], **look)
