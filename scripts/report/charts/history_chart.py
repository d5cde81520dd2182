"""One figure a scenario: its metrics over releases, with intervals, changes, unsupported releases and other events.

Releases are in version order. A release without a figure has its place, too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.analysis.metrics import Metric
from scripts.config.matrix import Suite
from scripts.inference.release_history import MetricHistory
from scripts.report.charts import svg
from scripts.report.charts.svg import LIGHT, Chart
from scripts.report.tables import history_text

_PANEL_PX, _HEAD_PX, _FOOT_PX = 132, 56, 84
_NOTE_PX, _NOTES_IN_A_ROW = 13, 3
_MIB = 2**20
_SMALLEST_SPAN = 0.1  # of the middle value: a shorter axis makes noise look like change


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One release in a panel."""

    release: str
    value: float  # in the panel's unit
    low: float
    high: float
    counts: bool = True  # may be ranked; else drawn hollow, and joined to nothing
    conditions: str = ""  # points with other conditions are not joined


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One metric."""

    title: str
    unit: str
    points: tuple[Point, ...]
    changes: tuple[str, ...] = ()  # releases at which it changed
    published: tuple[str, float] | None = None  # the release and the figure published for it
    limit: float | None = None  # the highest possible value, drawn as a line


def panel(one: MetricHistory) -> Panel:
    """A metric's figures in the unit of its axis."""
    scale = shown_scale(one.metric)
    points = [
        Point(release=f.release, value=f.value / scale, low=f.low / scale, high=f.high / scale) for f in one.figures
    ]
    changed = tuple(change.release for change in one.changes)
    return Panel(title=panel_title(one.metric), unit=shown_unit(one.metric), points=tuple(points), changes=changed)


def panel_title(metric: Metric) -> str:
    """The metric without its unit, with its good direction."""
    return f"{metric.words} ({metric.direction})" if metric.direction else metric.words


def shown_unit(metric: Metric) -> str:
    """The unit on an axis."""
    return {"bytes": "MiB", "ratio": ""}.get(metric.unit, metric.unit)


def shown_scale(metric: Metric) -> float:
    """How many of the metric's own unit make one of the axis."""
    return _MIB if metric.unit == "bytes" else 1.0


def over_releases(
    suite: Suite, title: str, engine_name: str, flow: str, panels: Sequence[Panel], jumped: Collection[str] = ()
) -> Chart:
    """Panels over all releases that have the engine, with unsupported releases and what else changed."""
    engine = suite.engine(engine_name)
    releases = [release for release in suite.releases if suite.has_engine(release, engine)]
    unsupported = {r.version: entry.outcome for r in releases if (entry := suite.why_unsupported(r, flow))}
    return chart(title, [r.version for r in releases], panels, unsupported, history_text.behaviours(suite), jumped)


def chart(
    title: str, releases: Sequence[str], panels: Sequence[Panel], unsupported: Mapping[str, str],
    notes: Mapping[str, str], jumps: Collection[str] = (),
) -> Chart:  # fmt: skip
    """Draw the panels under each other.

    `unsupported`: outcomes, `notes`: what else changed, both by release. `jumps`: releases with other major versions of
    packages that serve requests.
    """
    return Chart(make=_figure, data=(title, releases, tuple(panels), dict(unsupported), dict(notes), tuple(jumps)))


