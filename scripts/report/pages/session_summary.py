"""What a session of single runs prints when it ends: the published figures of each run, and the main metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from scripts.analysis import grouping, metrics
from scripts.analysis.run_reader import Run
from scripts.config.matrix import MOCK, Suite
from scripts.report.pages import templates
from scripts.report.tables import formatting, markdown


def of_session(suite: Suite, runs: Iterable[Run]) -> str:
    """The runs of a session, each under its heading."""
    return templates.text("session_summary.md.j2", runs=[_run(suite, run) for run in runs])


def answer(runs: Sequence[Run]) -> str:
    """How many runs ended in which way."""
    number = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    outcomes = Counter(run.outcome for run in runs)
    if len(outcomes) == 1:
        return f"{number} {runs[0].outcome}"
    return f"{number}: " + ", ".join(f"{found} {outcome}" for outcome, found in sorted(outcomes.items()))


def _run(suite: Suite, run: Run) -> dict[str, object]:
    requested, measured = run.record.requested, run.record.measurements
    title = grouping.title(suite, requested)
    figures = [
        (metric.full_title, _figure(run, metric))
        for metric in metrics.METRICS
        if "terminal" in metric.shown_in and run.values[metric.name] is not None
    ]
    return {
        "title": title if requested.release == MOCK else f"promptflow {requested.release}: {title}",
        "profile": requested.profile.name,
        "outcome": run.outcome,
        "reasons": [formatting.code(reason) for reason in run.reasons],
        "distrusted": [formatting.code(reason) for reason in run.distrusted],
        "bound": run.bound or formatting.DASH,
        "table": measured and markdown.published_figures(measured.load.locust_rows, markdown.doubtful_columns(run)),
        "figures": markdown.markdown(("Metric", "Value"), figures) if figures else "",
    }


def _figure(run: Run, metric: metrics.Metric) -> str:
    return formatting.marked(formatting.quantity(run.values[metric.name], metric.unit), counts=run.counts(metric))
