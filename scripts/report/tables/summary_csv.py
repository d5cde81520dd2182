"""results/summary.csv: every metric of every cell, one row each, for spreadsheets and notebooks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from scripts.analysis import metrics
from scripts.analysis.grouping import Cell

COLUMNS = (
    "release", "engine", "flow", "profile", "metric", "unit", "value", "low", "high", "runs", "outcome", "conditions",
    "bound", "ranked",
)  # fmt: skip
ABSENT = "NA"  # what pandas and R read as missing


def summary(found: Iterable[Cell]) -> bytes:
    """Median, lowest and highest over the ok runs; cells of other conditions stay apart.

    `ranked`: whether the figure may be ranked or compared, "yes" or "no".
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in found:
        requested = cell.requested
        for metric in metrics.of(requested):
            spread = cell.spread(metric.name)
            figures = (spread.median, spread.low, spread.high) if spread else (None, None, None)
            head = (
                requested.release,
                requested.engine,
                requested.flow,
                requested.profile.name,
                metric.name,
                metric.unit,
            )
            ranked = "yes" if cell.counts(metric) else "no"
            tail = (len(cell.ok), cell.outcome, cell.conditions, cell.bound or ABSENT, ranked)
            writer.writerow((*head, *map(_figure, figures), *tail))
    return out.getvalue().encode()


def _figure(value: float | None) -> str:
    """Six significant digits; whole numbers without a decimal point."""
    if value is None:
        return ABSENT
    return str(int(value)) if value == int(value) else f"{value:.6g}"
