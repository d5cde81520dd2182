"""Makes the explorer's document from the records."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scripts.analysis import distribution
from scripts.analysis.grouping import Cell
from scripts.analysis.metrics import METRICS, Metric
from scripts.analysis.run_reader import Run
from scripts.config.concurrency import Map
from scripts.config.matrix import Suite
from scripts.inference import comparison, recorded_pairs
from scripts.inference.comparison import ArmComparison, Effect
from scripts.inference.paired_rounds import BASELINE
from scripts.inference.recorded_results import RecordedResults
from scripts.inference.release_history import MetricHistory, ReleaseHistory
from scripts.records.schema import HistogramCounts
from scripts.records.storage import RecordError, read_histograms, read_timeline
from scripts.report.explorer.document import (
    Change,
    Curves,
    Document,
    Figures,
    History,
    MetricInfo,
    Pair,
    Point,
    Row,
    RunRow,
)

PERCENTILES = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9)
_DIGITS = 5  # significant; the page shows four
_NO_CURVES = Curves()


def document(suite: Suite, found: RecordedResults, spread: Map) -> Document:
    """Everything that the page shows; reads the timeline and the distributions of every run once more."""
    releases = [release.version for release in suite.releases]
    pairs = recorded_pairs.most_rounds(found.campaigns, itertools.combinations(releases, 2))
    measured = [run for run in found.runs if run.record.measurements is not None]
    curves = dict(
        zip((run.directory for run in measured), spread(_curves, [run.directory for run in measured]), strict=True)
    )
    return Document(
        releases=tuple(releases),
        metrics=tuple(map(_metric, METRICS)),
        percentiles=PERCENTILES,
        rows=tuple(map(_row, found.cells)),
        pairs=tuple(_pair(one) for one in comparison.judge(pairs, found.floors)),
        histories=tuple(_histories(found.histories)),
        runs=tuple(_run(run, curves.get(run.directory, _NO_CURVES)) for run in found.runs),
        distributions=_distributions(found.runs, releases, suite.python),
        skipped=tuple(f"{one.path}: {one.reason}" for one in found.skipped),
    )


def _metric(metric: Metric) -> MetricInfo:
    return MetricInfo(
        name=metric.name,
        words=metric.words,
        title=metric.short_title,
        unit=metric.unit,
        better=metric.better,
        meaning=metric.meaning,
        latency=metric.latency,
        column="releases" in metric.shown_in,
    )


def _row(cell: Cell) -> Row:
    requested = cell.requested
    return Row(
        release=requested.release,
        engine=requested.engine,
        flow=requested.flow,
        profile=requested.profile.name,
        python=requested.python,
        outcome=cell.outcome,
        bound=cell.bound or "",
        runs=len(cell.ok),
        usable=bool(cell.ok),
        latencies_usable=not any(run.distrusted for run in cell.ok),
        values=_figures(cell.figure(metric.name) for metric in METRICS),
    )


def _pair(one: ArmComparison) -> Pair:
    requested = one.paired.rounds[0].runs[BASELINE].record.requested
    return Pair(
        old=one.paired.releases[BASELINE],
        new=one.paired.releases[one.arm],
        engine=one.paired.engine,
        flow=one.paired.flow,
        profile=requested.profile.name,
        python=requested.python,
        rounds=len(one.paired.rounds),
        campaign=one.paired.campaign,
        changes=tuple(map(_change, one.effects)),
    )


def _change(effect: Effect) -> Change:
    change, low, high = _figures(effect.interval.ratios if effect.interval else (None, None, None))
    return Change(
        metric=effect.metric.name,
        old=_rounded(effect.baseline),
        new=_rounded(effect.candidate),
        change=change,
        low=low,
        high=high,
        verdict=effect.verdict,
    )


def _histories(histories: Iterable[ReleaseHistory]) -> Iterator[History]:
    for history in histories:
        requested = history.sources[0].rounds[0].runs[BASELINE].record.requested
        for one in history.metrics:
            yield History(
                engine=history.engine,
                flow=history.flow,
                profile=requested.profile.name,
                python=requested.python,
                source="pairs at once" if history.at_once else "one after the other",
                metric=one.metric.name,
                points=tuple(_points(one)),
            )


def _points(one: MetricHistory) -> Iterator[Point]:
    changed = {change.release for change in one.changes}
    for figure in one.figures:
        value, low, high = (_significant(end) for end in (figure.value, figure.low, figure.high))
        yield Point(release=figure.release, value=value, low=low, high=high, changed=figure.release in changed)


def _run(run: Run, curves: Curves) -> RunRow:
    requested = run.record.requested
    return RunRow(
        run=run.record.run_id,
        release=requested.release,
        engine=requested.engine,
        flow=requested.flow,
        profile=requested.profile.name,
        python=requested.python,
        outcome=run.outcome,
        reasons=(*run.reasons, *run.distrusted),
        bound=run.bound or "",
        campaign=requested.campaign,
        round=requested.round,
        usable=run.outcome == "ok",
        latencies_usable=not run.distrusted,
        values=_figures(run.values[metric.name] for metric in METRICS),
        curves=curves,
    )


def _curves(directory: Path) -> Curves:
    """Of a run that was read before; what cannot be read any more has none."""
    try:
        seconds, windows = read_timeline(directory), read_histograms(directory).windows
    except RecordError:
        return _NO_CURVES
    steady = windows.get("steady", {})
    return Curves(
        requests=tuple(row.requests for row in seconds),
        failures=tuple(row.failures for row in seconds),
        p50_ms=_figures(row.p50_ms for row in seconds),
        p95_ms=_figures(row.p95_ms for row in seconds),
        response_ms=_percentiles(steady.get("ok")),
        overhead_ms=_percentiles(steady.get("overhead")),
    )


def _percentiles(counts: HistogramCounts | None) -> Figures:
    return _figures(distribution.percentile_ms(counts, percent) for percent in PERCENTILES)


def _distributions(runs: Iterable[Run], releases: Sequence[str], python: str) -> dict[str, dict[str, str]]:
    """By release, of its newest run on a Python, e.g. "3.11": records are sorted oldest first."""
    found = {
        run.record.requested.release: dict(run.record.observed.distributions)
        for run in runs
        if run.record.observed is not None and run.record.requested.python == python
    }
    return {release: found[release] for release in releases if release in found}


def _figures(values: Iterable[float | None]) -> Figures:
    return tuple(map(_rounded, values))


def _rounded(value: float | None) -> float | None:
    return None if value is None else _significant(value)


def _significant(value: float) -> float:
    """As many digits as the page can use: bytes count; whole numbers stay whole."""
    found = float(f"{value:.{_DIGITS}g}")
    return int(found) if found == int(found) else found
