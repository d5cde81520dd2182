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
    figure.subplots_adjust(left=0.24, right=0.97, top=1 - 58 / height_px, bottom=44 / height_px)
    for row, effect in enumerate(shown):
        _row(axes, row, effect)
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


def _row(axes: Axes, row: int, effect: Effect) -> None:
    if effect.interval is None:
        return
    small = math.expm1(effect.threshold) * 100
    axes.barh(row, 2 * small, left=-small, height=0.55, color=LIGHT["grid"])
    middle, low, high = (math.expm1(part) * 100 for part in _parts(effect))
    role, marker = _LOOKS.get(effect.verdict, ("text", "x"))
    axes.plot([low, high], [row, row], color=LIGHT[role])
    axes.plot([middle], [row], color=LIGHT[role], marker=marker, markersize=7)


def _parts(effect: Effect) -> tuple[float, float, float]:
    interval = effect.interval
    return (interval.estimate, interval.low, interval.high) if interval else (0.0, 0.0, 0.0)
