"""One figure a comparison: every metric's change with its interval and its threshold.

Verdicts differ in shape, not only in colour.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.inference.comparison import Effect, Verdict
from scripts.inference.intervals import Interval
from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Picture
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


def draw(title: str, found: Sequence[Effect]) -> Picture:
    """Draw the metrics that have an interval, in the order of the table."""
    shown = [(effect, effect.interval) for effect in found if effect.interval is not None]
    return svg.draw(lambda: _figure(title, shown))


def _figure(title: str, shown: Sequence[tuple[Effect, Interval]]) -> Figure:
    lines = textwrap.wrap(title, _TITLE_LETTERS)
    above_px = 40 + _TITLE_PX * len(lines)
    height_px = above_px + 52 + _ROW_PX * max(1, len(shown))
    figure = svg.figure(height_px)
    figure.suptitle("\n".join(lines), x=0.02, y=1 - 12 / height_px, ha="left", va="top", fontsize=13, fontweight="bold")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.2, right=0.9, top=1 - above_px / height_px, bottom=44 / height_px)
    reach = min(_FARTHEST, max([1.0, *(1.15 * abs(end) for _, interval in shown for end in _percents(interval))]))
    axes.set_xlim(-reach, reach)
    for row, (effect, interval) in enumerate(shown):
        _row(axes, row, effect, interval, reach)
    axes.axvline(0, color=LIGHT["text"], linewidth=0.8)
    axes.set_yticks(range(len(shown)), [_label(effect) for effect, _ in shown])
    axes.set_ylim(max(1, len(shown)) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("change against the baseline (%) with its interval; grey: within the threshold")
    axes.tick_params(length=3)
    for verdict, (role, marker) in _STYLES.items():
        axes.plot([], [], color=LIGHT[role], marker=marker, linestyle="", label=verdict)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, handlelength=1.2)
    return figure


def _row(axes: Axes, row: int, effect: Effect, interval: Interval, reach: float) -> None:
    left, right = (math.expm1(end) * 100 for end in (-effect.threshold, effect.threshold))
    axes.barh(row, right - left, left=left, height=0.55, color=LIGHT["grid"])
    low, middle, high = _percents(interval)
    change = percent(interval.estimate)
    role, marker = _STYLES.get(effect.verdict, ("text", "x"))
    colour = LIGHT[role]
    axes.text(1.02, row, change, transform=axes.get_yaxis_transform(), va="center", color=LIGHT["text"])
    if abs(middle) > reach:
        axes.plot([math.copysign(reach * 0.97, middle)], [row], color=colour, marker=">" if middle > 0 else "<")
        return
    axes.plot([max(low, -reach), min(high, reach)], [row, row], color=colour)
    axes.plot([middle], [row], color=colour, marker=marker, markersize=7)


def _label(effect: Effect) -> str:
    """The metric without its unit, with an arrow for its good direction."""
    return effect.metric.short_title.replace(effect.metric.title, effect.metric.words)


def _percents(interval: Interval) -> tuple[float, float, float]:
    """Lower end, estimate and upper end of the change."""
    low, middle, high = (math.expm1(end) * 100 for end in (interval.low, interval.estimate, interval.high))
    return low, middle, high
