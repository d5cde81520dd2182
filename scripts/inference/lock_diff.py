"""What differs between two virtualenvs: which distributions moved, came or went, and where one jumped.

A jump is a change of the first number that is not 0, which by Semantic Versioning may break: 1.10 to 2.0, or 0.110 to
0.111.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from scripts.inference.paired_rounds import PairedRounds
from scripts.records.schema import RunRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A distribution that is not the same in both."""

    name: str
    before: str | None  # version; None: not there
    after: str | None


def between(baseline: RunRecord, candidate: RunRecord) -> list[Moved]:
    """By name; promptflow's own parts first. Empty when a run never came to have a virtualenv."""
    if baseline.observed is None or candidate.observed is None:
        return []
    before, after = baseline.observed.distributions, candidate.observed.distributions
    moved = [
        Moved(name=name, before=before.get(name), after=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return sorted(moved, key=lambda one: not one.name.startswith("promptflow"))


def text(moved: list[Moved]) -> str:
    """In one line without Markdown: `aiohttp 3.9.5 to 3.11.2`, `new: x 1.0`, `gone: y 2.0`."""
    return ", ".join(_text(one) for one in moved) or "nothing"


def _text(one: Moved) -> str:
    if one.before is None:
        return f"new: {one.name} {one.after}"
    return f"gone: {one.name} {one.before}" if one.after is None else f"{one.name} {one.before} to {one.after}"


def jumps(paired: PairedRounds, watched: Sequence[str]) -> dict[str, list[Moved]]:
    """By release the watched distributions that jumped from the one before, came or went; only where any did."""
    first = paired.rounds[0].runs
    found: dict[str, list[Moved]] = {}
    for before, arm in zip(paired.arms, paired.arms[1:], strict=False):
        moved = between(first[before].record, first[arm].record)
        jumped = [one for one in moved if one.name in watched and is_jump(one)]
        if jumped:
            found[paired.label(arm)] = jumped
    return found


def is_jump(moved: Moved) -> bool:
    """Whether the two versions may be incompatible; one that came or went is."""
    if moved.before is None or moved.after is None:
        return True
    try:
        before, after = Version(moved.before), Version(moved.after)
    except InvalidVersion:
        return True
    return before.epoch != after.epoch or _significant(before) != _significant(after)


def _significant(version: Version) -> tuple[int, ...]:
    """Everything up to the first number that is not 0."""
    places = [place for place, number in enumerate(version.release) if number]
    return version.release[: places[0] + 1] if places else version.release
