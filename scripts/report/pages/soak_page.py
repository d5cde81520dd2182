"""results/soak.md: whether memory grows and overhead drifts while a release is loaded for half an hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.analysis.grouping import release_key
from scripts.config.bounded_files import MIB
from scripts.config.load_profiles import SOAK
from scripts.config.matrix import Suite
from scripts.inference import soaks
from scripts.inference.soaks import Soak
from scripts.inference.trends import Trend
from scripts.records.schema import SoakSample
from scripts.report.charts import soak_chart, svg
from scripts.report.charts.form import NARROW, WIDE
from scripts.report.charts.soak_chart import Panel, Point
from scripts.report.charts.svg import Files
from scripts.report.pages import templates
from scripts.report.tables import soak_table
from scripts.report.tables.formatting import Markdown, filled, joined

PAGE, _PICTURE = "soak.md", "soak-memory"  # the picture's name begins as the page's does, by which it is removed
_THOUSAND = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Soaks under the same conditions."""

    about: Markdown  # in what they differ from the first table; "" for the first
    text: Markdown
    reasons: list[Markdown]


def render(suite: Suite, found: Sequence[Soak]) -> Files:
    """The page and its picture, by path relative to results/; nothing without a soak."""
    if not found:
        return {}
    tables = _groups(_ordered(suite, found))
    drawn = [one for group in tables for one in group if soaks.samples(one.run.record)]
    newest = max(found, key=lambda one: one.run.record.run_id).run.record
    page = templates.render(
        "soak.md.j2",
        answers=_answers(tables[0]),
        tables=[_table(group, tables[0]) for group in tables],
        memory=_PICTURE if drawn else None,
        grows=any(soak_table.until_gib_s(one) is not None for one in tables[0]),
        width=WIDE.shown_px,
        narrow=NARROW,
        share=f"{suite.soak.capacity_share * 100:g} %",
        minutes=f"{suite.profile(SOAK).run_time_s / 60:g}",
        machine=f"{newest.machine.cores} cores of {newest.machine.cpu_model}",
    )
    chart = soak_chart.chart("Memory over the requests served (MiB, lower is better)", [_panel(one) for one in drawn])
    return {PAGE: page, **(svg.with_narrow({_PICTURE: chart}) if drawn else {})}


def _ordered(suite: Suite, found: Sequence[Soak]) -> list[Soak]:
    """By scenario in the order of suite.toml, and of each the newest release first."""
    scenarios = [(one.engine, one.flow) for one in suite.scenarios]

    def place(soak: Soak) -> tuple[int, tuple[str, str]]:
        requested = soak.run.record.requested
        pair = (requested.engine, requested.flow)
        return scenarios.index(pair) if pair in scenarios else len(scenarios), pair

    by_release = sorted(found, key=lambda one: release_key(one.run.record.requested.release), reverse=True)
    return sorted(by_release, key=place)


def _groups(ordered: Sequence[Soak]) -> list[list[Soak]]:
    """Soaks that may share a table; the table of the newest run first."""
    groups: dict[tuple[str, ...], list[Soak]] = {}
    for one in ordered:
        groups.setdefault(tuple(soaks.shared_conditions(one.run.record).values()), []).append(one)
    return sorted(groups.values(), key=lambda group: max(one.run.record.run_id for one in group), reverse=True)


def _table(group: Sequence[Soak], first: Sequence[Soak]) -> Table:
    ours, theirs = (soaks.shared_conditions(one[0].run.record) for one in (group, first))
    about = joined(
        "; ", [filled("{}: {}, not {}", key, value, theirs[key]) for key, value in ours.items() if value != theirs[key]]
    )
    return Table(about=about, text=soak_table.table(group), reasons=soak_table.reasons(group))


def _answers(group: Sequence[Soak]) -> list[Markdown]:
    return [filled("**{}**: {}.", soak_table.name(one), soak_table.verdict(one)) for one in group]


def _panel(soak: Soak) -> Panel:
    record = soak.run.record
    requested, found, steady = record.requested, soaks.samples(record), soaks.steady(record)
    return Panel(
        title=requested.release,
        about=f"{requested.engine} {requested.flow}",
        points=tuple(_point(one.requests, soaks.total_bytes(one)) for one in found),
        steady_from=steady[0].requests / _THOUSAND if steady else None,
        whole=_line(soak.memory, steady),
        later=_line(soak.memory_later, steady[len(steady) // 2 :]),
    )


def _line(trend: Trend | None, through: Sequence[SoakSample]) -> tuple[Point, ...]:
    """The ends of a trend."""
    if trend is None:
        return ()
    return tuple(_point(requests, trend.at(requests)) for requests in (through[0].requests, through[-1].requests))


def _point(requests: float, memory_bytes: float) -> Point:
    return round(requests / _THOUSAND, 3), round(memory_bytes / MIB, 3)
