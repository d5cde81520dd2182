"""results/README.md: all releases side by side, what is missing and why, and what the metrics mean.

Pure. Imports `cells`, `headings`, `notes`, `tables`, `templates` and `suite`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripts.report import headings, notes, tables, templates
from scripts.report.across import Across
from scripts.report.cells import Cell, release_key
from scripts.report.store import Skipped
from scripts.report.wording import code
from scripts.suite import MOCK, Engine, Release, Suite


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Runs that share one set of conditions."""

    about: str  # what differs from the first table; "" for the first
    text: str
    notes: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One scenario under one profile."""

    title: str
    tables: list[Table]
    unmeasured: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One profile."""

    profile: str
    description: str
    sections: list[Section]


def render(
    matrix: Suite, found: Sequence[Cell], skipped: Sequence[Skipped], published: Sequence[str], *, compared: bool,
    histories: Sequence[Across] = (),
) -> bytes:  # fmt: skip
    """The page. `published`: releases that have published figures; `compared`: there are pages of comparisons."""
    groups = headings.by_profile(matrix, found)
    releases = {cell.asked.release for cell in found} - {MOCK}
    return templates.render(
        "overview.md.j2",
        parts=[_part(matrix, group) for group in groups],
        machines=notes.machines(found),
        pages=sorted(releases, key=release_key, reverse=True),
        compared=compared,
        histories=[
            {"title": one.title(matrix), "about": one.about, "chart": one.chart, "sentences": one.sentences}
            for one in histories
        ],
        published=[release for release in published if release in releases],
        skipped=[f"{code(one.path)}: {code(one.reason)}" for one in skipped],
        glossary=tables.glossary(),
    )


def _part(matrix: Suite, group: Sequence[Cell]) -> Part:
    profile = group[0].asked.profile
    sections = [_section(matrix, same) for same in headings.by_scenario(matrix, group)]
    return Part(profile=profile.name, description=profile.description, sections=sections)


def _section(matrix: Suite, same: Sequence[Cell]) -> Section:
    asked = same[0].asked
    holes, unmeasured = _absent(matrix, same)
    made = headings.by_conditions(same)
    first = made[0]
    rows = [
        Table(
            about="" if group is first else notes.differing(first[0], group[0]),
            text=tables.releases(group, [(hole.release, hole.outcome) for hole in holes] if group is first else []),
            notes=[
                *(line for cell in group for line in [*notes.not_ok(cell), *notes.distrusted(cell)]),
                *(f"{hole.release}: {hole.outcome}: {hole.reason}" for hole in holes if group is first),
            ],
        )
        for group in made
    ]
    return Section(title=headings.title(matrix, asked), tables=rows, unmeasured=unmeasured)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Absent:
    """A release that cannot have a scenario, or several in a row."""

    release: str  # or "1.0.0 to 1.9.0"
    outcome: str  # a typed word
    reason: str


def _absent(matrix: Suite, same: Sequence[Cell]) -> tuple[list[_Absent], list[str]]:
    """Declared releases without a run: why some cannot have one, and those that could."""
    asked = same[0].asked
    engines = {engine.name: engine for engine in matrix.engines}
    if asked.release == MOCK or asked.engine not in engines:
        return [], []
    measured = {cell.asked.release for cell in same}
    missing = [release for release in reversed(matrix.releases) if release.version not in measured]
    holes = {release.version: _hole(matrix, release, engines[asked.engine], asked.flow) for release in missing}
    alike = itertools.groupby(filter(None, holes.values()), lambda hole: (hole.outcome, hole.reason))
    ranges = [_range(list(group)) for _, group in alike]
    return ranges, [version for version, hole in holes.items() if hole is None]


def _range(alike: Sequence[_Absent]) -> _Absent:
    """Releases with the same hole as one row; the newest comes first."""
    first, last = alike[-1], alike[0]
    return last if first is last else replace(last, release=f"{first.release} to {last.release}")


def _hole(matrix: Suite, release: Release, engine: Engine, flow: str) -> _Absent | None:
    """Why the release cannot have that scenario; None when it can, or when the flow is a user's own."""
    if not matrix.has_engine(release, engine):
        reason = f"the {engine.name} engine came with {engine.since}"
        return _Absent(release=release.version, outcome="not-applicable", reason=reason)
    found = matrix.hole(release, flow)
    if found is None:
        return None
    return _Absent(release=release.version, outcome=found.outcome, reason=found.reason)
