"""Capacity on the pages of results: a picture, a table a scenario, and where it parts from the counted work."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis.grouping import Cell, Spread, release_key
from scripts.config.load_profiles import CAPACITY
from scripts.config.matrix import Release, Scenario, Suite
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import THROUGHPUT, CapacitySearch
from scripts.records import conditions
from scripts.report.charts import capacity_chart
from scripts.report.charts.capacity_chart import Panel, Point
from scripts.report.charts.svg import Chart
from scripts.report.pages import counted_part
from scripts.report.tables import capacity_table, markdown
from scripts.report.tables.formatting import DASH, Markdown, code, filled, joined, percent, quantity, significant

PICTURE = "history-capacity"  # its name without theme and suffix
_SETUP, _COUNT = "Workers x threads", "Instructions per request \u2193"
_HEADERS = ("Release", *capacity_table.FIGURES, _SETUP, _COUNT, capacity_table.ABOVE)

_ALIKE = 1.1  # ratio of reference loops, up to which the machine was equally fast: the search's own precision

Counts = Mapping[str, Spread]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Searches that share all conditions but their users."""

    about: str  # in what they differ from the first table; "" for the first
    text: Markdown


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacityScenario:
    """One scenario."""

    title: str
    answer: Markdown | None  # None: no search found a load
    tables: list[Table]
    parts: list[Markdown]  # where capacity and counted work part, one line a release


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacityPart:
    """All scenarios."""

    objective: str
    machine: str
    speed: Markdown | None  # how unlike the machine's own speed was; None: it was alike in all searches
    chart: Chart | None  # None: no search found a load
    scenarios: list[CapacityScenario]


def part(suite: Suite, cells: Sequence[Cell], searches: Sequence[CapacitySearch]) -> CapacityPart | None:
    """The part of the results; None without any search. `searches`: those that count, as capacity_table.shown gives."""
    if not searches:
        return None
    newest = max(searches, key=lambda one: one.runs[-1].record.run_id).runs[-1].record.machine
    rows = _rows(suite, searches)
    return CapacityPart(
        objective=capacity_table.objective(suite.capacity),
        machine=f"{newest.cores} cores of {newest.cpu_model}",
        speed=_speed(searches),
        chart=_chart(suite, searches, rows),
        scenarios=[_scenario(suite, scenario, cells, searches) for scenario in suite.scenarios],
    )


def _speed(searches: Sequence[CapacitySearch]) -> Markdown | None:
    """What keeps capacities of different hours from being compared."""
    loops = [loop for one in searches if (loop := capacity_table.reference_loop_ms(one)) is not None]
    if not loops or max(loops) < min(loops) * _ALIKE:
        return None
    return filled(
        "The machine was not equally fast in all searches: a fixed piece of work, the reference loop, took {} to {} ms."
        " Compare only capacities whose reference loops are alike.",
        significant(min(loops)), significant(max(loops)),
    )  # fmt: skip


def _chart(suite: Suite, searches: Sequence[CapacitySearch], rows: Sequence[Release]) -> Chart | None:
    panels = [_panel(suite, scenario, _of(searches, scenario), rows) for scenario in suite.scenarios]
    shown = [panel for panel in panels if panel.points]
    releases = [release.version for release in rows]
    return capacity_chart.chart("Capacity (requests/s, higher is better)", releases, shown) if shown else None


def of_release(suite: Suite, release: str, searches: Sequence[CapacitySearch]) -> list[Markdown]:
    """One line for each scenario that the release can serve; none where no release was searched."""
    row = suite.named(release)
    if not searches or row is None:
        return []
    lines = []
    for scenario in suite.scenarios:
        if _why_not(suite, row, scenario) is None:
            own = [one for one in _of(searches, scenario) if _is_of(one, release, suite.python)]
            lines.append(filled("**Capacity, {}**: {}", scenario.title, _told(release, own)))
    return lines


def _is_of(search: CapacitySearch, release: str, python: str) -> bool:
    return (search.requested.release, search.requested.python) == (release, python)


