"""One figure a run: throughput, response time and users over time.

Pure: same timeline, same bytes.
"""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.records.schema import Second
from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Chart

HEIGHT_PX = 640


def chart(title: str, timeline: list[Second], floor_ms: float | None, steady_from_s: float | None) -> Chart:
    """A run. `floor_ms` is the ideal time, below which no answer is possible; None where it is unknown."""
    return Chart(make=_figure, data=(title, timeline, floor_ms, steady_from_s))


def _figure(title: str, timeline: list[Second], floor_ms: float | None, steady_from_s: float | None) -> Figure:
    figure = svg.figure(HEIGHT_PX)
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
    if steady_from_s is not None:
        _mark_steady((rates, times, users), steady_from_s)
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
        axes.axhline(floor_ms, color=LIGHT["text"], linewidth=0.8, linestyle=(0, (4, 3)), label="ideal time")
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


def _mark_steady(panels: tuple[Axes, ...], at_s: float) -> None:
    for axes in panels:
        axes.axvline(at_s, color=LIGHT["edge"], linewidth=0.8, linestyle=(0, (1, 2)))
    panels[-1].annotate("steady state from here", (at_s, 0), xytext=(5, 5), textcoords="offset points", fontsize=8.5)


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
