"""A bisection as Markdown: every stage, the step, and what is different between the two releases beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

from scripts.inference import lock_diff
from scripts.inference.bisection import Bisection, Stage
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import PairedRounds
from scripts.report.pages import comparison_page
from scripts.report.tables import markdown
from scripts.report.tables.formatting import code, percent

_ABOUT = """All intervals of the search hold at once at 95 %, so each is one of {level:.2f} %. A change counts from
{minimum_effect} on."""
_HEADERS = ("Stage", "Rounds", "Releases", "Change from each to the next", "Goes on")


def render(found: Bisection, last: PairedRounds, as_of: Mapping[str, date]) -> str:
    """The page; `last`: the runs of the last stage, `as_of`: the days of the releases' locks."""
    title = f"# {found.metric.words} of {last.engine} {last.flow}: where it stepped"
    rows = [_row(number, stage) for number, stage in enumerate(found.stages, 1)]
    lines = [_verdict(found), *_about_step(found, last, as_of), *_elsewhere(found, last)]
    parts = [
        title,
        comparison_page.about(last),
        markdown.markdown(_HEADERS, rows, labels=len(_HEADERS)),
        _ABOUT.format(level=found.last.level * 100, minimum_effect=_size(found.last.threshold)),
        "\n".join(f"- {line}" for line in lines),
    ]
    return "\n\n".join(parts) + "\n"


def said(change: Interval) -> str:
    """A shift with its interval."""
    return f"{percent(change.estimate)} ({percent(change.low)} to {percent(change.high)})"


def _row(number: int, stage: Stage) -> list[str]:
    part = stage.part
    goes_on = "no step" if part is None else f"{stage.releases[part]} to {stage.releases[part + 1]}"
    changes = "; ".join(map(said, stage.changes))
    return [str(number), str(stage.model.rounds), ", ".join(stage.releases), changes, goes_on]


def _verdict(found: Bisection) -> str:
    if found.change_point is not None:
        before, release, change = found.change_point
        verb = "rose" if change.estimate > 0 else "fell"
        return f"**{found.metric.words} {verb} with {release}**: {said(change)} against {before}."
    first, last, whole = found.last.releases[0], found.last.releases[-1], said(found.last.whole)
    if found.last.within_threshold:
        return f"**No step.** There is none that counts between {first} and {last}: {whole}."
    if found.last.gradual:
        return f"**No single step.** From {first} to {last} it moved by {whole}, in parts that are too small to count."
    return f"**Not told.** Noise hides whether it stepped between {first} and {last}: {whole}."


def _about_step(found: Bisection, last: PairedRounds, as_of: Mapping[str, date]) -> list[str]:
    """What else differs between the two releases, and how to tell whose change it is."""
    if found.change_point is None:
        return []
    before, release, _ = found.change_point
    arms = {name: arm for arm, name in last.releases.items()}
    records = [last.rounds[0].runs[arms[name]].record for name in (before, release)]
    moved = lock_diff.text(lock_diff.between(*records))
    days = [word for name in (before, release) for word in ("--as-of", as_of[name].isoformat())]
    whose = comparison_page.command(last, "attribute", [before, *days, "--to", release])
    return [f"Between the two locks: {code(moved)}.", f"Is it promptflow's change or its dependencies'? {whose}"]


def _elsewhere(found: Bisection, last: PairedRounds) -> list[str]:
    return [
        f"It also moved by {said(change)} from {first} to {second}: "
        + comparison_page.command(last, "find", ["--metric", found.metric.name, f"{first}..{second}"])
        + "."
        for first, second, change in found.others
    ]


def _size(minimum_effect: float) -> str:
    return f"{math.expm1(minimum_effect):.0%}".replace("%", " %")
