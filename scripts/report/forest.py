"""One figure a comparison: every metric's change with its interval, beside the change from which it counts.

Pure; imports `canvas` and `comparison`. Verdicts differ in colour and in shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.report import canvas
from scripts.report.canvas import LIGHT, Picture
from scripts.report.comparison import Effect, Verdict

_ROW_PX, _ROOM_PX = 34, 110
_FARTHEST = 60.0  # percent: a larger change is drawn at the edge, and told by its figure
_LOOKS: dict[Verdict, tuple[str, str]] = {  # colour role and marker
    "regression": ("second", "D"),
    "improvement": ("first", "s"),
    "no change": ("edge", "o"),
    "inconclusive": ("text", "x"),
}


def draw(title: str, found: Sequence[Effect]) -> Picture:
    """Draw the metrics that have an interval, in the order of the table."""
    shown = [effect for effect in found if effect.interval is not None]
    return canvas.draw(lambda: _figure(title, shown))


def _figure(title: str, shown: Sequence[Effect]) -> Figure:
    height_px = _ROOM_PX + _ROW_PX * len(shown)
    figure = canvas.figure(height_px)
    figure.suptitle(title, x=0.02, y=1 - 12 / height_px, ha="left", va="top", fontsize=13, fontweight="bold")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.2, right=0.9, top=1 - 58 / height_px, bottom=44 / height_px)
    reach = min(_FARTHEST, max((1.15 * abs(end) for effect in shown for end in _percents(effect)), default=1.0))
    axes.set_xlim(-reach, reach)
    for row, effect in enumerate(shown):
        _row(axes, row, effect, reach)
    axes.axvline(0, color=LIGHT["text"], linewidth=0.8)
    axes.set_yticks(range(len(shown)), [effect.metric.words for effect in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("change against the baseline (%), with its interval; the grey bar is too small to count")
    axes.tick_params(length=3)
    for verdict, (role, marker) in _LOOKS.items():
        axes.plot([], [], color=LIGHT[role], marker=marker, linestyle="", label=verdict)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, handlelength=1.2)
    return figure


def _row(axes: Axes, row: int, effect: Effect, reach: float) -> None:
    small = math.expm1(effect.threshold) * 100
    axes.barh(row, 2 * small, left=-small, height=0.55, color=LIGHT["grid"])
    low, middle, high = _percents(effect)
    role, marker = _LOOKS.get(effect.verdict, ("text", "x"))
    colour = LIGHT[role]
    axes.text(1.02, row, f"{middle:+.1f} %", transform=axes.get_yaxis_transform(), va="center", color=LIGHT["text"])
    if abs(middle) > reach:
        axes.plot([math.copysign(reach * 0.97, middle)], [row], color=colour, marker=">" if middle > 0 else "<")
        return
    axes.plot([max(low, -reach), min(high, reach)], [row, row], color=colour)
    axes.plot([middle], [row], color=colour, marker=marker, markersize=7)


def _percents(effect: Effect) -> tuple[float, float, float]:
    """Lower end, estimate and upper end of the change."""
    interval = effect.interval
    ends = (interval.low, interval.estimate, interval.high) if interval else (0.0, 0.0, 0.0)
    low, middle, high = (math.expm1(end) * 100 for end in ends)
    return low, middle, high
