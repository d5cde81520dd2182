"""What a session of capacity searches prints: its results, and every run behind them."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.analysis import grouping
from scripts.config.load_profiles import Capacity
from scripts.config.matrix import Suite
from scripts.inference.capacity_runs import CapacitySearch
from scripts.report.pages import templates
from scripts.report.tables import capacity_table, markdown
from scripts.report.tables.formatting import code, listed

_MOST_NAMED = 3  # releases, in the title


def answer(searches: Sequence[CapacitySearch]) -> str:
    """What each search found."""
    named = len({search.requested.release for search in searches}) > 1
    return "; ".join(
        f"{f'{search.requested.release} ' if named else ''}{search.requested.flow}: {capacity_table.result(search)}"
        for search in searches
    )


def of_session(suite: Suite, settings: Capacity, searches: Sequence[CapacitySearch], command: str) -> str:
    """What a session found, and every run behind it; `command` repeats it."""
    releases = list(dict.fromkeys(search.requested.release for search in searches))
    rows = [
        [
            search.requested.release, grouping.title(suite, search.requested), *capacity_table.figures(search),
            capacity_table.above(search),
        ]
        for search in searches
    ]  # fmt: skip
    headers = ("Release", "Scenario", *capacity_table.FIGURES, capacity_table.ABOVE)
    return templates.text(
        "capacity.md.j2",
        releases=listed(releases) if len(releases) <= _MOST_NAMED else f"{len(releases)} releases",
        objective=capacity_table.objective(settings),
        summary=markdown.markdown(headers, rows, labels=2, remarks=1),
        searches=[
            {
                "title": f"{search.requested.release}, {grouping.title(suite, search.requested)}",
                "table": capacity_table.trials(search),
            }
            for search in searches
        ],
        command=code(command),
    )
