"""One figure a run: throughput, response time and users over time.

Pure: same timeline, same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.records.schema import Second
from scripts.report.charts import axis, heading, svg
from scripts.report.charts.form import COMPACT, Form
from scripts.report.charts.heading import Heading, Mark
from scripts.report.charts.svg import LIGHT, Chart, Look

_LEGEND_PX = 20
_PANELS = (  # title, room for a legend, height
    ("Throughput, requests/s, higher is better", _LEGEND_PX, 100),
    ("Response time of successes, ms, lower is better", _LEGEND_PX, 120),
    ("Users", 0, 60),
)
_TITLE_PX = 26
_PANELS_PX = sum(_TITLE_PX + legend_px + height_px + axis.TICKS_PX for _, legend_px, height_px in _PANELS)
_FIRST: Look = {"color": LIGHT["first"]}
_SECOND: Look = {"color": LIGHT["second"]}
_USERS: Look = {"color": LIGHT["users"]}
_IDEAL: Look = {"color": LIGHT["text"], "linewidth": 0.8, "linestyle": (0, (4, 3))}
_STEADY: Look = {"color": LIGHT["edge"], "linewidth": 1.4, "linestyle": (0, (1, 2))}


def chart(title: str, timeline: list[Second], floor_ms: float | None, steady_from_s: float | None) -> Chart:
    """A run. `floor_ms` is the ideal time, below which no answer is possible; None where it is unknown."""
    return Chart(make=_figure, data=(title, timeline, floor_ms, steady_from_s), form=COMPACT)


def _figure(
    form: Form, title: str, timeline: list[Second], floor_ms: float | None, steady_from_s: float | None
) -> Figure:
    p50, p95 = ([_or_gap(getattr(row, name)) for row in timeline] for name in ("p50_ms", "p95_ms"))
    times = [value for value in (*p50, *p95, _or_gap(floor_ms)) if not math.isnan(value)]
    marks = [] if steady_from_s is None else [heading.mark("steady state from here", _STEADY)]
    head = Heading(form=form, title=title, legend=[*marks, *heading.cut([times])])
    figure = svg.figure(form, head.height_px + _PANELS_PX + axis.LABEL_PX)
    head.draw(figure)
    ideal = [] if floor_ms is None else [heading.mark("ideal time", _IDEAL)]
    legends: tuple[list[Mark], ...] = (
        [heading.mark("all requests", _FIRST), heading.mark("failures", _SECOND)],
        [heading.mark("p50", _FIRST), heading.mark("p95", _SECOND), *ideal],
        [],
    )
    rates, response_times, users = panels = list(_panels(figure, head.height_px, legends))
    seconds = [row.second for row in timeline]
    rates.plot(seconds, [row.requests for row in timeline], **_FIRST)
    rates.plot(seconds, [row.failures for row in timeline], **_SECOND)
    axis.scale(rates, [0, *(row.requests for row in timeline)])
    for values, look in ((p95, _SECOND), (p50, _FIRST)):
        response_times.plot(seconds, values, **look, marker=".", markevery=_lone(values))
    if floor_ms is not None:
        response_times.axhline(floor_ms, **_IDEAL)
    axis.scale(response_times, times)
    users.plot(seconds, [row.users for row in timeline], **_USERS)
    axis.scale(users, [0, *(row.users for row in timeline)])
    for axes in panels:
        axis.along(axes, 0, max(seconds, default=0) + 1, "seconds since the start" if axes is users else "")
        if steady_from_s is not None:
            axes.axvline(steady_from_s, **_STEADY)
    return figure


def _panels(figure: Figure, top_px: int, legends: Sequence[Sequence[Mark]]) -> Iterator[Axes]:
    """Each with its legend above it, where no line can run."""
    for (title, legend_px, height_px), marks in zip(_PANELS, legends, strict=True):
        heading.legend(figure, marks, len(marks), axis.LEFT_PX, top_px + _TITLE_PX)
        top_px += _TITLE_PX + legend_px
        axes = axis.panel(figure, top_px, height_px)
        axes.set_title(title, pad=6 + legend_px)
        yield axes
        top_px += height_px + axis.TICKS_PX


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
