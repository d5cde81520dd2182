"""What the results open with: three sentences made from the data, a heat map of all releases, a table of changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.metrics import Metric
from scripts.config.matrix import Suite
from scripts.inference.change_points import ChangePoint
from scripts.inference.release_history import MetricHistory, ReleaseHistory
from scripts.report.charts import heat_map
from scripts.report.charts.heat_map import Cell, Column, Panel
from scripts.report.charts.svg import Chart
from scripts.report.tables import history_text
from scripts.report.tables.formatting import Markdown, filled, listed, percent

HEAT_MAP = "history-heat-map"  # name of the picture
_LARGEST = 3  # changes of the whole history that are named


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """A change in one scenario."""

    scenario: str
    change: ChangePoint

    @property
    def is_worse(self) -> bool:
        """Whether it is a change for the worse."""
        return self.change.metric.worse(self.change.interval.estimate) > 0


def sentences(suite: Suite, histories: Sequence[ReleaseHistory]) -> list[Markdown]:
    """The newest release against the one before, and against the best and a year back; the largest changes of all."""
    if not histories:
        return []
    newest = max((one.releases[-1] for one in histories), key=grouping.release_key)
    with_newest = [one for one in histories if one.releases[-1] == newest]
    before = max((one.releases[-2] for one in with_newest), key=grouping.release_key)
    neighbours = [_Found(scenario=_title(suite, one), change=c) for one in with_newest for c in one.changes(newest)]
    drift = [_Found(scenario=_title(suite, one), change=c) for one in with_newest for c in one.drift]
    every = [_Found(scenario=_title(suite, one), change=c) for one in histories for m in one.metrics for c in m.changes]
    return [
        filled("**{} against {}**: {}.", newest, before, _told(neighbours)),
        filled("**{} against the best earlier release and a year back**: {}.", newest, _told(drift)),
        filled("**Largest changes of all releases**: {}.", _largest(every)),
    ]


def of_release(suite: Suite, release: str, histories: Sequence[ReleaseHistory]) -> list[Markdown]:
    """One release against the one before, and as what it stands among all."""
    with_it = [one for one in histories if release in one.releases and not one.at_once]
    if not with_it:
        return []
    before = [one.releases[one.releases.index(release) - 1] for one in with_it if one.releases[0] != release]
    found = [_Found(scenario=_title(suite, one), change=c) for one in with_it for c in one.changes(release)]
    places = [
        (column.metric, cell, panel.title)
        for panel in (_panel(suite, one) for one in with_it)
        for column in panel.columns
        for cell in column.cells
        if cell.release == release and (cell.is_best or cell.is_worst)
    ]
    told = []
    if before:
        told.append(filled("**Against {}**: {}.", max(before, key=grouping.release_key), _told(found)))
    for word, extreme in (("best", True), ("worst", False)):
        named = list(dict.fromkeys(metric for metric, cell, _ in places if cell.is_best == extreme))
        if named:
            told.append(filled("**The {} of all releases** in {}.", word, listed(named)))
    return told


def chart(suite: Suite, histories: Sequence[ReleaseHistory]) -> Chart:
    """The heat map of all scenarios, the newest release on top."""
    releases = {release for one in histories for release in one.releases}
    panels = [_panel(suite, one) for one in histories]
    joined = sorted({release for one in histories for release in one.anchors}, key=grouping.release_key)
    title = "How much worse each release is than the best one (%)"
    title += f"; {listed(joined)} joined by pairs" if joined else ""
    return heat_map.chart(title, sorted(releases, key=grouping.release_key, reverse=True), panels)


def _title(suite: Suite, one: ReleaseHistory) -> str:
    return history_text.title(suite, one)


def _told(found: Sequence[_Found]) -> str:
    """What got worse, then what got better, each metric once with its range over scenarios."""
    parts = [
        f"{verb} {listed(list(_by_metric(group)))}"
        for verb, group in (
            ("worse in", [one for one in found if one.is_worse]),
            ("better in", [one for one in found if not one.is_worse]),
        )
        if group
    ]
    return "; ".join(parts) or "no change beyond noise"


def _by_metric(found: Sequence[_Found]) -> Iterator[str]:
    metrics: dict[str, list[_Found]] = {}
    for one in found:
        metrics.setdefault(one.change.metric.words, []).append(one)
    for name, group in metrics.items():
        sizes = sorted((one.change.interval.estimate for one in group), key=abs)
        ends = list(dict.fromkeys([percent(sizes[0]), percent(sizes[-1])]))
        where = list(dict.fromkeys(one.scenario for one in group))
        yield f"{name} ({' to '.join(ends)}, {_where(where)})"


def _where(scenarios: Sequence[str]) -> str:
    return scenarios[0] if len(scenarios) == 1 else f"{len(scenarios)} scenarios"


def _largest(found: Iterable[_Found]) -> str:
    """The largest changes, one of each metric and release."""
    ordered = sorted(found, key=lambda one: -abs(one.change.interval.estimate))
    chosen: dict[tuple[str, str], _Found] = {}
    for one in ordered:
        chosen.setdefault((one.change.release, one.change.metric.name), one)
    largest = list(chosen.values())[:_LARGEST]
    return listed([_one_change(one) for one in largest]) or "none beyond noise"


def _one_change(one: _Found) -> str:
    change = one.change
    return f"{change.metric.words} {percent(change.interval.estimate)} with {change.release} ({one.scenario})"


def _panel(suite: Suite, one: ReleaseHistory) -> Panel:
    serving = suite.serving(one.engine, one.flow)
    return Panel(
        title=_title(suite, one),
        columns=tuple(_column(metric) for metric in one.metrics),
        unsupported=tuple(release.version for release in suite.releases if release.version not in serving),
    )


def _column(one: MetricHistory) -> Column:
    values = {figure.release: _badness(one.metric, figure.value) for figure in one.figures}
    best, worst = min(values.values()), max(values.values())
    changed = {c.release: int(math.copysign(1, c.metric.worse(c.interval.estimate))) for c in one.changes}
    cells = [
        Cell(
            release=release, worse=(value / best - 1) * 100, changed=changed.get(release, 0),
            is_best=value == best, is_worst=value == worst != best,
        )
        for release, value in values.items()
    ]  # fmt: skip
    return Column(metric=one.metric.words, cells=tuple(cells))


def _badness(metric: Metric, value: float) -> float:
    """The value, or its inverse where higher is better, so that less is always better."""
    return 1 / value if metric.better == "higher" else value