def _told(release: str, own: Sequence[CapacitySearch]) -> Markdown:
    counting = capacity_runs.standing(own)
    if counting is None:
        return filled("{} ({}).", capacity_table.NOT_SEARCHED, code(f"nox -s {CAPACITY} -- {release}"))
    return filled("{}.", capacity_table.result(counting))


def _of(searches: Sequence[CapacitySearch], scenario: Scenario) -> list[CapacitySearch]:
    """The searches of a scenario, in the order of releases."""
    wanted = (scenario.engine, scenario.flow)
    found = [one for one in searches if (one.requested.engine, one.requested.flow) == wanted]
    return sorted(found, key=lambda one: release_key(one.requested.release))


def _rows(suite: Suite, searches: Sequence[CapacitySearch]) -> list[Release]:
    """The last release of each minor line, and every other one that was searched."""
    named = {release.version for release in suite.last_of_minors} | {one.requested.release for one in searches}
    return [release for release in suite.releases if release.version in named]


def _why_not(suite: Suite, release: Release, scenario: Scenario) -> str | None:
    """The outcome of a release that does not serve the scenario; None when it does."""
    if not suite.has_engine(release, suite.engine(scenario.engine)):
        return "not-applicable"
    entry = suite.why_unsupported(release, scenario.flow)
    return None if entry is None else entry.outcome


def _panel(suite: Suite, scenario: Scenario, own: Sequence[CapacitySearch], rows: Sequence[Release]) -> Panel:
    """The points of the machine that the newest release was searched on."""
    groups = _groups(own, suite.python)
    alike = [one for group in groups if not _differences(groups[0][0], group[0]) for one in group]
    points: dict[str, Point] = {}
    for one in alike:
        spread, found = one.spread(THROUGHPUT), one.found
        if spread is not None and found is not None:
            point = Point(
                release=one.requested.release, value=spread.median, low=spread.low, high=spread.high,
                is_ceiling=found.is_ceiling, conditions=capacity_table.setup(one),
            )  # fmt: skip
            points.setdefault(point.release, point)
    states = {one.requested.release: capacity_table.outcome(one) for one in alike}
    unsupported = [release.version for release in rows if _why_not(suite, release, scenario) is not None]
    absent = {
        release.version: states.get(release.version, capacity_table.NOT_SEARCHED).replace("-", " ")
        for release in rows
        if release.version not in {*points, *unsupported}
    }
    return Panel(
        title=scenario.title, points=tuple(points.values()), absent=absent, unsupported=tuple(unsupported)
    )  # fmt: skip


def _groups(own: Sequence[CapacitySearch], python: str) -> list[list[CapacitySearch]]:
    """Searches that may share a table, each in the order of releases.

    Those on a Python, e.g. "3.11", come first, and the table of the newest release before the others.
    """

    def key(one: CapacitySearch) -> str:
        return conditions.of_search(one.runs[0].record)

    groups = [list(group) for _, group in itertools.groupby(sorted(own, key=key), key)]
    newest = sorted(groups, key=lambda group: (release_key(group[-1].requested.release), _newest(group)), reverse=True)
    return sorted(newest, key=lambda group: group[0].requested.python != python)


def _newest(group: Sequence[CapacitySearch]) -> str:
    return max(one.runs[-1].record.run_id for one in group)


def _differences(first: CapacitySearch, second: CapacitySearch) -> list[conditions.Difference]:
    """In what they differ beside the load profile."""
    found = conditions.differences(first.runs[0].record, second.runs[0].record)
    return [one for one in found if one.name != conditions.PROFILE]


def _about(first: CapacitySearch, second: CapacitySearch) -> Markdown:
    """In what the conditions of two tables differ."""
    named = [(one.name, one.first, one.second) for one in _differences(first, second)]
    ours, theirs = capacity_table.setup(first), capacity_table.setup(second)
    if ours != theirs:
        named.append(("workers x threads of the server", ours, theirs))
    texts = [filled("{}: {}, not {}", name, other, one) for name, one, other in named]
    return joined("; ", texts or [filled("another {}", conditions.PROFILE)])


