"""A comparison as Markdown: in a terminal, in a CI job's summary, and under results/comparisons/.

Pure; imports `canvas`, `comparison`, `pairing`, `lock_difference`, `statistics`, `tables`, `templates` and `wording`.
"""

from __future__ import annotations

import html
import shlex
from collections.abc import Sequence

from scripts.inference import intervals, lock_diff
from scripts.inference.comparison import LEVEL, Effect, Judged, control_shift
from scripts.inference.paired_rounds import BASELINE, Series
from scripts.report.charts import svg
from scripts.report.pages import templates
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import DASH, code, listed, percent, quantity

DEFAULT_PROFILE = "compare"  # what the session of that name measures unless told otherwise


def render(found: Sequence[Series], judged: Sequence[Judged], *, title: str, kept: bool = False) -> bytes:
    """The page. `kept`: it stays among the results, and shows the pictures that `forest` draws beside it."""
    return templates.render(
        "comparison.md.j2",
        title=title,
        kept=kept,
        width=svg.WIDTH_PX,
        summary=[line for one in judged for line in summary(one)],
        parts=[
            {
                "heading": one.heading,
                "about": about(one.series),
                "table": table(one.effects),
                "notes": notes(one),
                "chart": None if one.series.null or not kept else picture_name(one),
            }
            for one in judged
        ],
        lost=[f"{one.engine} {one.flow}: {code(reason)}" for one in found for reason in one.lost],
    )


def picture_name(one: Judged) -> str:
    """Name of a picture without theme and suffix."""
    return f"{one.series.campaign}-{one.series.engine}-{one.series.flow}-{one.arm}"


def summary(one: Judged) -> list[str]:
    """What changed, in words; the sizes are the table's."""
    lines = []
    for verdict in ("regression", "improvement", "inconclusive", "no data"):
        named = [
            f"{effect.metric.words} {effect_text.change(effect)}".strip()
            for effect in one.effects
            if effect.verdict == verdict
        ]
        if named:
            lines.append(f"**{verdict}** in {listed(named)} ({one.heading}).")
    return lines or [f"**no change** in any metric ({one.heading})."]


def about(series: Series) -> str:
    """How it was measured."""
    record = series.rounds[0].runs[BASELINE].record
    profile = record.asked.profile
    return (
        f"{_counted(len(series.rounds), 'interleaved round')} of profile `{profile.name}` ({profile.users} users, "
        f"{profile.workers} workers, {profile.run_time_s} s) on {record.machine.cpu_model}, "
        f"{record.machine.cores} cores, Python {record.python}, "
        f"from {record.started_at[:16].replace('T', ' ')} UTC on. Campaign `{series.campaign}`."
    )


def table(found: Sequence[Effect]) -> str:
    """One row a metric."""
    level = next((effect.interval.level for effect in found if effect.interval), LEVEL)
    headers = (
        "Metric", "Baseline", "Candidate", "Change", f"{level * 100:.3g} % interval", "Counts from", "Verdict",
    )  # fmt: skip
    rows = [
        [
            effect.metric.title,
            quantity(effect.baseline, effect.metric.unit),
            quantity(effect.candidate, effect.metric.unit),
            effect_text.change(effect) or DASH,
            effect_text.ends(effect),
            effect_text.counts_from(effect),
            _marked(effect),
        ]
        for effect in found
    ]
    return markdown.markdown(headers, rows)


def notes(one: Judged) -> list[str]:
    """What a reader must know to believe the table, and how to make it again."""
    lines = [_locks(one)]
    slopes = {effect.metric.words: effect.slope for effect in one.effects if effect.slope}
    if slopes:
        fitted = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
        lines.append(
            "Adjusted for the machine's speed by the CPU time per request of load generator and mock in the same run, "
            f"with these slopes between logarithms: {fitted}."
        )
        lines += _control_notes(one)
    absent = [effect.metric.words for effect in one.effects if effect.verdict == "no data"]
    if absent:
        lines.append(f"No ratio of {listed(absent)}: not in every record, or not above 0 in every run.")
    return [*lines, *_noise_notes(one), repeat(one.series)]


def _locks(one: Judged) -> str:
    baseline, candidate = (one.series.rounds[0].runs[arm].record for arm in (BASELINE, one.arm))
    moved = lock_diff.between(baseline, candidate)
    if not moved:
        return "Both have the same distributions installed, in the same versions."
    told = html.escape(lock_diff.told(moved))
    differ = f"{_counted(len(moved), 'installed distribution')} differ{'' if len(moved) > 1 else 's'}"
    return f"<details><summary>{differ}.</summary>{told}</details>"


def _noise_notes(one: Judged) -> list[str]:
    if one.series.null:
        told = "Both are the same, so every change here is noise, and the far ends of the intervals are a noise floor "
        return [f"{told}for other comparisons under the same conditions."]
    if any(effect.floor is not None for effect in one.effects):
        return []
    release = one.series.releases[BASELINE].partition("+")[0]
    return [
        f"No noise floor has been measured under these conditions: {command(one.series, 'compare', [release, '--aa'])}."
    ]


def repeat(series: Series) -> str:
    """The command that measures the same again; where it takes more than a name, what is needed."""
    releases = list(series.releases.values())
    unnamed = [_unnamed(release) for release in dict.fromkeys(releases) if "+" in release]
    if unnamed:
        return f"No name repeats it: {listed(unnamed)}."
    targets = [releases[0], "--aa"] if series.null else releases
    rounds = max(len(series.rounds), intervals.least_rounds(LEVEL))
    return f"Repeat it: {command(series, 'compare', [*targets, '--rounds', str(rounds)])}."


def _unnamed(release: str) -> str:
    public, _, day = release.partition("+asof.")
    if day:
        return f"{code(release)} is {public} with its dependencies as of {day[:4]}-{day[4:6]}-{day[6:8]}"
    return f"{code(release)} is a candidate, whose wheels or source are needed again"


def command(series: Series, verb: str, words: Sequence[str]) -> str:
    """A session that measures more under the conditions of a series."""
    asked = series.rounds[0].runs[BASELINE].record.asked
    options = ["--engine", asked.engine, "--flow", asked.flow, "--python", asked.python]
    if asked.profile.name != DEFAULT_PROFILE:
        options += ["--profile", asked.profile.name]
    return code(shlex.join(["nox", "-s", verb, "--", *words, *options]))


def _control_notes(one: Judged) -> list[str]:
    shift = control_shift(one.series, one.arm)
    if shift is None:
        return []
    told = (
        f"The control itself differs between the two by {percent(shift.estimate)} "
        f"({percent(shift.low)} to {percent(shift.high)})"
    )
    if shift.low <= 0 <= shift.high:
        return [f"{told}, which is within noise."]
    why = "one release may slow its neighbours, and adjusted changes leave that share out"
    return [f"**{told}**: {why}."]


def _marked(effect: Effect) -> str:
    return (
        f"**{effect_text.verdict(effect)}**"
        if effect.verdict in ("regression", "improvement")
        else effect_text.verdict(effect)
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
