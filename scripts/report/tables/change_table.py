"""The table of changes over releases: one row a change, the newest release first, and why, where that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.config.matrix import Suite
from scripts.inference import lock_diff
from scripts.inference.change_points import ChangePoint
from scripts.inference.intervals import Interval
from scripts.inference.release_history import ReleaseHistory
from scripts.report.tables import markdown
from scripts.report.tables.formatting import Markdown, filled, joined, percent, prose

_HEADERS = ("Release", "Metric", "Engine and flow", "Change", "95 % interval", "Better", "Why", "Came with")

Explained = Mapping[tuple[str, str, str, str], str]
"""The page that explains a change, relative to results/, by release, the release before, engine and flow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeTable:
    """The table, and the causes that its numbers stand for."""

    text: Markdown
    rows: int
    causes: tuple[Markdown, ...]


def table(
    suite: Suite, histories: Sequence[ReleaseHistory], release: str | None = None, explained: Explained | None = None
) -> ChangeTable:
    """All changes beyond noise, or those of one release; what came with a release stands in its first row."""
    found = [
        (history, change)
        for history in histories
        for metric in history.metrics
        for change in metric.changes
        if change.release == release or release is None
    ]
    found.sort(key=lambda one: (one[1].metric.name, one[0].engine, one[0].flow))
    found.sort(key=lambda one: grouping.release_key(one[1].release), reverse=True)
    causes: list[Markdown] = []
    rows, said, above = [], "", "" if release is None else "../"
    for history, change in found:
        first = change.release != said
        rows.append(
            [
                _name(change, linked=release is None) if first else "",
                change.metric.words,
                f"{history.engine} {history.flow}",
                *_size(change.interval),
                _better(change),
                joined(
                    " ", filter(None, (_why(suite, history, change, causes), _page(explained, history, change, above)))
                ),
                _came_with(suite, histories, change.release) if first else "",
            ]
        )
        said = change.release
    text = markdown.narrow(markdown.markdown(_HEADERS, rows, labels=3, remarks=3))
    return ChangeTable(text=text, rows=len(rows), causes=tuple(causes))


def _name(change: ChangePoint, *, linked: bool) -> Markdown:
    """The release; with a link from the page of all releases, and with the release before it on its own page."""
    if linked:
        return filled("[{}](v{}/README.md)", change.release, change.release)
    return filled("{} against {}", change.release, change.before)


def _size(interval: Interval) -> list[str]:
    return [percent(interval.estimate), f"{percent(interval.low)} to {percent(interval.high)}"]


def _better(change: ChangePoint) -> str:
    return "no" if change.metric.worse(change.interval.estimate) > 0 else "yes"


def _why(suite: Suite, history: ReleaseHistory, change: ChangePoint, causes: list[Markdown]) -> str:
    """The number of its cause under the table; each cause is there once."""
    for cause in suite.causes:
        of_it = cause.release == change.release and change.metric.name in cause.metrics
        if of_it and history.engine in (cause.engines or (history.engine,)):
            text = prose(cause.text)
            if text not in causes:
                causes.append(text)
            return f"({causes.index(text) + 1})"
    return ""


def _page(explained: Explained | None, history: ReleaseHistory, change: ChangePoint, above: str) -> Markdown:
    """A link to the page that explains it, if there is one; `above`: the way from this page up to results/."""
    page = (explained or {}).get((change.release, change.before, history.engine, history.flow))
    return filled("[profile]({}{})", Markdown(above), Markdown(page)) if page else Markdown("")


def _came_with(suite: Suite, histories: Sequence[ReleaseHistory], release: str) -> Markdown:
    """What else is new in a release: behaviour, and other major versions of packages that serve requests."""
    new = [prose(behaviour.what) for behaviour in suite.behaviours if behaviour.since == release]
    jumps = [lock_diff.text(one.jumps[release]) for one in histories if release in one.jumps]
    return joined("; ", dict.fromkeys([*new, *jumps]))
