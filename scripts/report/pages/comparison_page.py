"""A comparison as Markdown: in a terminal, in a CI job's summary, and under results/comparisons/."""

from __future__ import annotations

import html
import shlex
from collections.abc import Sequence

from scripts.inference import intervals, lock_diff
from scripts.inference.comparison import LEVEL, ArmComparison, Effect, covariate_change
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.report.charts import svg
from scripts.report.pages import templates
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import DASH, code, listed, percent, quantity

DEFAULT_PROFILE = "compare"  # what the session of that name measures unless told otherwise


def render(found: Sequence[PairedRounds], judged: Sequence[ArmComparison], *, title: str, kept: bool = False) -> bytes:
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
                "about": about(one.paired),
                "table": table(one.effects),
                "notes": notes(one),
                "chart": None if one.paired.is_aa or not kept else picture_name(one),
            }
            for one in judged
        ],
        excluded=[f"{one.engine} {one.flow}: {code(reason)}" for one in found for reason in one.excluded],
    )


def picture_name(one: ArmComparison) -> str:
    """Name of a picture without theme and suffix."""
    return f"{one.paired.campaign}-{one.paired.engine}-{one.paired.flow}-{one.arm}"


def summary(one: ArmComparison) -> list[str]:
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
    return lines or [f"**within threshold** in every metric ({one.heading})."]


def about(paired: PairedRounds) -> str:
    """How it was measured."""
    record = paired.rounds[0].runs[BASELINE].record
    profile = record.requested.profile
    return (
        f"{_counted(len(paired.rounds), 'interleaved round')} of profile `{profile.name}` ({profile.users} users, "
        f"{profile.workers} workers, {profile.run_time_s} s) on {record.machine.cpu_model}, "
        f"{record.machine.cores} cores, Python {record.python}, "
        f"from {record.started_at[:16].replace('T', ' ')} UTC on. Campaign `{paired.campaign}`."
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


def notes(one: ArmComparison) -> list[str]:
    """What a reader must know to believe the table, and how to make it again."""
    lines = [_locks(one)]
    slopes = {effect.metric.words: effect.slope for effect in one.effects if effect.slope}
    if slopes:
        fitted = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
        lines.append(
            "Adjusted for the machine's speed by the CPU time per request of load generator and mock in the same run, "
            f"with these slopes between logarithms: {fitted}."
        )
        lines += _covariate_notes(one)
    absent = [effect.metric.words for effect in one.effects if effect.verdict == "no data"]
    if absent:
        lines.append(f"No ratio of {listed(absent)}: not in every record, or not above 0 in every run.")
    return [*lines, *_noise_notes(one), repeat(one.paired)]


def _locks(one: ArmComparison) -> str:
    baseline, candidate = (one.paired.rounds[0].runs[arm].record for arm in (BASELINE, one.arm))
    moved = lock_diff.between(baseline, candidate)
    if not moved:
        return "Both have the same distributions installed, in the same versions."
    told = html.escape(lock_diff.text(moved))
    differ = f"{_counted(len(moved), 'installed distribution')} differ{'' if len(moved) > 1 else 's'}"
    return f"<details><summary>{differ}.</summary>{told}</details>"


def _noise_notes(one: ArmComparison) -> list[str]:
    if one.paired.is_aa:
        told = "Both are the same, so every change here is noise, and the far ends of the intervals are a noise floor "
        return [f"{told}for other comparisons under the same conditions."]
    if any(effect.floor is not None for effect in one.effects):
        return []
    release = one.paired.releases[BASELINE].partition("+")[0]
    return [
        f"No noise floor has been measured under these conditions: {command(one.paired, 'compare', [release, '--aa'])}."
    ]


def repeat(paired: PairedRounds) -> str:
    """The command that measures the same again; where it takes more than a name, what is needed."""
    releases = list(paired.releases.values())
    unnamed = [_unnamed(release) for release in dict.fromkeys(releases) if "+" in release]
    if unnamed:
        return f"No name repeats it: {listed(unnamed)}."
    targets = [releases[0], "--aa"] if paired.is_aa else releases
    rounds = max(len(paired.rounds), intervals.fewest_rounds(LEVEL))
    return f"Repeat it: {command(paired, 'compare', [*targets, '--rounds', str(rounds)])}."


def _unnamed(release: str) -> str:
    public, _, day = release.partition("+asof.")
    if day:
        return f"{code(release)} is {public} with its dependencies as of {day[:4]}-{day[4:6]}-{day[6:8]}"
    return f"{code(release)} is a candidate, whose wheels or source are needed again"


def command(paired: PairedRounds, verb: str, words: Sequence[str]) -> str:
    """A session that measures more under the conditions of a series."""
    requested = paired.rounds[0].runs[BASELINE].record.requested
    options = ["--engine", requested.engine, "--flow", requested.flow, "--python", requested.python]
    if requested.profile.name != DEFAULT_PROFILE:
        options += ["--profile", requested.profile.name]
    return code(shlex.join(["nox", "-s", verb, "--", *words, *options]))


def _covariate_notes(one: ArmComparison) -> list[str]:
    change = covariate_change(one.paired, one.arm)
    if change is None:
        return []
    told = (
        f"The control itself differs between the two by {percent(change.estimate)} "
        f"({percent(change.low)} to {percent(change.high)})"
    )
    if change.low <= 0 <= change.high:
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
