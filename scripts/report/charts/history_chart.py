"""One figure a scenario: its metrics over releases, with intervals, changes, unsupported releases and other events.

Releases are in version order. A release without a figure has its place, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.analysis.metrics import Metric
from scripts.config.matrix import Suite
from scripts.inference.release_history import MetricHistory
from scripts.report.charts import axis, heading, release_points, svg
from scripts.report.charts.form import Form
from scripts.report.charts.heading import Heading, Mark
from scripts.report.charts.svg import LIGHT, Chart, Look
from scripts.report.tables import history_text

_TITLE_PX, _PANEL_PX = 26, 110
_MIB = 2**20
_POINT: Look = {"color": LIGHT["first"], "marker": "o", "markersize": 4, "linewidth": 1}
_UNRANKED = "not to be ranked"
_HOLLOW: Look = _POINT | {"linestyle": "", "fillstyle": "none"}
_CHANGE: Look = {"color": LIGHT["second"], "marker": "D", "markersize": 8, "linestyle": ""}
_PUBLISHED: Look = {"color": LIGHT["users"], "marker": "*", "markersize": 10, "linestyle": ""}
_JUMP: Look = {"color": LIGHT["edge"], "marker": "^", "markersize": 6, "linestyle": ""}
_LIMIT: Look = {"color": LIGHT["edge"], "linewidth": 1, "linestyle": (0, (5, 3))}
_NOTE: Look = {"color": LIGHT["edge"], "linewidth": 1.4, "linestyle": (0, (1, 2))}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point(release_points.Point):
    """One release in a panel."""

    counts: bool = True  # may be ranked; else drawn hollow, and joined to nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One metric."""

    title: str
    points: tuple[Point, ...]
    changes: tuple[str, ...] = ()  # releases at which it changed
    relative: bool = False  # to the first point, so that there is a scale of changes, too
    published: tuple[str, float] | None = None  # the release and the figure published for it
    limit: float | None = None  # the highest possible value, drawn as a line

    @property
    def values(self) -> list[float]:
        """All that its scale has to show."""
        ends = [end for point in self.points for end in (point.low, point.value, point.high)]
        return [*ends, *([self.published[1]] if self.published else []), *([] if self.limit is None else [self.limit])]


def panel(one: MetricHistory) -> Panel:
    """A metric's figures in the unit of its axis."""
    scale = shown_scale(one.metric)
    points = [
        Point(release=f.release, value=f.value / scale, low=f.low / scale, high=f.high / scale) for f in one.figures
    ]
    changed = tuple(change.release for change in one.changes)
    return Panel(title=panel_title(one.metric), points=tuple(points), changes=changed, relative=points[0].value > 0)


def panel_title(metric: Metric) -> str:
    """The metric with its unit and its good direction, e.g. "overhead p50, ms, lower is better"."""
    unit = "MiB" if metric.unit == "bytes" else metric.unit
    return ", ".join(filter(None, [metric.words, unit, metric.direction]))


def shown_scale(metric: Metric) -> float:
    """How many of the metric's own unit make one of the axis."""
    return _MIB if metric.unit == "bytes" else 1.0


def over_releases(
    suite: Suite, title: str, engine_name: str, flow: str, panels: Sequence[Panel], *, bars: str,
    hollow: str = _UNRANKED, jumped: Collection[str] = (),
) -> Chart:  # fmt: skip
    """Panels over all releases that have the engine, with unsupported releases and what else changed."""
    engine = suite.engine(engine_name)
    releases = [release for release in suite.releases if suite.has_engine(release, engine)]
    unsupported = {r.version: entry.outcome for r in releases if (entry := suite.why_unsupported(r, flow))}
    notes = history_text.behaviours(suite)
    return chart(
        title, [r.version for r in releases], panels, unsupported, notes, bars=bars, hollow=hollow, jumps=jumped
    )


def chart(
    title: str, releases: Sequence[str], panels: Sequence[Panel], unsupported: Mapping[str, str],
    notes: Mapping[str, str], *, bars: str, hollow: str = _UNRANKED, jumps: Collection[str] = (),
) -> Chart:  # fmt: skip
    """Draw the panels under each other.

    `unsupported`: outcomes, `notes`: what else changed, both by release. `bars`: what the points and their bars are.
    `hollow`: what hollow points are. `jumps`: releases with other major versions of packages that serve requests.
    """
    return Chart(
        make=_figure,
        data=(title, tuple(releases), tuple(panels), dict(unsupported), dict(notes), (bars, hollow), tuple(jumps)),
    )