def _figure(
    title: str, releases: Sequence[str], panels: Sequence[Panel], unsupported: Mapping[str, str],
    notes: Mapping[str, str], jumps: Collection[str],
) -> Figure:  # fmt: skip
    places = {release: place for place, release in enumerate(releases)}
    shown = {release: text for release, text in notes.items() if release in places}
    head_px = _HEAD_PX + _NOTE_PX * math.ceil(len(shown) / _NOTES_IN_A_ROW)
    height_px = head_px + _PANEL_PX * len(panels) + _FOOT_PX
    figure = svg.figure(height_px)
    figure.suptitle(title, x=0.075, y=1 - 10 / height_px, ha="left", va="top", fontsize=13, fontweight="bold")
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.075, right=0.985, top=1 - head_px / height_px, bottom=_FOOT_PX / height_px, hspace=0.36
    )
    for axes, panel in zip(all_axes, panels, strict=True):
        _panel(axes, panel, places, unsupported, shown)
        jumped = [places[release] for release in releases if release in jumps]
        axes.plot(
            jumped, [0.0] * len(jumped), linestyle="", marker="^", markersize=5, color=LIGHT["edge"], clip_on=False,
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    last = all_axes[-1]
    last.set_xticks(range(len(releases)), list(releases), rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    last.set_xlim(-0.7, len(releases) - 0.3)
    for number, (release, text) in enumerate(shown.items()):
        row, column = divmod(number, _NOTES_IN_A_ROW)
        at = (places[release] - 0.45, 0.86)
        all_axes[0].annotate(f"{number + 1}", at, xycoords=("data", "axes fraction"), fontsize=8)
        y = 1 - (34 + _NOTE_PX * row) / height_px
        figure.text(0.075 + 0.305 * column, y, f"{number + 1}  {release}: {text}", fontsize=8, va="top")
    return figure


def _panel(
    axes: Axes, panel: Panel, places: Mapping[str, int], unsupported: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    for release in notes:
        axes.axvline(places[release] - 0.5, color=LIGHT["edge"], linewidth=0.8, linestyle=(0, (1, 2)))
    for release in unsupported:
        axes.axvspan(places[release] - 0.5, places[release] + 0.5, color=LIGHT["grid"], linewidth=0)
    if panel.limit is not None:
        axes.axhline(panel.limit, color=LIGHT["edge"], linewidth=1, linestyle=(0, (5, 3)))
    _points(axes, [point for point in panel.points if point.counts], places, joined=True)
    _points(axes, [point for point in panel.points if not point.counts], places, joined=False)
    changed = [point for point in panel.points if point.release in panel.changes]
    axes.plot(
        [places[point.release] for point in changed], [point.value for point in changed],
        linestyle="", marker="D", markersize=8, color=LIGHT["second"],
    )  # fmt: skip
    if panel.published is not None and panel.published[0] in places:
        axes.plot([places[panel.published[0]]], [panel.published[1]], marker="*", markersize=10, color=LIGHT["users"])
    _widen(axes)
    axes.set_title(panel.title, loc="left", fontsize=10, y=1.0)
    axes.set_ylabel(panel.unit)
    axes.yaxis.set_label_coords(-0.055, 0.5)
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(length=3)


def _widen(axes: Axes) -> None:
    """Show at least a tenth of the middle value."""
    low, high = axes.get_ylim()
    missing = _SMALLEST_SPAN * abs(low + high) / 2 - (high - low)
    if missing > 0:
        axes.set_ylim(low - missing / 2, high + missing / 2)


def _points(axes: Axes, points: Sequence[Point], places: Mapping[str, int], *, joined: bool) -> None:
    """Releases in order with their intervals; the line breaks where a release is missing."""
    for run in _unbroken(points, places) if joined else ():
        axes.plot([places[p.release] for p in run], [p.value for p in run], color=LIGHT["first"], linewidth=1)
    if points:
        axes.errorbar(
            [places[point.release] for point in points], [point.value for point in points],
            yerr=[[point.value - point.low for point in points], [point.high - point.value for point in points]],
            fmt="o", markersize=4, color=LIGHT["first"], elinewidth=1.2, fillstyle="full" if joined else "none",
        )  # fmt: skip


def _unbroken(points: Sequence[Point], places: Mapping[str, int]) -> list[list[Point]]:
    found: list[list[Point]] = []
    for point in points:
        last = found[-1][-1] if found else point
        if (places[point.release] - places[last.release], point.conditions) == (1, last.conditions):
            found[-1].append(point)
        else:
            found.append([point])
    return found
