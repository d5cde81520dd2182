"""Where the packages that serve a request jumped from release to release, read from what the runs had installed.

Pure; imports `lock_difference`, `pairing` and packaging. A jump is a change of the first number that is not 0, which
by Semantic Versioning may break: 1.10 to 2.0, or 0.110 to 0.111.
"""

from __future__ import annotations

from collections.abc import Sequence

from packaging.version import InvalidVersion, Version

from scripts.inference import lock_diff
from scripts.inference.lock_diff import Moved
from scripts.inference.paired_rounds import Series


def between_neighbours(series: Series, watched: Sequence[str]) -> dict[str, list[Moved]]:
    """By release the watched distributions that jumped from the one before, came or went; only where any did."""
    first = series.rounds[0].runs
    found: dict[str, list[Moved]] = {}
    for before, arm in zip(series.arms, series.arms[1:], strict=False):
        moved = lock_diff.between(first[before].record, first[arm].record)
        jumped = [one for one in moved if one.name in watched and is_jump(one)]
        if jumped:
            found[series.label(arm)] = jumped
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
