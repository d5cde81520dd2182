"""What a bench session prints when it ends: the published table of each run, and what tells releases apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.analysis import grouping, metrics, run_reader
from scripts.config.matrix import MOCK, Suite
from scripts.report.tables import formatting, markdown


def of_session(suite: Suite, directories: Iterable[Path]) -> str:
    """The runs of a session, each under its heading."""
    return "\n\n".join(_of_run(suite, run_reader.read_run(directory)) for directory in directories)


def _of_run(suite: Suite, run: run_reader.Run) -> str:
    requested = run.record.requested
    title = grouping.title(suite, requested)
    what = title if requested.release == MOCK else f"promptflow {requested.release}: {title}"
    lines = [f"## {what}, profile {requested.profile.name}, {run.outcome}", ""]
    if run.record.measurements is None:
        return "\n".join([*lines, *run.reasons])
    lines.append(markdown.published_form(run.record.measurements.load.locust_rows, markdown.doubtful_columns(run)))
    told = [
        metric for metric in metrics.METRICS if "terminal" in metric.shown_in and run.values[metric.name] is not None
    ]
    lines += ["", *(f"{m.title}: {_figure(run, m)}" for m in told), f"bound: {run.bound or formatting.DASH}"]
    lines += [f"latencies not to be ranked: {reason}" for reason in run.distrusted]
    return "\n".join([*lines, *(f"invalid: {reason}" for reason in run.reasons)])


def _figure(run: run_reader.Run, metric: metrics.Metric) -> str:
    return formatting.marked(formatting.quantity(run.values[metric.name], metric.unit), counts=run.counts(metric))
