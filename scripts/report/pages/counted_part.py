"""What counts say over releases, beside CPU time: a picture a scenario, and where the two part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.grouping import Cell, Spread
from scripts.analysis.metrics import METRICS
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts import counts_chart
from scripts.report.charts.counts_chart import Series
from scripts.report.charts.release_points import Point
from scripts.report.charts.svg import Chart
from scripts.report.tables import history_text
from scripts.report.tables.formatting import Markdown, filled, percent, prose

_COUNT, _TIME = (
    next(metric for metric in METRICS if metric.name == name)
    for name in ("instructions_per_request", "cpu_per_request_ms")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedPart:
    """One scenario."""

    title: str
    name: str  # of the picture, without theme and suffix
    chart: Chart
    parts: list[Markdown]  # where counts and CPU time part, one line a release


def parts(suite: Suite, cells: Sequence[Cell], histories: Sequence[ReleaseHistory]) -> list[CountedPart]:
    """One for each history over releases of which there are counts."""
    found = [_part(suite, one, counts(cells, one.engine, one.flow, suite.python)) for one in histories]
    return [one for one in found if one is not None]


def counts(cells: Sequence[Cell], engine: str, flow: str, python: str) -> dict[str, Spread]:
    """The instructions of a request by release, of the newest counts of each on a Python, e.g. "3.11"."""
    found: dict[str, Spread] = {}
    for cell in reversed(grouping.best_first(cells, python)):
        requested = cell.requested
        spread = cell.spread(_COUNT.name) if requested.profile.name == COUNT else None
        if (requested.engine, requested.flow, requested.python) == (engine, flow, python) and spread is not None:
            found[requested.release] = spread
    return found


def _part(suite: Suite, history: ReleaseHistory, counts: Mapping[str, Spread]) -> CountedPart | None:
    times = next((one for one in history.metrics if one.metric == _TIME), None)
    if times is None or times.figures[0].release not in counts:
        return None
    first, base = times.figures[0], counts[times.figures[0].release].median
    releases = [figure.release for figure in times.figures]
    title = history_text.title(suite, history)
    counted = [
        Point(release=release, value=one.median / base * 100, low=one.low / base * 100, high=one.high / base * 100)
        for release in releases
        if (one := counts.get(release)) is not None
    ]
    timed = [
        Point(
            release=one.release, value=one.value / first.value * 100, low=one.low / first.value * 100,
            high=one.high / first.value * 100,
        )
        for one in times.figures
    ]  # fmt: skip
    series = (Series(name=_COUNT.words, points=tuple(counted)), Series(name=_TIME.words, points=tuple(timed)))
    return CountedPart(
        title=title,
        name=f"history-counts-{history.engine}-{history.flow}",
        chart=counts_chart.chart(
            f"{title}: work and time of a request, in percent of {first.release}", releases, series
        ),
        parts=list(_where_they_part(suite, history, counts)),
    )


def _where_they_part(suite: Suite, history: ReleaseHistory, counts: Mapping[str, Spread]) -> Iterator[Markdown]:
    """Releases whose change of the count lies outside the interval of their change of CPU time."""
    for change in history.against_before(_TIME.name):
        if change.release not in counts or change.before not in counts:
            continue
        counted = math.log(counts[change.release].median / counts[change.before].median)
        if change.interval.low <= counted <= change.interval.high:
            continue
        causes = [
            prose(f" {cause.text}.")
            for cause in suite.causes
            if cause.release == change.release and {_COUNT.name, _TIME.name} & set(cause.metrics)
            and history.engine in (cause.engines or (history.engine,))
        ]  # fmt: skip
        yield filled(
            "**{}** against {}: {} {}, {} {} ({} to {}).{}",
            change.release, change.before, _COUNT.words, percent(counted), _TIME.words,
            percent(change.interval.estimate), percent(change.interval.low), percent(change.interval.high),
            causes[0] if causes else "",
        )  # fmt: skip
