"""One picture a scenario, over releases that each met a load once: throughput and response times.

Such runs were made at different hours, so nothing is tested. Points are medians with the lowest and highest run. A
point that must not be ranked is hollow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.grouping import Cell, release_key
from scripts.analysis.metrics import METRICS, Metric
from scripts.config.matrix import Suite
from scripts.records.schema import LocustRow
from scripts.report.charts import history_chart
from scripts.report.charts.history_chart import Panel, Point
from scripts.report.charts.svg import Chart
from scripts.report.tables import notes
from scripts.report.tables.published import Published

_LIMITS = {"ceiling_use": 1.0}
_P50, _P99 = 0, 7  # among locust's percentiles
_FEWEST_RELEASES = 3
_BARS = "median, bar from lowest to highest run"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """One scenario under one profile, over releases."""

    name: str  # of its picture, without theme and suffix
    chart: Chart


def reported(suite: Suite, made: Sequence[Sequence[Cell]], reports: Mapping[str, Published]) -> Reported | None:
    """The picture of a scenario's tables; None for too few releases, and where campaigns show more.

    It shows the first table. Another table adds its releases only where the profile alone differs: such releases cannot
    have the workers and threads of the first table.
    """
    table, *others = made
    requested = table[0].requested
    shown = list(table)
    for other in others:
        if notes.only_profile_differs(table[0], other[0]):
            shown += [cell for cell in other if cell.requested.release not in {one.requested.release for one in shown}]
    declared = {release.version for release in suite.releases}
    good = [cell for cell in shown if cell.ok and cell.requested.release in declared]
    served = requested.engine in {engine.name for engine in suite.engines}  # not the mock API, nor an engine that left
    if len(good) < _FEWEST_RELEASES or not served or any(cell.requested.campaign for cell in shown):
        return None
    good.sort(key=lambda cell: release_key(cell.requested.release))
    figures = [metric for metric in METRICS if "report chart" in metric.shown_in]
    panels = [panel for metric in figures if (panel := _panel(metric, good, table[0], reports)).points]
    if not panels:  # counts, which have a picture of their own
        return None
    title = f"{grouping.title(suite, requested)}, profile {requested.profile.name}"
    chart = history_chart.over_releases(suite, title, requested.engine, requested.flow, panels, bars=_BARS)
    return Reported(name=f"releases-{requested.profile.name}-{requested.engine}-{requested.flow}", chart=chart)


def _panel(metric: Metric, good: Sequence[Cell], foremost: Cell, reports: Mapping[str, Published]) -> Panel:
    scale = history_chart.shown_scale(metric)
    points = [
        Point(
            release=cell.requested.release,
            value=spread.median / scale, low=spread.low / scale, high=spread.high / scale,
            counts=cell.counts(metric), conditions=cell.conditions,
        )
        for cell in good
        if (spread := cell.spread(metric.name)) is not None
    ]  # fmt: skip
    return Panel(
        title=history_chart.panel_title(metric),
        points=tuple(points),
        published=_published(metric, foremost, reports),
        limit=_LIMITS.get(metric.name),
    )


def _published(metric: Metric, cell: Cell, reports: Mapping[str, Published]) -> tuple[str, float] | None:
    """The figure published for that scenario under the same Config: locust's own, failures included."""
    requested = cell.requested
    for release, report in reports.items():
        same = (report.users, report.run_time_s, report.threads) == (
            requested.profile.users, requested.profile.run_time_s, requested.profile.threads
        )  # fmt: skip
        for one in report.scenarios:
            if same and (one.engine, one.flow) == (requested.engine, requested.flow):
                figure = _of_row(metric, one.row)
                return None if figure is None else (release, figure)
    return None


def _of_row(metric: Metric, row: LocustRow) -> float | None:
    return {
        "throughput_rps": row.requests_per_s,
        "response_time_p50_ms": row.percentiles[_P50],
        "response_time_p99_ms": row.percentiles[_P99],
    }.get(metric.name)
