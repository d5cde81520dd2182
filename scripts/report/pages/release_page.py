"""results/v<release>/: the page of one release in the form of the published report, and its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping, operational_laws
from scripts.analysis.grouping import Cell, best_first
from scripts.config.matrix import Suite
from scripts.inference import lock_diff
from scripts.inference.capacity_runs import CapacitySearch
from scripts.inference.release_history import ReleaseHistory
from scripts.records.schema import RunRecord
from scripts.records.storage import read_timeline
from scripts.report.charts import timeline
from scripts.report.charts.form import COMPACT
from scripts.report.charts.svg import Chart, Files
from scripts.report.pages import capacity_part, first_screen, templates
from scripts.report.tables import change_table, markdown, notes
from scripts.report.tables.change_table import Explained
from scripts.report.tables.findings import Finding, findings
from scripts.report.tables.formatting import Markdown, code, filled, joined, prose
from scripts.report.tables.published import Published, PublishedScenario

CHANGELOG = "https://github.com/microsoft/promptflow/blob/main/src/promptflow/CHANGELOG.md"
RELEASES = "https://github.com/microsoft/promptflow/releases"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioReport:
    """One scenario under one profile."""

    title: str
    table: Markdown | None  # None: a count, which has no times
    chart: str | None
    notes: list[str]
    metrics: Markdown | None
    method: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileReport:
    """One profile."""

    profile: str
    description: str
    config: Markdown
    sections: list[ScenarioReport]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One scenario, published and measured."""

    title: str
    about: str
    table: Markdown


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    """The release before or after, of those that have a page."""

    release: str
    moved: str  # what differs between the two locks; "" where either has no run with a virtualenv


def render(
    suite: Suite, release: str, cells: Mapping[str, Sequence[Cell]], report: Published | None,
    histories: Sequence[ReleaseHistory] = (), searches: Sequence[CapacitySearch] = (),
    explained: Explained | None = None,
) -> Files:  # fmt: skip
    """The files of one release, by path relative to results/.

    `cells`: of all releases that have a page, in order; `searches`: the capacity searches that count; `explained`: the
    pages that explain changes.
    """
    of_release = [one for one in histories if release in one.releases]
    folder = f"v{release}"
    profiles = [_shown(suite, group) for group in grouping.by_profile(suite, cells[release])]
    shown = [cell for group in profiles for cell, _ in group]
    files: Files = {}
    for cell in shown:
        if _chart(cell) is not None:
            files[f"{folder}/{_chart(cell)}"] = _timeline(suite, cell)
    page = templates.render(
        "release.md.j2",
        release=release,
        answers=first_screen.of_release(suite, release, of_release),
        capacities=capacity_part.of_release(suite, release, searches),
        changes=change_table.table(suite, of_release, release, explained),
        changelog=CHANGELOG,
        releases=f"{RELEASES}?q={release}",
        constrained=_constrained(suite, release),
        previous=_neighbour(release, cells, -1, suite.python),
        following=_neighbour(release, cells, 1, suite.python),
        parts=[_part(suite, group) for group in profiles],
        machines=notes.machines(shown),
        width=COMPACT.shown_px,
        published=report,
        comparisons=_comparisons(report, shown) if report else [],
        findings=_findings(report, shown) if report else [],
    )
    return {f"{folder}/README.md": page, **files}


def _neighbour(release: str, cells: Mapping[str, Sequence[Cell]], step: int, python: str) -> Neighbour | None:
    """The next or the previous release, and the difference of the locks."""
    order = list(cells)
    place = order.index(release) + step
    if not 0 <= place < len(order):
        return None
    older, newer = (order[place], release) if step < 0 else (release, order[place])
    before, after = (_installed(cells[one], python) for one in (older, newer))
    moved = code(lock_diff.text(lock_diff.between(before, after))) if before and after else ""
    return Neighbour(release=order[place], moved=moved)


