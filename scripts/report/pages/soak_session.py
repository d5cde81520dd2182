"""What a session of soaks prints: a row for each, and what becomes of memory and overhead."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.inference.soaks import Soak
from scripts.report.pages import templates
from scripts.report.tables import soak_table
from scripts.report.tables.formatting import code


def text(found: Sequence[Soak], command: str) -> str:
    """The page; `command` repeats it."""
    return templates.text(
        "soak_session.md.j2",
        table=soak_table.table(found),
        reasons=soak_table.reasons(found),
        command=code(command),
    )


def answer(found: Sequence[Soak]) -> str:
    """One line about all of them."""
    return "; ".join(f"{soak_table.name(one)}: {soak_table.verdict(one)}" for one in found)
