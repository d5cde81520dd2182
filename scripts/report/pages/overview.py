"""results/README.md: what changed, all releases side by side, and what is missing and why."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scripts.analysis import grouping
from scripts.analysis.grouping import Cell, release_key
from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run, Skipped
from scripts.config.matrix import MOCK, Engine, Release, Suite
from scripts.inference import release_history
from scripts.inference.capacity_runs import CapacitySearch
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts import history_chart, release_chart, svg
from scripts.report.charts.form import NARROW, WIDE
from scripts.report.charts.history_chart import Panel
from scripts.report.charts.release_chart import Reported
from scripts.report.charts.svg import Chart, Files
from scripts.report.pages import capacity_part, comparison_page, counted_part, first_screen, python_page, templates
from scripts.report.pages.python_page import Scenarios
from scripts.report.tables import change_table, history_text, markdown, notes, support_matrix
from scripts.report.tables.change_table import Explained
from scripts.report.tables.formatting import Markdown, code, filled, listed, prose, span
from scripts.report.tables.published import Published

PICTURES = ("history-", "releases-")  # how the files beside the page begin
_BARS, _JOINED = "estimate with its 95 % interval", "joined by pairs that were loaded at once"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Runs that share one set of conditions."""

    about: str  # what differs from the first table; "" for the first
    text: Markdown
    notes: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioTables:
    """One scenario under one profile."""

    title: str
    tables: list[Table]
    unmeasured: list[str]
    chart: Reported | None
    repeat: str  # how to repeat a row


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileTables:
    """One profile."""

    profile: str
    description: str
    sections: list[ScenarioTables]


def render(  # noqa: PLR0913 - all that there is to show
    suite: Suite, found: Sequence[Cell], *, skipped: Sequence[Skipped], reports: Mapping[str, Published],
    served: Sequence[Run], compared: bool, histories: Sequence[ReleaseHistory] = (),
    searches: Sequence[CapacitySearch] = (), explained: Explained | None = None, soaked: bool = False,
    pythons: Scenarios = (),
) -> Files:  # fmt: skip
    """The page, and its pictures.

    `found`: the cells of the tables; `reports`: published figures by release; `served`: all runs, for what each release
    serves; `compared`: there are pages of comparisons; `searches`: the capacity searches that count; `explained`: the
    pages that explain changes; `soaked`: there is a page of soaks; `pythons`: what other Pythons change.
    """
    groups = grouping.by_profile(suite, found)
    releases = {cell.requested.release for cell in found} - {MOCK}
    parts = [_part(suite, group, reports) for group in groups]
    over_releases = [one for one in histories if not one.at_once]
    counted = counted_part.parts(suite, found, over_releases)
    drawn: dict[str, Chart] = {one.name: one.chart for one in counted}
    capacity = capacity_part.part(suite, found, searches)
    if capacity is not None and capacity.chart is not None:
        drawn[capacity_part.PICTURE] = capacity.chart
    page = templates.render(
        "overview.md.j2",
        parts=parts,
        machines=notes.machines(found),
        pages=sorted(releases, key=release_key, reverse=True),
        compared=compared,
        answers=first_screen.sentences(suite, over_releases),
        heat_map=first_screen.HEAT_MAP if over_releases else None,
        explained=bool(explained),
        soaked=soaked,
        changes=change_table.table(suite, over_releases, explained=explained) if over_releases else None,
        counted=counted,
        capacity=capacity,
        capacity_picture=capacity_part.PICTURE,
        pythons=python_page.part(suite, pythons),
        python_page=Markdown(python_page.PAGE),
        histories=[_history(suite, one) for one in histories],
        directions=_directions(),
        trials=release_history.TRIALS,
        width=WIDE.shown_px,
        narrow=NARROW,
        published=[release for release in reports if release in releases],
        capabilities=support_matrix.table(suite, served, [run for cell in found for run in cell.runs]),
        unsupported=support_matrix.reasons(suite),
        skipped=[filled("{}: {}", code(one.path), code(one.reason)) for one in skipped],
    )
    if over_releases:
        drawn[first_screen.HEAT_MAP] = first_screen.chart(suite, over_releases)
    drawn |= {_chart(one): _picture(suite, one) for one in histories}
    drawn |= {s.chart.name: s.chart.chart for part in parts for s in part.sections if s.chart is not None}
    return {"README.md": page, **svg.with_narrow(drawn)}


