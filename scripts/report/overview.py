"""results/README.md: all releases side by side, what is missing and why, and what the metrics mean.

Pure. Imports `cells`, `headings`, `notes`, `tables`, `templates` and `suite`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.report import headings, notes, tables, templates
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
    matrix: Suite, found: Sequence[Cell], skipped: Sequence[Skipped], published: Sequence[str], *, compared: bool
) -> bytes:
    """The page. `published`: releases that have published figures; `compared`: there are pages of comparisons."""
    groups = headings.by_profile(matrix, found)
    releases = {cell.asked.release for cell in found} - {MOCK}
    return templates.render(
        "overview.md.j2",
        parts=[_part(matrix, group) for group in groups],
        machines=notes.machines(found),
        pages=sorted(releases, key=release_key, reverse=True),
        compared=compared,
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
    reasons, unmeasured = _absent(matrix, same)
    made = headings.by_conditions(same)
    first = made[0]
    rows = [
        Table(
            about="" if group is first else notes.differing(first[0], group[0]),
            text=tables.releases(group, [(name, "not-applicable") for name in reasons] if group is first else []),
            notes=[
                *(line for cell in group for line in [*notes.not_ok(cell), *notes.distrusted(cell)]),
                *([f"{name}: not-applicable: {reason}" for name, reason in reasons.items()] if group is first else []),
            ],
        )
        for group in made
    ]
    return Section(title=headings.title(matrix, asked), tables=rows, unmeasured=unmeasured)


def _absent(matrix: Suite, same: Sequence[Cell]) -> tuple[dict[str, str], list[str]]:
    """Declared releases without a run: why some cannot have one, and those that could."""
    asked = same[0].asked
    engines = {engine.name: engine for engine in matrix.engines}
    if asked.release == MOCK or asked.engine not in engines:
        return {}, []
    measured = {cell.asked.release for cell in same}
    missing = [release for release in reversed(matrix.releases) if release.version not in measured]
    reasons = {release.version: _why_not(matrix, release, engines[asked.engine], asked.flow) for release in missing}
    impossible = {version: reason for version, reason in reasons.items() if reason}
    return impossible, [version for version, reason in reasons.items() if not reason]


def _why_not(matrix: Suite, release: Release, engine: Engine, flow: str) -> str:
    """Why the release cannot have that scenario; "" when it can, or when the flow is a user's own."""
    if not matrix.has_engine(release, engine):
        return f"the {engine.name} engine came with {engine.since}"
    ours = {name for line in matrix.lines for name in line.flows}
    if flow in ours and flow not in matrix.line(release).flows:
        return f"promptflow {release.version} cannot serve {flow}"
    return ""
