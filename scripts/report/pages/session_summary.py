"""What a bench session prints when it ends: the published table of each run, and the main metrics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.analysis import grouping, metrics, run_reader
from scripts.config.matrix import MOCK, Suite
from scripts.report.pages import templates
from scripts.report.tables import formatting, markdown


def of_session(suite: Suite, directories: Iterable[Path]) -> str:
    """The runs of a session, each under its heading."""
    runs = [_run(suite, run_reader.read_run(directory)) for directory in directories]
    return templates.text("session_summary.md.j2", runs=runs)


def _run(suite: Suite, run: run_reader.Run) -> dict[str, object]:
    requested, measured = run.record.requested, run.record.measurements
    title = grouping.title(suite, requested)
    return {
        "title": title if requested.release == MOCK else f"promptflow {requested.release}: {title}",
        "profile": requested.profile.name,
        "outcome": run.outcome,
        "reasons": [formatting.code(reason) for reason in run.reasons],
        "distrusted": [formatting.code(reason) for reason in run.distrusted],
        "bound": run.bound or formatting.DASH,
        "table": measured and markdown.published_form(measured.load.locust_rows, markdown.doubtful_columns(run)),
        "figures": [
            {"title": metric.full_title, "text": _figure(run, metric)}
            for metric in metrics.METRICS
            if "terminal" in metric.shown_in and run.values[metric.name] is not None
        ],
    }


def _figure(run: run_reader.Run, metric: metrics.Metric) -> str:
    return formatting.marked(formatting.quantity(run.values[metric.name], metric.unit), counts=run.counts(metric))
