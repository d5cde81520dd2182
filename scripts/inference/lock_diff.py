"""What differs between two virtualenvs: which distributions moved, came or went. Pure; imports the record only."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.records.schema import RunRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A distribution that is not the same in both."""

    name: str
    before: str | None  # version; None: not there
    after: str | None


def between(baseline: RunRecord, candidate: RunRecord) -> list[Moved]:
    """By name; promptflow's own parts first. Empty when a run never came to have a virtualenv."""
    if baseline.ran is None or candidate.ran is None:
        return []
    before, after = baseline.ran.distributions, candidate.ran.distributions
    moved = [
        Moved(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return sorted(moved, key=lambda one: not one.name.startswith("promptflow"))


def told(moved: list[Moved]) -> str:
    """In one line without Markdown: `aiohttp 3.9.5 to 3.11.2`, `new: x 1.0`, `gone: y 2.0`."""
    return ", ".join(_told(one) for one in moved) or "nothing"


def _told(one: Moved) -> str:
    if one.before is None:
        return f"new: {one.name} {one.after}"
    return f"gone: {one.name} {one.before}" if one.after is None else f"{one.name} {one.before} to {one.after}"
