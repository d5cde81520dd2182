"""promptflow's share of a change and its dependencies'."""

from __future__ import annotations

import re

from scripts.inference import paired_rounds
from scripts.report.pages import attribution
from tests.fakes.synthetic_runs import campaign

ARMS = ("1.12.0+asof.20240626", "1.12.0+asof.20250124", "1.17.2")
MEMORY = "memory_end_bytes"
FIGURES: dict[str, tuple[list[float | None], ...]] = {
    MEMORY: ([1e8] * 4, [1.1e8] * 4, [1.32e8] * 4),
    "ready_s": ([1.0, 1.0, 1.0, 1.0], [2.0, 2.1, 1.9, 2.0], [1.0, 1.0, 1.0, 1.0]),
}


def rows(text: str) -> dict[str, list[str]]:
    """Cells of a table by their first."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {first: cells for first, *cells in lines}


def test_shares_multiply_to_the_whole() -> None:
    """1.1 by dependencies and 1.2 by promptflow are 1.32 together."""
    (paired,) = paired_rounds.pair(campaign(ARMS, 4, FIGURES))
    found = rows(attribution.table(paired, {}))
    assert found["Metric"] == ["Dependencies", "promptflow", "Together"]
    assert found["memory end \u2193"] == [
        "+10.0 % (+10.0 % to +10.0 %)", "+20.0 % (+20.0 % to +20.0 %)", "+32.0 % (+32.0 % to +32.0 %)",
    ]  # fmt: skip


def test_opposite_shares_cancel() -> None:
    """What newer dependencies cost and promptflow wins back is no change together, although either is certain."""
    (paired,) = paired_rounds.pair(campaign(ARMS, 4, FIGURES))
    older, newer, together = rows(attribution.table(paired, {}))["ready (s) \u2193"]
    assert [re.sub(" .*", "", cell) for cell in (older, newer, together)] == ["+99.9", "-50.0", "+0.0"]


def test_a_missing_change_is_a_dash() -> None:
    """In all three columns."""
    (paired,) = paired_rounds.pair(campaign(ARMS, 4, FIGURES))
    assert rows(attribution.table(paired, {}))["first answer (ms) \u2193"] == ["\u2013"] * 3


def test_section_names_old_and_new() -> None:
    """The locks are in the labels; a series of two arms has no section."""
    text = attribution.render(paired_rounds.pair(campaign(ARMS, 4, FIGURES)), {})
    assert text.startswith("## fastapi static_async: whose change it is, 1.12.0+asof.20240626 to 1.17.2\n\n| Metric")
    assert attribution.render(paired_rounds.pair(campaign(ARMS[:2], 4)), {}) == ""
