"""results/comparisons/python.md: what another Python changes, metric by metric; and its part of results/README.md."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.grouping import release_key
from scripts.analysis.metrics import METRICS, Metric
from scripts.config import python_label
from scripts.config.matrix import Suite
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL, Effect, Verdict
from scripts.inference.gate_defaults import INSTRUCTIONS
from scripts.inference.paired_rounds import BASELINE
from scripts.inference.python_changes import PythonChange
from scripts.report.charts.svg import Files
from scripts.report.pages import comparison_index, comparison_page, templates
from scripts.report.pages.explanation_page import Counted
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import DASH, Markdown, filled, joined, percent, quantity

PAGE = f"{comparison_index.FOLDER}/python.md"
_SHOWN = tuple(metric for metric in METRICS if "history" in metric.shown_in)
_CPU, _COUNT = (
    next(metric for metric in METRICS if metric.name == name) for name in ("cpu_per_request_ms", INSTRUCTIONS)
)
_WORDS: dict[Verdict, str] = {"regression": "a regression", "improvement": "an improvement"}

Scenarios = Sequence[Sequence[PythonChange]]
"""The changes of each scenario, as `python_changes.find` has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonPart:
    """What results/README.md says of it."""

    answers: list[Markdown]  # one line a scenario
    table: Markdown  # CPU time of a request, one row a release and scenario


def part(suite: Suite, found: Scenarios) -> PythonPart | None:
    """None where no Pythons were compared."""
    if not found:
        return None
    answers = [_answer(suite, changes) for changes in found]
    return PythonPart(answers=answers, table=markdown.narrow(table(suite, found)))


def table(suite: Suite, found: Scenarios) -> Markdown:
    """CPU time of a request: a row for each scenario and release, a column for each Python, the baseline first."""
    others = sorted({change.python for changes in found for change in changes}, key=release_key)
    pythons = list(dict.fromkeys([*(changes[0].baseline for changes in found), *others]))
    rows = [
        [_title(suite, changes), release, *_figures(of_release, _CPU, pythons)]
        for changes in found
        for release, of_release in _by_release(changes).items()
    ]
    return markdown.markdown(("Engine and flow", "Release", *_headings(pythons)), rows, labels=2)


def render(suite: Suite, found: Scenarios, counted: Counted) -> Files:
    """The page by its path relative to results/; none where no Pythons were compared."""
    if not found:
        return {}
    page = templates.render(
        "python.md.j2",
        answers=[_answer(suite, changes) for changes in found],
        parts=[
            {"title": _title(suite, changes), "table": _table(changes, counted), "notes": list(_notes(changes))}
            for changes in found
        ],
    )
    return {PAGE: page}


def _title(suite: Suite, changes: Sequence[PythonChange]) -> str:
    return grouping.title(suite, changes[0].judged.paired.runs(BASELINE)[0].record.requested)


def _pythons(changes: Sequence[PythonChange]) -> list[str]:
    """The baseline, and the others in their order."""
    return list(dict.fromkeys([changes[0].baseline, *sorted((one.python for one in changes), key=release_key)]))


def _headings(pythons: Sequence[str]) -> list[str]:
    return [f"Python {name}" for name in pythons]


def _by_release(changes: Sequence[PythonChange]) -> dict[str, list[PythonChange]]:
    found: dict[str, list[PythonChange]] = {}
    for one in changes:
        found.setdefault(one.release, []).append(one)
    return found


def _answer(suite: Suite, changes: Sequence[PythonChange]) -> Markdown:
    """How the CPU time of the newest release changes."""
    release = changes[0].release
    of_newest = [one for one in changes if one.release == release]
    return filled(
        "**{}**: CPU per request of {} against Python {}: {}.",
        _title(suite, changes), release, of_newest[0].baseline, joined("; ", map(_change, of_newest)),
    )  # fmt: skip


def _change(change: PythonChange) -> Markdown:
    """E.g. "-4.2 % (-5.0 % to -3.3 %) on 3.12.1, an improvement"."""
    effect = _effect(change, _CPU)
    if effect is None or effect.interval is None:
        return filled("{} on {}", effect.verdict if effect else "no data", change.python)
    verdict = _WORDS.get(effect.verdict, effect.verdict)
    return filled("{} ({}) on {}, {}", effect_text.change(effect), effect_text.ends(effect), change.python, verdict)


def _effect(change: PythonChange, metric: Metric) -> Effect | None:
    return next((effect for effect in change.judged.effects if effect.metric == metric), None)


def _table(changes: Sequence[PythonChange], counted: Counted) -> Markdown:
    """One row a metric and release."""
    pythons, releases = _pythons(changes), _by_release(changes)
    rows = [
        [metric.short_title, release, *_figures(of_release, metric, pythons)]
        for metric in _SHOWN
        for release, of_release in releases.items()
    ]
    for release, of_release in releases.items():
        counts = _counts(of_release, pythons, counted)
        rows += [[_COUNT.short_title, release, *counts]] if any(one != DASH for one in counts) else []
    return markdown.narrow(markdown.markdown(("Metric", "Release", *_headings(pythons)), rows, labels=2))


def _figures(of_release: Sequence[PythonChange], metric: Metric, pythons: Sequence[str]) -> list[str]:
    """The metric of a release on each Python, but for the baseline with its change."""
    effects = {change.python: effect for change in of_release if (effect := _effect(change, metric)) is not None}
    known = [effect.baseline for effect in effects.values() if effect.baseline is not None]
    cells: dict[str, str] = {name: _figure(effect) for name, effect in effects.items()}
    cells[of_release[0].baseline] = quantity(statistics.median(known) if known else None, metric.unit)
    return [cells.get(name, DASH) for name in pythons]


def _figure(effect: Effect) -> str:
    figure = quantity(effect.candidate, effect.metric.unit)
    if effect.interval is None:
        return figure
    text = f"{figure}, {effect_text.change(effect)} ({effect_text.ends(effect)})"
    return filled("**{}**", text) if effect.verdict in _WORDS else text


def _counts(of_release: Sequence[PythonChange], pythons: Sequence[str], counted: Counted) -> list[str]:
    """The instructions of a request on each Python, but for the baseline with their change, where they are counted."""
    paired, baseline = of_release[0].judged.paired, of_release[0].baseline
    found = {
        name: counted.get((of_release[0].release, paired.engine, paired.flow, python_label.without_patch(name)))
        for name in pythons
    }
    base = found[baseline]
    return [
        f"{quantity(value, _COUNT.unit)}, {percent(math.log(value / base))}"
        if value and base and name != baseline
        else quantity(value, _COUNT.unit)
        for name, value in found.items()
    ]


def _notes(changes: Sequence[PythonChange]) -> Iterator[Markdown]:
    """How it was measured, with a link to every metric of each comparison; and how to repeat it."""
    campaigns = {one.judged.paired.campaign: one.judged.paired for one in changes}
    for campaign, paired in campaigns.items():
        yield filled("[{}]({}.md): {}", comparison_index.title([paired]), campaign, comparison_page.about(paired))
    releases = [*reversed(_by_release(changes))]
    pythons = [python_label.without_patch(name) for name in _pythons(changes)]
    rounds = max(intervals.fewest_rounds(LEVEL), *(len(paired.rounds) for paired in campaigns.values()))
    words = [*releases, "--rounds", str(rounds)]
    first = changes[0].judged.paired
    yield filled("Repeat with {}.", comparison_page.command(first, "compare", words, pythons))