def _figure(
    form: Form, title: str, releases: Sequence[str], panels: Sequence[Panel], unsupported: Mapping[str, str],
    notes: Mapping[str, str], words: tuple[str, str], jumps: Collection[str],
) -> Figure:  # fmt: skip
    places = {release: place for place, release in enumerate(releases)}
    shown = {release: text for release, text in notes.items() if release in places}
    jumped = [places[release] for release in releases if release in jumps]
    below = [f"{release}: {text}." for release, text in shown.items()]
    if relative := [panel for panel in panels if panel.relative]:
        below = [f"Scale at the right: change against {relative[0].points[0].release}.", *below]
    head = Heading(
        form=form, title=title, notes=below,
        legend=list(_legend(panels, words, jumps=bool(jumped), notes=bool(shown), unsupported=bool(unsupported))),
    )  # fmt: skip
    pitch_px = _TITLE_PX + _PANEL_PX + axis.RELEASES_PX
    figure = svg.figure(form, head.height_px + pitch_px * len(panels))
    head.draw(figure)
    for number, panel in enumerate(panels):
        axes = axis.panel(
            figure, head.height_px + pitch_px * number + _TITLE_PX, _PANEL_PX,
            right_px=axis.right_px(with_scale=bool(relative)),
        )  # fmt: skip
        axis.places(axes, releases)
        _panel(axes, panel, places, unsupported, shown)
        axes.plot(jumped, [0.0] * len(jumped), **_JUMP, clip_on=False, transform=axes.get_xaxis_transform())
    return figure


def _legend(
    panels: Sequence[Panel], words: tuple[str, str], *, jumps: bool, notes: bool, unsupported: bool
) -> Iterator[Mark]:
    """What the picture has, and nothing else."""
    points = [point for panel in panels for point in panel.points]
    bars, hollow = words
    yield heading.mark(bars, _POINT)
    if not all(point.counts for point in points):
        yield heading.mark(hollow, _HOLLOW)
    if any(panel.changes for panel in panels):
        yield heading.mark("changed beyond noise and threshold", _CHANGE)
    if any(panel.published for panel in panels):
        yield heading.mark("published figure", _PUBLISHED)
    if any(panel.limit is not None for panel in panels):
        yield heading.mark("highest possible", _LIMIT)
    if jumps:
        yield heading.mark("another major version of a package", _JUMP)
    if notes:
        yield heading.mark("promptflow changed, see below", _NOTE)
    if unsupported:
        yield heading.area("cannot serve the flow")
    yield from heading.cut(panel.values for panel in panels)


def _panel(
    axes: Axes, panel: Panel, places: Mapping[str, int], unsupported: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    for release in notes:
        axes.axvline(places[release] - 0.5, **_NOTE)
    for release in unsupported:
        axes.axvspan(places[release] - 0.5, places[release] + 0.5, color=LIGHT["area"], linewidth=0)
    if panel.limit is not None:
        axes.axhline(panel.limit, **_LIMIT)
    _points(axes, [point for point in panel.points if point.counts], places, joined=True)
    _points(axes, [point for point in panel.points if not point.counts], places, joined=False)
    changed = [point for point in panel.points if point.release in panel.changes]
    axes.plot([places[point.release] for point in changed], [point.value for point in changed], **_CHANGE)
    if panel.published is not None and panel.published[0] in places:
        axes.plot([places[panel.published[0]]], [panel.published[1]], **_PUBLISHED)
    axis.scale(axes, panel.values)
    axes.set_title(panel.title)
    if panel.relative:
        axis.percent_scale(axes, panel.points[0].value)


def _points(axes: Axes, shown: Sequence[Point], places: Mapping[str, int], *, joined: bool) -> None:
    """Releases in order with their intervals; the line breaks where a release is missing."""
    for run in release_points.unbroken(shown, places) if joined else ():
        axes.plot([places[p.release] for p in run], [p.value for p in run], color=LIGHT["first"], linewidth=1)
    if shown:
        release_points.bars(
            axes, [places[point.release] for point in shown], shown, fmt="o", markersize=4, color=LIGHT["first"],
            elinewidth=1.2, fillstyle="full" if joined else "none",
        )  # fmt: skip