def _constrained(suite: Suite, release: str) -> str:
    """What of a release's dependencies was moved, and why; "" for one that is as it was in its own time."""
    for one in suite.releases:
        if one.version == release and one.constraints:
            return filled("{}: {}", code(" ".join(one.constraints)), prose(one.reason))
    return ""


def _installed(found: Sequence[Cell], python: str) -> RunRecord | None:
    """The newest run that came to have a virtualenv of that Python."""
    records = [run.record for cell in found for run in cell.runs]
    records = [record for record in records if record.observed is not None and record.requested.python == python]
    return max(records, key=lambda record: record.run_id, default=None)


def _shown(suite: Suite, group: Sequence[Cell]) -> list[tuple[Cell, list[Cell]]]:
    """For each scenario of a profile, the cell to show and the others, whose conditions differ."""
    ordered = [best_first(same, suite.python) for same in grouping.by_scenario(suite, group)]
    return [(first, others) for first, *others in ordered]


def _part(suite: Suite, group: Sequence[tuple[Cell, list[Cell]]]) -> ProfileReport:
    profile = group[0][0].requested.profile
    return ProfileReport(
        profile=profile.name,
        description=profile.description,
        config=notes.config(profile),
        sections=[_section(suite, cell, others) for cell, others in group],
    )


def _section(suite: Suite, cell: Cell, others: Sequence[Cell]) -> ScenarioReport:
    record = cell.shown.record
    return ScenarioReport(
        title=grouping.title(suite, cell.requested),
        table=_table(cell),
        chart=_chart(cell),
        notes=[*notes.section(suite, cell), *notes.other_conditions(cell, others)],
        metrics=markdown.all_metrics(cell) if record.measurements or record.counts else None,
        method=notes.method(cell),
    )


def _table(cell: Cell) -> Markdown | None:
    """The published table; None for a count."""
    record = cell.shown.record
    if record.measurements is not None:
        return markdown.published_form(record.measurements.load.locust_rows, markdown.doubtful_columns(cell.shown))
    return None if record.counts is not None else markdown.published_without_figures(cell.outcome)


def _chart(cell: Cell) -> str | None:
    """File name without its ending; None without an ok run, for a count, and for short rounds of a campaign."""
    requested = cell.requested
    if not cell.ok or requested.campaign or cell.shown.record.counts is not None:
        return None
    return f"{requested.profile.name}-{requested.engine}-{requested.flow}"


def _timeline(suite: Suite, cell: Cell) -> Chart:
    run = cell.shown
    floor_s = operational_laws.ideal_s(run.record)
    requested = cell.requested
    return timeline.chart(
        f"{grouping.title(suite, requested)} · promptflow {requested.release} · {requested.profile.name}",
        read_timeline(run.directory),
        None if floor_s is None else floor_s * 1000,
        operational_laws.steady_from_s(run.record),
    )


def _comparisons(report: Published, shown: Sequence[Cell]) -> list[Comparison]:
    """Each published scenario beside every profile under which we measured it."""
    found = []
    for one in report.scenarios:
        cells = [cell for cell in shown if (cell.requested.engine, cell.requested.flow) == (one.engine, one.flow)]
        found += [_comparison(one, cell) for cell in cells] or [_comparison(one, None)]
    return found


def _comparison(published: PublishedScenario, cell: Cell | None) -> Comparison:
    if cell is None:
        table = markdown.side_by_side(published.rows[0], None, "not measured")
        return Comparison(title=published.title, about="There is no run of it yet.", table=table)
    measured = cell.shown.record.measurements if cell.ok else None
    row = measured.load.locust_rows[0] if measured and measured.load.locust_rows else None
    return Comparison(
        title=f"{published.title}, profile {cell.requested.profile.name}",
        about=joined(" ", [filled("Measured: run {}.", notes.run_link(cell.shown)), *notes.spread(cell)]),
        table=markdown.side_by_side(published.rows[0], row, cell.outcome, markdown.doubtful_columns(cell.shown)),
    )


def _findings(report: Published, shown: Sequence[Cell]) -> list[Finding]:
    return findings(report, [cell.shown for cell in shown if cell.ok])
