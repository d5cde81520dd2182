"""A bisection as Markdown: the change, what differs between the two releases beside it, and every stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Literal

from scripts.inference import lock_diff
from scripts.inference.bisection import Bisection, Stage
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import PairedRounds
from scripts.report.pages import comparison_page, templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import Markdown, code, filled, percent

Result = Literal["changed", "no change", "gradual", "inconclusive"]

_HEADERS = ("Stage", "Rounds", "Releases", "Change from each to the next", "Next range")


def render(found: Bisection, last: PairedRounds, as_of: Mapping[str, date]) -> str:
    """The page; `last`: the runs of the last stage, `as_of`: the days of the releases' locks."""
    return _page(found, last, _verdict(found), [*_about_change(found, last, as_of), *_elsewhere(found, last)])


def of_commits(
    found: Bisection, last: PairedRounds, subjects: Mapping[str, str], failed: Mapping[str, str], repository: str
) -> str:
    """The page of a search among commits; by name of a commit: its subject, and why it cannot be measured."""
    notes = []
    if found.change_point is not None:
        before, commit = (_named(name, subjects) for name in found.ends)
        untested = ", ".join(_named(name, subjects) for name in found.untested)
        also = f", or with one of these, which are not measured: {untested}" if untested else ""
        notes = [
            filled("The change came with {}{}. The last commit without it is {}.", commit, also, before),
            _packages(found, last),
        ]
    if found.ended_early:
        text = "The search ended early, because it came to {} commits that cannot be measured."
        notes.append(filled(text, len(found.skipped)))
    notes += [filled("Skipped {}: {}", _named(name, subjects), failed[name]) for name in found.skipped]
    notes += [
        filled(
            "It also changed by {} from {} to {}. To search there, run {}.",
            change_text(change),
            first,
            second,
            comparison_page.command(
                last, "find", ["--metric", found.metric.name, "--repo", repository, "--good", first, "--bad", second]
            ),
        )
        for first, second, change in found.others
    ]
    return _page(found, last, _verdict(found), notes)


def _named(commit: str, subjects: Mapping[str, str]) -> str:
    """A commit with its subject, which is foreign text."""
    return f"{commit} ({subjects[commit]})"


def _page(found: Bisection, last: PairedRounds, verdict: Markdown, notes: list[Markdown]) -> str:
    rows = [_row(number, stage) for number, stage in enumerate(found.stages, 1)]
    return templates.text(
        "bisection.md.j2",
        title=f"{found.metric.words} of {last.engine} {last.flow}: where it changed",
        verdict=verdict,
        next=notes,
        table=markdown.markdown(_HEADERS, rows, labels=len(_HEADERS)),
        about=comparison_page.about(last),
        threshold=_size(found.last.threshold),
        level=f"{found.last.level * 100:.2f}",
    )


def change_text(change: Interval) -> str:
    """A change with its interval."""
    return f"{percent(change.estimate)} ({percent(change.low)} to {percent(change.high)})"


def _row(number: int, stage: Stage) -> list[str]:
    part = stage.part
    next_range = "none" if part is None else f"{stage.releases[part]} to {stage.releases[part + 1]}"
    changes = "; ".join(map(change_text, stage.changes))
    return [str(number), str(stage.model.rounds), ", ".join(stage.releases), changes, next_range]


def result(found: Bisection) -> Result:
    """How the search ended."""
    if found.change_point is not None:
        return "changed"
    if found.last.within_threshold:
        return "no change"
    return "gradual" if found.last.gradual else "inconclusive"


def answer(found: Bisection) -> str:
    """Where the metric changed, or why that is not said, in one sentence."""
    return "".join(_sentence(found))


def _verdict(found: Bisection) -> Markdown:
    return filled("**{}**{}", *_sentence(found))


def _sentence(found: Bisection) -> tuple[str, str]:
    """The result, and with which figures."""
    if found.change_point is not None:
        before, release, change = found.change_point
        verb = f"{found.metric.words} {'rose' if change.estimate > 0 else 'fell'}"
        if found.untested:
            return f"{verb} between {before} and {release}", f": {change_text(change)}."
        return f"{verb} with {release}", f": {change_text(change)} against {before}."
    first, last, whole = found.last.releases[0], found.last.releases[-1], change_text(found.last.whole)
    if found.last.within_threshold:
        return "No change.", f" Between {first} and {last} it stays within the threshold: {whole}."
    if found.last.gradual:
        return "No single change.", f" From {first} to {last} it moved by {whole}. Each part is within the threshold."
    return "Inconclusive.", f" Noise hides whether it changed between {first} and {last}: {whole}."


def _about_change(found: Bisection, last: PairedRounds, as_of: Mapping[str, date]) -> list[Markdown]:
    """What else differs between the two releases, and how to separate promptflow's effect."""
    if found.change_point is None:
        return []
    before, release, _ = found.change_point
    days = [word for name in (before, release) for word in ("--as-of", as_of[name].isoformat())]
    command = comparison_page.command(last, "attribute", [before, *days, "--to", release])
    return [
        _packages(found, last),
        filled("To separate promptflow's effect from its dependencies', run {}.", command),
    ]


def _packages(found: Bisection, last: PairedRounds) -> Markdown:
    """What else differs beside a change: the packages of the two arms of the last stage between which it lies."""
    part = found.last.part or 0
    records = [last.rounds[0].runs[arm].record for arm in last.arms[part : part + 2]]
    return filled("Installed packages that differ: {}.", code(lock_diff.text(lock_diff.between(*records))))


def _elsewhere(found: Bisection, last: PairedRounds) -> list[Markdown]:
    return [
        filled(
            "It also changed by {} from {} to {}. To search there, run {}.",
            change_text(change),
            first,
            second,
            comparison_page.command(last, "find", ["--metric", found.metric.name, f"{first}..{second}"]),
        )
        for first, second, change in found.others
    ]


def _size(minimum_effect: float) -> str:
    return f"{math.expm1(minimum_effect):.0%}".replace("%", " %")
