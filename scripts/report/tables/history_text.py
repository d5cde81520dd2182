"""What changed from release to release, in words."""

from __future__ import annotations

import math

from scripts.analysis import grouping
from scripts.config.matrix import Suite
from scripts.inference import lock_diff
from scripts.inference.change_points import ChangePoint
from scripts.inference.paired_rounds import BASELINE
from scripts.inference.release_history import ReleaseHistory
from scripts.report.tables.formatting import Markdown, filled, joined, prose


def title(suite: Suite, history: ReleaseHistory) -> str:
    """The heading of the scenario."""
    return grouping.title(suite, history.paired.runs(BASELINE)[0].record.requested)


def sentences(suite: Suite, history: ReleaseHistory) -> list[Markdown]:
    """What changed, one line a release in the order of releases, and what else is new in it."""
    found = [_sentence(suite, history, release) for release in history.paired.releases.values()]
    return [sentence for sentence in found if sentence] + [
        filled("**{}**: {}. Overhead and CPU per request leave that share out", change.release, _change(change))
        for change in history.covariate_changes
    ]


def jumps(history: ReleaseHistory) -> list[str]:
    """Packages that serve a request and came in another major version, by release in their order."""
    return [f"{release}: {lock_diff.text(moved)}" for release, moved in history.jumps.items()]


def behaviours(suite: Suite) -> dict[str, str]:
    """What changed in promptflow, by release."""
    return {behaviour.since: behaviour.what for behaviour in suite.behaviours}


def _sentence(suite: Suite, history: ReleaseHistory, release: str) -> Markdown | None:
    changes, known = history.changes(release), behaviours(suite)
    if not changes:
        return None
    explained = {one.version: one.explained for one in suite.releases if one.explained}
    moved = "; ".join(map(_change, changes))
    new: list[str] = [prose(known[release])] if release in known else []
    new += [lock_diff.text(history.jumps[release])] if release in history.jumps else []
    also = filled(". Also in this release: {}", joined("; ", new)) if new else ""
    why = filled(". {}", prose(explained[release])) if release in explained else ""
    return filled("**{}**: against {} {}{}{}", release, changes[0].before, moved, also, why)


def _change(change: ChangePoint) -> str:
    """One change with its size and interval."""
    interval = change.interval
    verb = "rose" if interval.estimate > 0 else "fell"
    low, high = sorted((abs(math.expm1(interval.low)), abs(math.expm1(interval.high))))
    size = f"{abs(math.expm1(interval.estimate)):.1%} ({low:.1%} to {high:.1%})".replace("%", " %")
    return f"{change.metric.words} {verb} by {size}"
