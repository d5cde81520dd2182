"""What differs between two virtualenvs: distributions that changed version, were added or removed.

A jump is a change of the first number that is not 0. By Semantic Versioning such a change may be incompatible: 1.10 to
2.0, or 0.110 to 0.111.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from scripts.inference.paired_rounds import PairedRounds
from scripts.records.schema import RunRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionChange:
    """A distribution that is not the same in both."""

    name: str
    before: str | None  # version; None: not there
    after: str | None


def between(baseline: RunRecord, candidate: RunRecord) -> list[VersionChange]:
    """By name, promptflow's own parts first; empty when a run has no virtualenv."""
    if baseline.observed is None or candidate.observed is None:
        return []
    return of_distributions(baseline.observed.distributions, candidate.observed.distributions)


def of_distributions(before: Mapping[str, str], after: Mapping[str, str]) -> list[VersionChange]:
    """The same of what is installed in both, name to version."""
    changes = [
        VersionChange(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return sorted(changes, key=lambda one: not one.name.startswith("promptflow"))


def text(changes: list[VersionChange]) -> str:
    """In one line without Markdown: `aiohttp 3.9.5 to 3.11.2`, `new: x 1.0`, `gone: y 2.0`."""
    return ", ".join(_text(one) for one in changes) or "nothing"


def _text(one: VersionChange) -> str:
    if one.before is None:
        return f"new: {one.name} {one.after}"
    return f"gone: {one.name} {one.before}" if one.after is None else f"{one.name} {one.before} to {one.after}"


def jumps(paired: PairedRounds, watched: Sequence[str]) -> dict[str, list[VersionChange]]:
    """The watched distributions that jumped, were added or removed, by release; only releases with any."""
    first = paired.rounds[0].runs
    found: dict[str, list[VersionChange]] = {}
    for before, arm in zip(paired.arms, paired.arms[1:], strict=False):
        changes = between(first[before].record, first[arm].record)
        jumped = [one for one in changes if one.name in watched and is_jump(one)]
        if jumped:
            found[paired.label(arm)] = jumped
    return found


def is_jump(change: VersionChange) -> bool:
    """Whether the two versions may be incompatible, as always where the distribution was added or removed."""
    if change.before is None or change.after is None:
        return True
    try:
        before, after = Version(change.before), Version(change.after)
    except InvalidVersion:
        return True
    return before.epoch != after.epoch or _significant(before) != _significant(after)


def _significant(version: Version) -> tuple[int, ...]:
    """All numbers up to the first that is not 0."""
    places = [place for place, number in enumerate(version.release) if number]
    return version.release[: places[0] + 1] if places else version.release