def _scenario(
    suite: Suite, scenario: Scenario, cells: Sequence[Cell], searches: Sequence[CapacitySearch]
) -> CapacityScenario:
    own = _of(searches, scenario)
    groups: list[list[CapacitySearch]] = _groups(own, suite.python) or [[]]
    first = groups[0]

    def counts(group: Sequence[CapacitySearch]) -> Counts:
        pythons = [one.requested.python for one in group] or [suite.python]
        return counted_part.counts(cells, scenario.engine, scenario.flow, pythons[0])

    searched = {one.requested.release for one in own}
    engine = suite.engine(scenario.engine)
    missing = [
        release
        for release in _rows(suite, searches)
        if release.version not in searched and suite.has_engine(release, engine)
    ]
    return CapacityScenario(
        title=scenario.title,
        answer=_answer(first),
        tables=[
            Table(
                about="" if group is first else _about(first[0], group[0]),
                text=_table(suite, scenario, group, missing if group is first else [], counts(group)),
            )
            for group in groups
        ],
        parts=[line for group in groups for line in _where_they_part(group, counts(group))],
    )


def _answer(group: Sequence[CapacitySearch]) -> Markdown | None:
    """The newest release, and the best one."""
    found = [(one, spread) for one in group if (spread := one.spread(THROUGHPUT)) is not None]
    if not found:
        return None
    newest, _ = found[-1]
    best, best_spread = max(found, key=lambda one: one[1].median)
    told = filled("{} holds {} requests/s", newest.requested.release, capacity_table.capacity(newest))
    if newest is not group[-1]:
        last = group[-1]
        told = filled("{}: {}; {}", last.requested.release, capacity_table.capacity(last), told)
    if len(found) == 1:
        return told
    if best is newest:
        return filled("{}, the most of all releases in the table", told)
    return filled("{}; the most is {}, of {}", told, significant(best_spread.median), best.requested.release)


def _table(
    suite: Suite, scenario: Scenario, group: Sequence[CapacitySearch], missing: Sequence[Release], counts: Counts
) -> Markdown:
    rows = {
        one.requested.release: [
            *capacity_table.figures(one), capacity_table.setup(one), _count(counts, one.requested.release),
            capacity_table.above(one),
        ]
        for one in group
    }  # fmt: skip
    for release in missing:
        word, *dashes = capacity_table.without_search()
        cells = [_why_not(suite, release, scenario) or word, *dashes]
        rows[release.version] = [*cells, DASH, _count(counts, release.version), DASH]
    newest_first = sorted(rows, key=release_key, reverse=True)
    return markdown.narrow(markdown.markdown(_HEADERS, [[_linked(one), *rows[one]] for one in newest_first], remarks=1))


def _linked(release: str) -> Markdown:
    return filled("[{}](v{}/README.md)", release, release)


def _count(counts: Counts, release: str) -> str:
    return quantity(counts[release].median if release in counts else None, "instructions")


def _where_they_part(group: Sequence[CapacitySearch], counts: Counts) -> Iterator[Markdown]:
    """Releases whose capacity changed otherwise than the instructions of a request suggest.

    Half of the instructions suggest twice the capacity. A capacity is known from the lowest confirming run up to the
    highest at the users that missed the objective.
    """
    for before, after in itertools.pairwise(one for one in group if one.found is not None and one.found.is_ceiling):
        older, newer = (one.requested.release for one in (before, after))
        ranges = [_range(before), _range(after)]
        if older not in counts or newer not in counts or None in ranges:
            continue
        (low, value, high), (new_low, new_value, new_high) = (one for one in ranges if one is not None)
        suggested = math.log(counts[older].median / counts[newer].median)
        least, most = math.log(new_low / high), math.log(new_high / low)
        if not least <= suggested <= most:
            yield filled(
                "**{}** against {}: capacity {} ({} to {}); the instructions per request, {}, suggest {}.",
                newer, older, percent(math.log(new_value / value)), percent(least), percent(most),
                percent(-suggested), percent(suggested),
            )  # fmt: skip


def _range(search: CapacitySearch) -> tuple[float, float, float] | None:
    """The lowest that the capacity can be, the capacity, and the highest; None without a load that was found."""
    spread, found = search.spread(THROUGHPUT), search.found
    if spread is None or found is None or found.users is None or found.limit is None:
        return None
    return spread.low, spread.median, spread.high * found.limit.users / found.users