def _history(suite: Suite, one: ReleaseHistory) -> dict[str, object]:
    return {
        "title": history_text.title(suite, one),
        "at_once": one.at_once,
        "about": comparison_page.about(one.sources[0]),
        "chart": _chart(one),
        "releases": span(list(reversed(one.releases))),
        "newest": one.releases[-1],
        "drift": history_text.drift(one),
        "joined": history_text.joined(one),
        "disagreements": history_text.disagreements(one),
        "covariate": history_text.of_covariate(one),
        "jumps": history_text.jumps(one),
        "false_positives": f"{one.false_positives * 100:.1f} %",
        "repeat": [comparison_page.repeat(source) for source in one.sources],
    }


def _directions() -> list[str]:
    """The good directions of the metrics in the histories, e.g. "Lower is better for overhead p50"."""
    shown = [metric for metric in METRICS if "history" in metric.shown_in and metric.direction]
    words = {metric.direction: [one.words for one in shown if one.direction == metric.direction] for metric in shown}
    return [f"{direction.capitalize()} for {listed(names)}" for direction, names in words.items()]


def _chart(one: ReleaseHistory) -> str:
    """Name of its picture without theme and suffix."""
    pairs = f"-{one.releases[0]}-{one.releases[-1]}" if one.at_once else ""
    return f"history-{one.engine}-{one.flow}{pairs}"


def _picture(suite: Suite, one: ReleaseHistory) -> Chart:
    panels = [_joined_hollow(history_chart.panel(metric), one) for metric in one.metrics]
    title = history_text.title(suite, one)
    return history_chart.over_releases(
        suite, title, one.engine, one.flow, panels, bars=_BARS, hollow=_JOINED, jumped=one.jumps
    )


def _joined_hollow(panel: Panel, history: ReleaseHistory) -> Panel:
    """The points of joined releases are not measured like the others."""
    points = tuple(replace(point, counts=point.release not in history.anchors) for point in panel.points)
    return replace(panel, points=points)


def _part(suite: Suite, group: Sequence[Cell], reports: Mapping[str, Published]) -> ProfileTables:
    profile = group[0].requested.profile
    sections = [_section(suite, same, reports) for same in grouping.by_scenario(suite, group)]
    return ProfileTables(profile=profile.name, description=profile.description, sections=sections)


def _section(suite: Suite, same: Sequence[Cell], reports: Mapping[str, Published]) -> ScenarioTables:
    requested = same[0].requested
    unsupported, unmeasured = _absent(suite, same)
    made = grouping.by_conditions(same, suite.python)
    first = made[0]
    rows = [
        Table(
            about="" if group is first else notes.differing(first[0], group[0]),
            text=markdown.releases(
                group, [(entry.release, entry.outcome) for entry in unsupported] if group is first else []
            ),
            notes=[
                *(line for cell in group for line in [*notes.not_ok(cell), *notes.distrusted(cell)]),
                *(
                    filled("{}: {}: {}", entry.release, entry.outcome, prose(entry.reason))
                    for entry in unsupported
                    if group is first
                ),
            ],
        )
        for group in made
    ]
    return ScenarioTables(
        title=grouping.title(suite, requested),
        tables=rows,
        unmeasured=unmeasured,
        chart=release_chart.reported(suite, made, reports),
        repeat=notes.repeat_any(suite, requested),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Absent:
    """An unsupported release, or several neighbours."""

    release: str  # or "1.0.0 to 1.9.0"
    outcome: str
    reason: str


def _absent(suite: Suite, same: Sequence[Cell]) -> tuple[list[_Absent], list[str]]:
    """Declared releases without a run: the unsupported ones with their reasons, and those that could have one."""
    requested = same[0].requested
    engines = {engine.name: engine for engine in suite.engines}
    if requested.release == MOCK or requested.engine not in engines:
        return [], []
    measured = {cell.requested.release for cell in same}
    missing = [release for release in reversed(suite.releases) if release.version not in measured]
    unsupported = {
        release.version: _unsupported(suite, release, engines[requested.engine], requested.flow) for release in missing
    }
    alike = itertools.groupby(filter(None, unsupported.values()), lambda entry: (entry.outcome, entry.reason))
    ranges = [
        _Absent(release=span([entry.release for entry in group]), outcome=outcome, reason=reason)
        for (outcome, reason), group in alike
    ]
    return ranges, [version for version, entry in unsupported.items() if entry is None]


def _unsupported(suite: Suite, release: Release, engine: Engine, flow: str) -> _Absent | None:
    """Why the scenario is unsupported; None when it is not, or when the flow is a user's own."""
    if not suite.has_engine(release, engine):
        reason = f"the {engine.name} engine came with {engine.since}"
        return _Absent(release=release.version, outcome="not-applicable", reason=reason)
    found = suite.why_unsupported(release, flow)
    if found is None:
        return None
    return _Absent(release=release.version, outcome=found.outcome, reason=found.reason)
