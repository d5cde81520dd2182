"""The page of gate trials: what gates caught, missed and called wrongly."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, code, filled, listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The trials of one candidate."""

    name: str
    what: str
    judged_by: str
    wanted: int  # trials
    results: tuple[str, ...]  # of those made
    others: tuple[str, ...]  # other metrics called worse, one for each time
    changes: tuple[str, ...]  # what was seen of the metric that should show it
    minutes: tuple[float, ...]


_COLUMNS = ("caught", "missed", "passed", "false alarm", "undecided")


def render(rows: Sequence[Row], *, release: str, scenario: str, about: str, simulated: Markdown) -> bytes:
    """The page. `about`: how it was measured."""
    made = [row for row in rows if row.results]
    slowed = [result for row in made for result in row.results if row.name != "unchanged"]
    unchanged = [result for row in made for result in row.results if row.name == "unchanged"]
    return templates.render(
        "gate_trials.md.j2",
        release=release,
        scenario=scenario,
        slowed=len(slowed),
        caught=slowed.count("caught"),
        unchanged=len(unchanged),
        passed=unchanged.count("passed"),
        alarms=unchanged.count("false alarm"),
        longest=f"{max((max(row.minutes) for row in made), default=0.0):.1f}",
        table=_table(rows),
        open=listed([_missing(row) for row in rows if len(row.results) < row.wanted]),
        about=about,
        simulated=simulated,
    )


def answer(rows: Sequence[Row]) -> str:
    """How many trials ended in which way."""
    results = [result for row in rows for result in row.results]
    counted = ", ".join(f"{results.count(column)} {column}" for column in _COLUMNS if column in results)
    return f"{len(results)} of {sum(row.wanted for row in rows)} trials made: {counted}"


def _missing(row: Row) -> Markdown:
    return filled("{} ({} of {})", code(row.name), len(row.results), row.wanted)


def _table(rows: Sequence[Row]) -> Markdown:
    headers = (
        "Candidate", "What is different", "Judged by", "Trials", *map(str.capitalize, _COLUMNS), "Seen", "Minutes",
        "Also called worse",
    )  # fmt: skip
    return markdown.markdown(headers, [_cells(row) for row in rows], labels=3, remarks=1)


def _cells(row: Row) -> list[str]:
    counts = [str(row.results.count(column)) if row.results else DASH for column in _COLUMNS]
    return [
        row.name,
        row.what,
        row.judged_by,
        f"{len(row.results)} of {row.wanted}",
        *counts,
        _range(row.changes),
        f"{statistics.median(row.minutes):.1f} (most {max(row.minutes):.1f})" if row.minutes else DASH,
        listed([f"{name} {row.others.count(name)} times" for name in dict.fromkeys(row.others)]) or "nothing",
    ]


def _range(changes: Sequence[str]) -> str:
    return DASH if not changes else changes[0] if len(changes) == 1 else f"{changes[0]} to {changes[-1]}"
