"""One figure of all soaks: memory over the requests served, a panel each, with the lines that its growth is told by.

Each panel has a scale of its own: releases differ in memory by more than any of them grows.

A package of its own, which seals its pictures with its own code. `svg` seals every picture with all modules beside it,
so one more module there would draw all pictures of results/ anew.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.report.charts import axis, heading, svg
from scripts.report.charts.form import WIDE, Form
from scripts.report.charts.heading import Heading
from scripts.report.charts.svg import LIGHT, Chart, Look

_CODE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
_TITLE_PX, _PANEL_PX, _GAP_PX = 40, 130, 10
_FIRST_LINE_PX = 6 + svg.LINE_PX  # above the panel; the second line is matplotlib's own title
_PITCH_PX = _TITLE_PX + _PANEL_PX + axis.TICKS_PX + axis.LABEL_PX + _GAP_PX
_COLUMNS = {WIDE: 3}  # in any other form panels stand below each other
_MEMORY: Look = {"color": LIGHT["first"]}
_WHOLE: Look = {"color": LIGHT["second"], "linewidth": 1.2, "linestyle": (0, (5, 3))}
_LATER: Look = {"color": LIGHT["text"], "linewidth": 1.6}
_STEADY: Look = {"color": LIGHT["edge"], "linewidth": 1.4, "linestyle": (0, (1, 2))}

Point = tuple[float, float]
"""Thousands of requests served, and MiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """A soak."""

    title: str
    about: str  # its second line
    points: tuple[Point, ...]
    steady_from: float | None  # thousands of requests; None: it never came to that
    whole: tuple[Point, ...]  # ends of the line through the steady state; none without one
    later: tuple[Point, ...]  # the same of its second half


def chart(title: str, panels: Sequence[Panel]) -> Chart:
    """The panels in their order."""
    return Chart(make=_figure, data=(title, tuple(panels), _CODE))


def _figure(form: Form, title: str, panels: Sequence[Panel], _code: str) -> Figure:
    head = Heading(
        form=form,
        title=title,
        legend=[
            heading.mark("memory of all server processes", _MEMORY),
            heading.mark("trend", _WHOLE),
            heading.mark("trend of the second half", _LATER),
            heading.mark("steady state from here", _STEADY),
            *heading.cut([memory for _, memory in panel.points] for panel in panels),
        ],
    )
    columns = _COLUMNS.get(form, 1)
    rows = list(itertools.zip_longest(*[iter(panels)] * columns))
    figure = svg.figure(form, head.height_px + _PITCH_PX * len(rows))
    head.draw(figure)
    width_px = form.width_px / columns
    for (row, shown), column in itertools.product(enumerate(rows), range(columns)):
        panel = shown[column]
        if panel is not None:
            axes = axis.panel(
                figure, head.height_px + _PITCH_PX * row + _TITLE_PX, _PANEL_PX,
                left_px=width_px * column + axis.LEFT_PX,
                right_px=width_px * (columns - 1 - column) + axis.right_px(with_scale=False),
            )  # fmt: skip
            _panel(axes, panel, width_px - axis.LEFT_PX)
    return figure


def _panel(axes: Axes, panel: Panel, title_px: float) -> None:
    """Both lines of the title are cut where they would reach the next panel."""
    title, about = (next(iter(svg.lines(text, title_px)), "") for text in (panel.title, panel.about))
    axes.set_title(about)
    axes.text(0, 1 + _FIRST_LINE_PX / _PANEL_PX, title, transform=axes.transAxes, fontweight="bold")
    for points, look in ((panel.points, _MEMORY), (panel.whole, _WHOLE), (panel.later, _LATER)):
        axes.plot([requests for requests, _ in points], [memory for _, memory in points], **look)
    if panel.steady_from is not None:
        axes.axvline(panel.steady_from, **_STEADY)
    axis.scale(axes, [memory for _, memory in panel.points])
    axis.along(axes, 0, max((requests for requests, _ in panel.points), default=0) or 1, "thousand requests served")
