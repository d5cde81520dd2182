"""What the pages of trials say alike, of gates and of explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scripts.report.tables.formatting import Markdown, code, filled, listed


class TrialRow(Protocol):
    """The trials of one candidate."""

    @property
    def name(self) -> str:
        """Of the candidate."""

    @property
    def wanted(self) -> int:
        """Trials."""

    @property
    def results(self) -> tuple[str, ...]:
        """Of those made."""


def answer(rows: Sequence[TrialRow], endings: Sequence[str]) -> str:
    """How many trials ended in which way."""
    results = [result for row in rows for result in row.results]
    counted = ", ".join(f"{results.count(ending)} {ending}" for ending in endings if ending in results)
    return f"{len(results)} of {sum(row.wanted for row in rows)} trials made: {counted}"


def missing(rows: Sequence[TrialRow]) -> Markdown:
    """The candidates that lack trials."""
    lacking = [row for row in rows if len(row.results) < row.wanted]
    return listed([filled("{} ({} of {})", code(row.name), len(row.results), row.wanted) for row in lacking])


def others(named: Sequence[str]) -> str:
    """What else was named, and how often."""
    return listed([f"{name} {_times(named.count(name))}" for name in dict.fromkeys(named)]) or "nothing"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
