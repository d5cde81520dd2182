"""The table of metrics in docs/glossary.md."""

from __future__ import annotations

from scripts.analysis.metrics import METRICS, Metric
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, code

_HEADERS = ("Name in summary.csv", "Metric", "Unit", "Good direction", "Minimum effect", "Meaning")


def metrics_table() -> str:
    """One row for each metric of the registry, in its order."""
    return markdown.markdown(_HEADERS, map(_row, METRICS), labels=len(_HEADERS))


def _row(metric: Metric) -> list[str]:
    return [
        code(metric.name),
        metric.words,
        metric.unit,
        metric.direction or DASH,
        DASH if metric.minimum_effect is None else f"{metric.minimum_effect * 100:g} %",
        metric.meaning.replace("|", "¦"),
    ]
