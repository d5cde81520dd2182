"""What scenarios are called and in which order they are printed. Pure; imports `suite` and `cells`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from scripts.analysis.grouping import Cell, best_first, release_key
from scripts.config.matrix import MOCK, Suite
from scripts.records.schema import Asked

MOCK_TITLE = "The mock API alone"


def title(suite: Suite, asked: Asked) -> str:
    """The heading of a scenario: the one that suite.toml declares, else made of engine and flow."""
    if asked.release == MOCK:
        return MOCK_TITLE
    for scenario in suite.scenarios:
        if (scenario.engine, scenario.flow) == (asked.engine, asked.flow):
            return scenario.title
    engines = {engine.name: engine.title for engine in suite.engines}
    return f"{engines.get(asked.engine, asked.engine)} + {asked.flow}"


def by_profile(suite: Suite, found: Iterable[Cell]) -> list[list[Cell]]:
    """Cells of one profile together, in the order of suite.toml; profiles it no longer has come last."""
    names = [profile.name for profile in suite.profiles]

    def key(cell: Cell) -> tuple[int, str]:
        name = cell.asked.profile.name
        return (names.index(name) if name in names else len(names), name)

    return [list(group) for _, group in itertools.groupby(sorted(found, key=key), key)]


def by_scenario(suite: Suite, found: Iterable[Cell]) -> list[list[Cell]]:
    """Cells of one scenario together, in the order of suite.toml; the mock API alone comes last."""
    names = [(scenario.engine, scenario.flow) for scenario in suite.scenarios]

    def key(cell: Cell) -> tuple[bool, int, str, str]:
        asked = cell.asked
        pair = (asked.engine, asked.flow)
        return (asked.release == MOCK, names.index(pair) if pair in names else len(names), *pair)

    return [list(group) for _, group in itertools.groupby(sorted(found, key=key), key)]


def by_conditions(found: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that may share a table, those of the newest good run first; each newest release first."""
    tables: dict[str, list[Cell]] = {}
    for cell in best_first(found):
        tables.setdefault(cell.conditions, []).append(cell)
    return [sorted(table, key=lambda cell: release_key(cell.asked.release), reverse=True) for table in tables.values()]
