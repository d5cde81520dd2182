"""What each release serves: every engine and flow is measured, tried or unsupported; no cell is blank."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import SERVES
from scripts.config.matrix import Engine, Release, Suite
from scripts.report.tables import markdown
from scripts.report.tables.formatting import code, filled, prose, span

NOT_TRIED = "not tried"

EngineAndFlow = tuple[str, str]
Answered = dict[tuple[str, str, str], str]  # by release, engine and flow


def pairs(suite: Suite) -> list[tuple[Engine, str]]:
    """Every engine with every flow that a scenario has."""
    return [(engine, flow) for engine in suite.engines for flow in suite.flows]


def words(suite: Suite, runs: Iterable[Run], tabled: Iterable[Run]) -> dict[str, dict[EngineAndFlow, str]]:
    """By release, by engine and flow: `measured`, `serves`, the outcome of a trial that failed, or `not tried`.

    A pair that suite.toml lists as unsupported has the outcome that stands there. All is of the Python of the tables.

    `tabled`: the runs whose figures are in tables of releases.
    """
    every = [run for run in runs if run.record.requested.python == suite.python]
    trials = [run for run in every if run.record.requested.profile.name == SERVES]
    answered: Answered = {_triple(run): run.record.outcome for run in trials if run.record.outcome != "invalid"}
    answered |= {_triple(run): "serves" for run in every if run.record.outcome == "ok"}
    measured = [run for run in tabled if run.outcome == "ok" and run.record.requested.python == suite.python]
    answered |= {_triple(run): "measured" for run in measured}
    return {
        release.version: {
            (engine.name, flow): _word(suite, release, engine, flow, answered) for engine, flow in pairs(suite)
        }
        for release in suite.releases
    }


def _triple(run: Run) -> tuple[str, str, str]:
    requested = run.record.requested
    return requested.release, requested.engine, requested.flow


def _word(suite: Suite, release: Release, engine: Engine, flow: str, answered: Answered) -> str:
    entry = suite.why_unsupported(release, flow)
    if not suite.has_engine(release, engine):
        return "not-applicable"
    if entry is not None:
        return entry.outcome
    return answered.get((release.version, engine.name, flow), NOT_TRIED)


def table(suite: Suite, runs: Iterable[Run], tabled: Iterable[Run]) -> str:
    """One row for neighbouring releases that are alike, the newest first; `runs` and `tabled` as `words` takes them."""
    found = words(suite, runs, tabled)
    columns = pairs(suite)
    rows = []
    alike = itertools.groupby(reversed(suite.releases), lambda release: tuple(found[release.version].values()))
    for cells, group in alike:
        rows.append([span([release.version for release in group]), *cells])
    return markdown.markdown(
        ["Release", *(f"{engine.title}, {flow}" for engine, flow in columns)], rows, len(columns) + 1
    )


def reasons(suite: Suite) -> list[str]:
    """Why some pairs are unsupported."""
    first = suite.releases[0]
    return [
        *(
            f"not-applicable: the {engine.name} engine came with {engine.since}"
            for engine in suite.engines
            if not suite.has_engine(first, engine)
        ),
        *(
            filled("{} before {}: {}: {}", entry.flow, entry.before, entry.outcome, prose(entry.reason))
            for entry in suite.unsupported
        ),
        *(
            filled(
                "{} serves only with {}: {}",
                release.version,
                code(" ".join(release.constraints)),
                prose(release.reason),
            )
            for release in suite.releases
            if release.constraints
        ),
    ]
