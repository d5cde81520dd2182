"""One figure a run: throughput, response time and users over time; the only module that knows matplotlib.

Pure: same timeline, same bytes. Drawn once with the colours of the light theme, from which the dark one is
made by replacing colours, because drawing is what costs. Imports the record only.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.record import Second

WIDTH_PX, HEIGHT_PX = 900, 640  # of the picture on a page
_POINTS_PER_INCH = 72

# Roles and their colours. Series: Okabe and Ito's palette, which colour-blind readers can tell apart; the
# dark theme takes its lighter members. No value may occur twice in a theme.
LIGHT = {
    "text": "#1f2328", "background": "#ffffff", "grid": "#d8dee4", "edge": "#8c959f",
    "first": "#0072b2", "second": "#d55e00", "users": "#009e73",
}  # fmt: skip
DARK = {
    "text": "#e6edf3", "background": "#0d1117", "grid": "#30363d", "edge": "#6e7681",
    "first": "#56b4e9", "second": "#e69f00", "users": "#2fc49a",
}  # fmt: skip
_STYLE: Any = {  # matplotlib's types want every key spelt out
    "svg.hashsalt": "promptflow-serve-bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": LIGHT["text"],
    "axes.labelcolor": LIGHT["text"],
    "axes.edgecolor": LIGHT["edge"],
    "axes.facecolor": LIGHT["background"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "xtick.color": LIGHT["edge"],
    "ytick.color": LIGHT["edge"],
    "xtick.labelcolor": LIGHT["text"],
    "ytick.labelcolor": LIGHT["text"],
    "figure.facecolor": LIGHT["background"],
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "path.simplify": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart in both themes."""

    light: bytes
    dark: bytes


def draw(title: str, timeline: list[Second], floor_ms: float | None, all_users_at_s: float | None) -> Picture:
    """Draw a run as SVG. `floor_ms` is the least an answer can take; None where it is not known."""
    with mpl.rc_context(_STYLE):
        figure = _figure(title, timeline, floor_ms, all_users_at_s)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    light = out.getvalue().replace("'DejaVu Sans', sans-serif", "sans-serif")
    return Picture(light=light.encode(), dark=_darkened(light).encode())


def _figure(title: str, timeline: list[Second], floor_ms: float | None, all_users_at_s: float | None) -> Figure:
    figure = Figure(figsize=(WIDTH_PX / _POINTS_PER_INCH, HEIGHT_PX / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)
    figure.suptitle(title, x=0.075, y=0.98, ha="left", va="top", fontsize=13, fontweight="bold")
    rates, times, users = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    figure.subplots_adjust(left=0.075, right=0.985, top=0.9, bottom=0.07, hspace=0.28)
    seconds = [row.second for row in timeline]
    _rates(rates, seconds, timeline)
    _times(times, seconds, timeline, floor_ms)
    users.plot(seconds, [row.users for row in timeline], color=LIGHT["users"])
    _dress(users, "Users", "users")
    users.set_ylim(bottom=0)
    users.set_xlabel("seconds since the start")
    users.set_xlim(0, max(seconds, default=0) + 1)
    if all_users_at_s is not None:
        _mark_ramp((rates, times, users), all_users_at_s)
    return figure


def _rates(axes: Axes, seconds: list[int], timeline: list[Second]) -> None:
    axes.plot(seconds, [row.requests for row in timeline], color=LIGHT["first"], label="all requests")
    axes.plot(seconds, [row.failures for row in timeline], color=LIGHT["second"], label="failures")
    axes.set_ylim(bottom=0)
    _dress(axes, "Throughput", "requests/s")
    _legend(axes)


def _times(axes: Axes, seconds: list[int], timeline: list[Second], floor_ms: float | None) -> None:
    p50, p95 = ([_or_gap(getattr(row, name)) for row in timeline] for name in ("p50_ms", "p95_ms"))
    for label, values, colour in (("p95", p95, LIGHT["second"]), ("p50", p50, LIGHT["first"])):
        axes.plot(seconds, values, color=colour, marker=".", markevery=_lone(values), label=label)
    seen = [value for value in (*p50, *p95) if not math.isnan(value)]
    if floor_ms is not None:
        axes.axhline(floor_ms, color=LIGHT["text"], linewidth=0.8, linestyle=(0, (4, 3)), label="floor")
        seen.append(floor_ms)
    if seen:
        low, high = min(seen), max(seen)
        room = max((high - low) * 0.08, high * 0.01)
        axes.set_ylim(0 if high > 2 * low else low - room, high + room)
    _dress(axes, "Response time of successes", "ms")
    _legend(axes)


def _dress(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, y=1.0)  # a given y spares matplotlib a layout pass
    axes.locator_params(axis="y", nbins=5, integer=True)
    axes.set_ylabel(unit)
    axes.yaxis.set_label_coords(-0.055, 0.5)
    axes.tick_params(length=3)


def _legend(axes: Axes) -> None:
    """Above the panel, where no line can run."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=3, borderaxespad=0, handlelength=1.8)


def _mark_ramp(panels: tuple[Axes, ...], at_s: float) -> None:
    for axes in panels:
        axes.axvline(at_s, color=LIGHT["edge"], linewidth=0.8, linestyle=(0, (1, 2)))
    panels[-1].annotate("last user started", (at_s, 0), xytext=(5, 5), textcoords="offset points", fontsize=8.5)


def _or_gap(value: float | None) -> float:
    return math.nan if value is None else value


def _lone(values: list[float]) -> list[int]:
    """Places of values between gaps: a line through one point is invisible, so these get a marker."""
    padded = [math.nan, *values, math.nan]
    return [
        n
        for n, value in enumerate(values)
        if not math.isnan(value) and math.isnan(padded[n]) and math.isnan(padded[n + 2])
    ]


def _darkened(svg: str) -> str:
    for role, colour in LIGHT.items():
        svg = svg.replace(colour, DARK[role])
    return svg
