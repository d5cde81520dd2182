"""results/summary.csv: every metric of every cell, one row each, for spreadsheets and notebooks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from scripts.analysis import metrics
from scripts.analysis.grouping import Cell
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import CapacitySearch
from scripts.inference.capacity_search import CapacityResult
from scripts.records import conditions
from scripts.report.tables import capacity_table

COLUMNS = (
    "release", "engine", "flow", "profile", "metric", "unit", "value", "low", "high", "runs", "outcome", "conditions",
    "bound", "ranked",
)  # fmt: skip
ABSENT = "NA"  # what pandas and R read as missing


def summary(found: Iterable[Cell], searches: Iterable[CapacitySearch] = ()) -> bytes:
    """Median, lowest and highest over the ok runs; cells of other conditions stay apart.

    Of a capacity search, over the confirming runs. It is ranked where the server was the bound, else it is "at least".

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
    for search in searches:
        writer.writerow(_of_search(search))
    return out.getvalue().encode()


def _of_search(search: CapacitySearch) -> tuple[object, ...]:
    requested, spread, found = search.requested, search.spread(capacity_runs.THROUGHPUT), search.found
    figures = (spread.median, spread.low, spread.high) if spread else (None, None, None)
    return (
        requested.release, requested.engine, requested.flow, requested.profile.name, "capacity_rps", "rps",
        *map(_figure, figures), len(search.confirming), capacity_table.outcome(search),
        conditions.of_search(search.runs[0].record), *_bound(found),
    )  # fmt: skip


def _bound(found: CapacityResult | None) -> tuple[str, str]:
    """What limited the load, and whether its throughput may be ranked."""
    if found is None or found.users is None or found.limit is None or found.limit.verdict == "invalid":
        return ABSENT, "no"
    return ("server-bound", "yes") if found.is_ceiling else (found.limit.verdict, "no")


def _figure(value: float | None) -> str:
    """Six significant digits; whole numbers without a decimal point."""
    if value is None:
        return ABSENT
    return str(int(value)) if value == int(value) else f"{value:.6g}"
