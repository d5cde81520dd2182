"""The page of trials of explanations: how often they name what was injected, and how often they name noise."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.report.pages import templates, trials_text
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The trials of one candidate."""

    name: str
    what: str
    wanted: int  # trials
    results: tuple[str, ...]  # of those made
    injected_ms: float | None  # CPU time of a request; None where nothing is injected
    seen_ms: tuple[float, ...]  # of the injected function, trial by trial
    others: tuple[str, ...]  # packages and functions that were named, and are not the injected one


_COLUMNS = ("named", "missed", "nothing named", "false positive", "no claim")


def render(rows: Sequence[Row], *, release: str, scenario: str, first: int) -> bytes:
    """The page; `first`: among so many functions that are named, the injected one has to be."""
    slowed = [result for row in rows for result in row.results if row.injected_ms is not None]
    unchanged = [result for row in rows for result in row.results if row.injected_ms is None]
    return templates.render(
        "explain_trials.md.j2",
        release=release,
        scenario=scenario,
        first=first,
        slowed=len(slowed),
        named=slowed.count("named"),
        unchanged=len(unchanged),
        quiet=unchanged.count("nothing named"),
        table=_table(rows),
        open=trials_text.missing(rows),
    )


def answer(rows: Sequence[Row]) -> str:
    """How many trials ended in which way."""
    return trials_text.answer(rows, _COLUMNS)


def _table(rows: Sequence[Row]) -> Markdown:
    headers = ("Candidate", "What is different", "Trials", *map(str.capitalize, _COLUMNS), "Seen, ms", "Also named")
    return markdown.markdown(headers, [_cells(row) for row in rows], labels=2, remarks=1)


def _cells(row: Row) -> list[str]:
    seen = f"{statistics.median(row.seen_ms):.2f}" if row.seen_ms else DASH
    return [
        row.name,
        row.what,
        f"{len(row.results)} of {row.wanted}",
        *(str(row.results.count(column)) if row.results else DASH for column in _COLUMNS),
        seen,
        trials_text.others(row.others),
    ]
