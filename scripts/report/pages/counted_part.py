"""What counts say over releases, beside CPU time: a picture a scenario, and where the two part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.grouping import Cell
from scripts.analysis.metrics import METRICS
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts import counts_chart
from scripts.report.charts.counts_chart import Point, Series
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
    found = [_part(suite, one, _counts(cells, one)) for one in histories]
    return [one for one in found if one is not None]


def _counts(cells: Sequence[Cell], history: ReleaseHistory) -> dict[str, tuple[float, float, float]]:
    """Median, lowest and highest count by release, of the newest counts of each."""
    found: dict[str, tuple[float, float, float]] = {}
    for cell in reversed(grouping.best_first(cells)):
        requested = cell.requested
        scenario = (requested.engine, requested.flow)
        spread = cell.spread(_COUNT.name) if requested.profile.name == COUNT else None
        if scenario == (history.engine, history.flow) and spread is not None:
            found[requested.release] = (spread.median, spread.low, spread.high)
    return found


def _part(
    suite: Suite, history: ReleaseHistory, counts: Mapping[str, tuple[float, float, float]]
) -> CountedPart | None:  # fmt: skip
    times = next((one for one in history.metrics if one.metric == _TIME), None)
    if times is None or times.figures[0].release not in counts:
        return None
    first, base = times.figures[0], counts[times.figures[0].release][0]
    releases = [figure.release for figure in times.figures]
    title = history_text.title(suite, history)
    counted = [
        Point(release=release, value=v / base * 100, low=low / base * 100, high=high / base * 100)
        for release in releases
        if release in counts
        for v, low, high in [counts[release]]
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


def _where_they_part(
    suite: Suite, history: ReleaseHistory, counts: Mapping[str, tuple[float, float, float]]
) -> Iterator[Markdown]:
    """Releases whose change of the count lies outside the interval of their change of CPU time."""
    for change in history.against_before(_TIME.name):
        if change.release not in counts or change.before not in counts:
            continue
        counted = math.log(counts[change.release][0] / counts[change.before][0])
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
