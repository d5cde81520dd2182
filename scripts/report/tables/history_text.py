"""What changed from release to release, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scripts.analysis import grouping
from scripts.config.matrix import Suite
from scripts.inference import lock_diff
from scripts.inference.change_points import ChangePoint
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import BASELINE
from scripts.inference.release_history import ReleaseHistory
from scripts.report.tables.formatting import Markdown, filled, percent


def title(suite: Suite, history: ReleaseHistory) -> str:
    """The heading of the scenario."""
    return grouping.title(suite, history.sources[0].runs(BASELINE)[0].record.requested)


def of_covariate(history: ReleaseHistory) -> list[Markdown]:
    """Where the speed covariate itself changed, one line each: a share of other changes is left out then."""
    return [
        filled("**{}**: {}. Overhead and CPU per request leave that share out", change.release, _change(change))
        for change in history.covariate_changes
    ]


def drift(history: ReleaseHistory) -> list[str]:
    """How the newest release differs from the best earlier one and from the one a year back, one line a metric."""
    by_metric = {
        change.metric.words: [one for one in history.drift if one.metric == change.metric] for change in history.drift
    }
    return [f"{name} {' and '.join(_since(changes))}" for name, changes in by_metric.items()]


def _since(changes: Sequence[ChangePoint]) -> Iterator[str]:
    """The verb is there once, where all changes have one direction."""
    said = ""
    for change in changes:
        verb = _verb(change.interval)
        yield f"{'' if verb == said else f'{verb} '}by {_size(change.interval)} since {change.before}"
        said = verb


def joined(history: ReleaseHistory) -> str:
    """Which releases pairs have joined to the campaign, and beside which of its own; empty for none."""
    return ", ".join(f"{release} beside {anchor}" for release, anchor in history.anchors.items())


def disagreements(history: ReleaseHistory) -> list[Markdown]:
    """Where the campaign and what joins releases to it contradict each other, one line each."""
    return [
        filled(
            "{} of {} against {}: {} one after the other, {} at once",
            one.metric.words, one.release, one.before, percent(one.in_turn.estimate), percent(one.at_once.estimate),
        )
        for one in history.disagreements
    ]  # fmt: skip


def jumps(history: ReleaseHistory) -> list[str]:
    """Packages that serve a request and came in another major version, by release in their order."""
    return [f"{release}: {lock_diff.text(moved)}" for release, moved in history.jumps.items()]


def behaviours(suite: Suite) -> dict[str, str]:
    """What changed in promptflow, by release."""
    return {behaviour.since: behaviour.what for behaviour in suite.behaviours}


def _change(change: ChangePoint) -> str:
    """One change with its size and interval."""
    return f"{change.metric.words} {_verb(change.interval)} by {_size(change.interval)}"


def _verb(interval: Interval) -> str:
    return "rose" if interval.estimate > 0 else "fell"


def _size(interval: Interval) -> str:
    size, *ends = map(abs, interval.ratios)
    low, high = sorted(ends)
    return f"{size:.1%} ({low:.1%} to {high:.1%})".replace("%", " %")
