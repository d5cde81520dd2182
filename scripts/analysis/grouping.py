"""Groups runs into cells, names their scenarios and sorts both.

A cell is one release, engine, flow and profile under one set of conditions.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from scripts.analysis.metrics import Metric
from scripts.analysis.run_reader import Run
from scripts.config.matrix import MOCK, Suite
from scripts.records import conditions
from scripts.records.schema import RequestedConfig

MOCK_TITLE = "The mock API alone"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """One metric over several runs."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """The runs of one release in one scenario and profile that may be pooled."""

    runs: tuple[Run, ...]  # at least one; oldest first

    @property
    def ok(self) -> tuple[Run, ...]:
        """The runs whose figures count."""
        return tuple(run for run in self.runs if run.outcome == "ok")

    @property
    def shown(self) -> Run:
        """The run in tables and charts: the ok run with the median response time or work, else the newest run.

        On a machine whose speed varies, the newest run would be random and the best one selected.
        """
        ordered = sorted(self.ok, key=lambda run: (_cost(run), run.record.run_id))
        return ordered[(len(ordered) - 1) // 2] if ordered else self.runs[-1]

    @property
    def requested(self) -> RequestedConfig:
        """The requested configuration that its runs share."""
        return self.shown.record.requested

    @property
    def outcome(self) -> str:
        """`ok` when any run is, else the outcome of the newest run."""
        return self.shown.outcome

    @property
    def conditions(self) -> str:
        """Fingerprint of the conditions that its runs share."""
        return conditions.fingerprint(self.shown.record)

    @property
    def bound(self) -> str | None:
        """What limited the throughput of the ok runs, else of the run shown; `mixed` when they differ."""
        found = {run.bound for run in self.ok} or {self.shown.bound}
        return found.pop() if len(found) == 1 else "mixed"

    def counts(self, metric: Metric) -> bool:
        """Whether its figure may be ranked or compared: there is an ok run, and every ok run's figure may."""
        return bool(self.ok) and all(run.counts(metric) for run in self.ok)

    def figure(self, metric: str) -> float | None:
        """The figure in a table: the median of the ok runs; without one, what the run shown has measured."""
        spread = self.spread(metric)
        return self.shown.values[metric] if not self.ok else spread.median if spread else None

    def spread(self, metric: str) -> Spread | None:
        """The metric over the ok runs; None when all of them lack it."""
        values = self.values(metric)
        if not values:
            return None
        return Spread(median=statistics.median(values), low=min(values), high=max(values))

    def values(self, metric: str) -> list[float]:
        """The metric of each ok run that has it, oldest first."""
        return [value for run in self.ok if (value := run.values[metric]) is not None]


def _cost(run: Run) -> float:
    return run.values["response_time_mean_ms"] or run.values["instructions_per_request"] or 0.0


def cells(runs: Iterable[Run]) -> list[Cell]:
    """All cells, in an order that does not depend on the order of the runs."""

    def key(run: Run) -> tuple[str, ...]:
        requested = run.record.requested
        return (
            requested.profile.name,
            requested.engine,
            requested.flow,
            requested.release,
            conditions.fingerprint(run.record),
        )

    ordered = sorted(runs, key=lambda run: (key(run), run.record.run_id))
    return [Cell(runs=tuple(group)) for _, group in itertools.groupby(ordered, key)]


def best_first(found: Iterable[Cell], python: str) -> list[Cell]:
    """Cells on this Python, e.g. "3.11", come first; of either kind those with ok runs, and then the newest."""

    def key(cell: Cell) -> tuple[bool, bool, str]:
        return cell.requested.python == python, bool(cell.ok), (cell.ok or cell.runs)[-1].record.run_id

    return sorted(found, key=key, reverse=True)


def release_key(release: str) -> tuple[int, Version, str]:
    """Sorts releases by version; names that are not versions come first."""
    try:
        return 1, Version(release), release
    except InvalidVersion:
        return 0, Version("0"), release


def title(suite: Suite, requested: RequestedConfig) -> str:
    """The heading of a scenario: its title in suite.toml, else made of engine and flow."""
    if requested.release == MOCK:
        return MOCK_TITLE
    for scenario in suite.scenarios:
        if (scenario.engine, scenario.flow) == (requested.engine, requested.flow):
            return scenario.title
    engines = {engine.name: engine.title for engine in suite.engines}
    return f"{engines.get(requested.engine, requested.engine)} + {requested.flow}"


def by_profile(suite: Suite, found: Iterable[Cell]) -> list[list[Cell]]:
    """Cells of one profile together, in the order of suite.toml; profiles that it no longer has come last."""
    names = [profile.name for profile in suite.profiles]

    def key(cell: Cell) -> tuple[int, str]:
        name = cell.requested.profile.name
        return (names.index(name) if name in names else len(names), name)

    return [list(group) for _, group in itertools.groupby(sorted(found, key=key), key)]


def by_scenario(suite: Suite, found: Iterable[Cell]) -> list[list[Cell]]:
    """Cells of one scenario together, in the order of suite.toml; the mock API alone comes last."""
    names = [(scenario.engine, scenario.flow) for scenario in suite.scenarios]

    def key(cell: Cell) -> tuple[bool, int, str, str]:
        requested = cell.requested
        pair = (requested.engine, requested.flow)
        return (requested.release == MOCK, names.index(pair) if pair in names else len(names), *pair)

    return [list(group) for _, group in itertools.groupby(sorted(found, key=key), key)]


def by_conditions(found: Iterable[Cell], python: str) -> list[list[Cell]]:
    """Cells that may share a table, the newest release first in each; the order of tables is that of `best_first`."""
    tables: dict[str, list[Cell]] = {}
    for cell in best_first(found, python):
        tables.setdefault(cell.conditions, []).append(cell)
    return [
        sorted(table, key=lambda cell: release_key(cell.requested.release), reverse=True) for table in tables.values()
    ]
