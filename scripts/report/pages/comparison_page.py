"""A comparison as Markdown: in a terminal, in a CI job's summary, and under results/comparisons/."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from scripts.config import python_label
from scripts.config.load_profiles import COMPARE, DUET
from scripts.inference import intervals, lock_diff, machine_agreement
from scripts.inference.comparison import LEVEL, VERDICTS, ArmComparison, Effect, Verdict, covariate_change
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts.form import COMPACT
from scripts.report.pages import templates
from scripts.report.tables import effect_text, history_text, markdown
from scripts.report.tables.formatting import DASH, Markdown, code, filled, listed, percent, quantity

_AT_ONCE = ("compare", "gate")  # the sessions that load two releases at once by default


def render(
    found: Sequence[PairedRounds], judged: Sequence[ArmComparison], *, title: str, written: bool = False,
    histories: Sequence[ReleaseHistory] = (), pythons: Markdown | None = None,
) -> bytes:  # fmt: skip
    """The page.

    `written`: as a file among the results, with the pictures that `forest_plot` draws beside it. `histories`: over the
    compared releases, for their drift. `pythons`: a table of all Pythons, where those are compared.
    """
    return templates.render(
        "comparison.md.j2",
        title=title,
        written=written,
        width=COMPACT.shown_px,
        summary=[line for one in judged for line in summary(one)],
        pythons=pythons,
        parts=[
            {
                "heading": one.heading,
                "about": about(one.paired),
                "table": table(one.effects, len(one.paired.rounds), narrow=not written),
                "notes": [*([] if written else _rounds_needed(one)), *notes(one)],
                "chart": None if one.paired.is_aa or not written else picture_name(one),
            }
            for one in judged
        ],
        drift=[
            filled("{} {}, {}: {}.", one.engine, one.flow, one.releases[-1], line)
            for one in histories
            for line in history_text.drift(one)
        ],
        excluded=[filled("{} {}: {}", one.engine, one.flow, code(reason)) for one in found for reason in one.excluded],
    )


def picture_name(one: ArmComparison) -> str:
    """Name of a picture without theme and suffix."""
    return f"{one.paired.campaign}-{one.paired.engine}-{one.paired.flow}-{one.arm}"


def summary(one: ArmComparison) -> list[Markdown]:
    """What changed, one line for each kind of verdict, with the changes of the table."""
    lines = []
    for verdict in ("regression", "improvement", "inconclusive", "no data"):
        named = [
            f"{effect.metric.words} {effect_text.change(effect)}".strip()
            for effect in one.effects
            if effect.verdict == verdict
        ]
        if named:
            lines.append(filled("**{}** in {} ({}).", verdict, listed(named), one.heading))
    return lines or [filled("**within threshold** in every metric ({}).", one.heading)]


def answer(judged: Sequence[ArmComparison]) -> str:
    """How many metrics have each verdict, over all comparisons."""
    found = Counter(effect.verdict for one in judged for effect in one.effects)
    return (
        ", ".join(_number(found[verdict], verdict) for verdict in VERDICTS if found[verdict])
        or "no whole round was measured"
    )


def _number(number: int, verdict: Verdict) -> str:
    if verdict in ("regression", "improvement"):
        return _counted(number, verdict)
    return f"{number} {'without data' if verdict == 'no data' else verdict}"


def about(paired: PairedRounds) -> Markdown:
    """How it was measured."""
    record = paired.rounds[0].runs[BASELINE].record
    profile = record.requested.profile
    workers = _counted(profile.workers, "worker")
    rounds, load = (
        "interleaved round",
        f"{profile.users} users, {workers}, {profile.run_time_s} s a run",
    )
    if record.counts is not None:
        load = "one worker, one request after the other"
        rounds = rounds if paired.campaign else "count of each"
    elif profile.at_once > 1:
        rounds = "round"
        arms = "servers" if paired.on_pythons else "releases"
        load = (
            f"{profile.users} users for each of two {arms} at the same time, {workers}, {profile.run_time_s} s a round"
        )
    return filled(
        "{} of profile {} ({}), from {} UTC on. {}: {}, {} cores, Python {}.{}",
        _counted(len(paired.rounds), rounds),
        code(profile.name),
        load,
        record.started_at[:16].replace("T", " "),
        _machines(paired),
        record.machine.cpu_model,
        record.machine.cores,
        listed(list(dict.fromkeys(paired.pythons.values()))),
        filled(" Campaign {}.", code(paired.campaign)) if paired.campaign else "",
    )


def _machines(paired: PairedRounds) -> str:
    """How many machines of one kind shared the rounds, where that is known."""
    known = {run.record.machine.identity for one in paired.rounds for run in one.runs.values()} - {""}
    return f"{len(known)} machines of one kind" if len(known) > 1 else "Machine"


def table(found: Sequence[Effect], measured: int, *, narrow: bool = False) -> Markdown:
    """One row a metric; `measured`: rounds, of which a column says how many tell the metric where some do not.

    `narrow`: without the rounds that are needed, for a terminal.
    """
    partly = any(effect.left_out for effect in found)
    level = next((effect.interval.level for effect in found if effect.interval), LEVEL)
    headers = (
        "Metric", "Baseline", "Candidate", "Change", f"{level * 100:.3g} % interval", "Threshold",
        *(["Rounds"] if partly else []), "Verdict",
    )  # fmt: skip
    rows = [
        [
            effect.metric.short_title,
            quantity(effect.baseline, effect.metric.unit),
            quantity(effect.candidate, effect.metric.unit),
            effect_text.change(effect) or DASH,
            effect_text.ends(effect),
            effect_text.threshold(effect),
            *([effect_text.rounds(effect, measured)] if partly else []),
            _marked(effect, effect.verdict if narrow else effect_text.verdict(effect)),
        ]
        for effect in found
    ]
    return markdown.markdown(headers, rows)


def notes(one: ArmComparison) -> list[str]:
    """What a reader needs to judge the table, and the command that repeats it."""
    missed = [(effect.metric.words, effect.left_out) for effect in one.effects]
    left_out = effect_text.left_out(missed, len(one.paired.rounds))
    return [*context(one), *left_out, *_machine_notes(one), *_noise_notes(one), repeat(one.paired)]


def _rounds_needed(one: ArmComparison) -> list[str]:
    """What the verdicts of a narrow table leave out."""
    needed = [f"{effect.metric.words} {effect.rounds_needed}" for effect in one.effects if effect.rounds_needed]
    return [f"Rounds that would decide, in all about: {', '.join(needed)}."] if needed else []


def context(one: ArmComparison) -> list[str]:
    """What differs between the two besides the release, and how the changes are adjusted."""
    lines: list[str] = [_locks(one)]
    slopes = {effect.metric.words: effect.slope for effect in one.effects if effect.slope}
    if slopes:
        fitted = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
        lines.append(
            "The speed covariate adjusts for the machine's speed: the CPU time per request of load generator and mock "
            f"API in the same run. Slopes between logarithms: {fitted}."
        )
        lines += _covariate_notes(one)
    return lines


def _locks(one: ArmComparison) -> str:
    baseline, candidate = (one.paired.rounds[0].runs[arm].record for arm in (BASELINE, one.arm))
    moved = lock_diff.between(baseline, candidate)
    if not moved:
        return "Both ran with the same installed packages, in the same versions."
    differ = f"{_counted(len(moved), 'installed package')} differ{'' if len(moved) > 1 else 's'}"
    return filled("<details><summary>{}.</summary>{}</details>", differ, lock_diff.text(moved))


def _machine_notes(one: ArmComparison) -> list[str]:
    """Whether several machines agree."""
    found = machine_agreement.of(one)
    if found is None:
        return []
    shared = f"{len(found.rounds)} machines of one kind made {listed([str(number) for number in found.rounds])} rounds."
    if not found.metrics:
        return [f"{shared} Whether they agree cannot be told: that takes two machines with two rounds each."]
    how = "analysis of variance of the rounds by machine, Holm's method over the metrics"
    if not found.disagreements:
        return [f"{shared} They do not disagree on any metric ({how})."]
    differ = [
        filled("{} ({})", one.metric.words, listed([percent(change) for change in one.changes]))
        for one in found.disagreements
    ]
    return [filled("{} **They disagree on {}**, by {}.", shared, listed(differ), how)]


def _noise_notes(one: ArmComparison) -> list[str]:
    if one.paired.is_aa:
        return [
            (
                "Both are the same release, so every change here is noise. "
                "The far ends of the intervals are the noise floor of other comparisons under the same conditions."
            )
        ]
    if any(effect.floor is not None for effect in one.effects):
        return []
    release = one.paired.releases[BASELINE].partition("+")[0]
    measure = command(one.paired, "compare", [release, "--aa"])
    return [filled("No noise floor has been measured under these conditions. To measure it, run {}.", measure)]


def repeat(paired: PairedRounds) -> Markdown:
    """How to measure the same again; where release names do not suffice, what is needed."""
    releases = list(dict.fromkeys(paired.on_pythons.values())) or list(paired.releases.values())
    unnamed = [_unnamed(release) for release in dict.fromkeys(releases) if "+" in release]
    if unnamed:
        return filled("Release names alone do not repeat it: {}.", listed(unnamed))
    targets = [releases[0], "--aa"] if paired.is_aa else releases
    rounds = max(len(paired.rounds), intervals.fewest_rounds(LEVEL))
    pythons = [python_label.without_patch(name) for name in paired.pythons.values()] if paired.on_pythons else []
    return filled("Repeat with {}.", command(paired, "compare", [*targets, "--rounds", str(rounds)], pythons))


def _unnamed(release: str) -> Markdown:
    public, _, day = release.partition("+asof.")
    if day:
        as_of = f"{day[:4]}-{day[4:6]}-{day[6:8]}"
        return filled("{} is {} with its dependencies as of {}", code(release), public, as_of)
    return filled("{} is a candidate, which needs its wheels or source again", code(release))


def command(paired: PairedRounds, verb: str, words: Sequence[str], pythons: Sequence[str] = ()) -> Markdown:
    """The command of a session that measures under the conditions of a series; `pythons`: those that are compared."""
    requested = paired.rounds[0].runs[BASELINE].record.requested
    options = ["--engine", requested.engine, "--flow", requested.flow]
    for python in pythons or [requested.python]:
        options += ["--python", python]
    at_once = verb in _AT_ONCE
    if at_once and requested.profile.name == COMPARE:
        options.append("--sequential")
    elif requested.profile.name != (DUET if at_once else COMPARE):
        options += ["--profile", requested.profile.name]
    return code(shlex.join(["nox", "-s", verb, "--", *words, *options]))


def _covariate_notes(one: ArmComparison) -> list[str]:
    change = covariate_change(one.paired, one.arm)
    if change is None:
        return []
    differs = (
        f"The speed covariate itself differs by {percent(change.estimate)} "
        f"({percent(change.low)} to {percent(change.high)})"
    )
    if change.low <= 0 <= change.high:
        return [f"{differs}, which is within noise."]
    return [filled("**{}.** One release may slow its neighbours. Adjusted changes leave that share out.", differs)]


def _marked(effect: Effect, text: str) -> str:
    return filled("**{}**", text) if effect.verdict in ("regression", "improvement") else text


def _counted(number: int, noun: str) -> str:
    first, *rest = noun.split(" of ")
    return " of ".join([f"{number} {first}{'' if number == 1 else 's'}", *rest])
