"""A comparison as Markdown: in a terminal, in a CI job's summary, and under results/comparisons/.

Pure; imports `comparison`, `pairing`, `lock_difference`, `tables`, `templates` and `wording`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.report import lock_difference, tables, templates
from scripts.report.comparison import LEVEL, Effect, Floors, control_shift, effects
from scripts.report.pairing import BASELINE, Series
from scripts.report.wording import DASH, code, listed, quantity

HEADERS = ("Metric", "Baseline", "Candidate", "Change", "95 % interval", "Counts from", "Verdict")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One arm of one series beside its baseline."""

    series: Series
    arm: int
    effects: tuple[Effect, ...]

    @property
    def heading(self) -> str:
        """Engine, flow and the two that are compared."""
        return f"{self.series.engine} {self.series.flow}: {self.names}"

    @property
    def names(self) -> str:
        """The two that are compared."""
        return f"{self.series.label(self.arm)} against {self.series.label(BASELINE)}"


def judge(
    found: Sequence[Series], floors: Floors, *, level: float = LEVEL, least: Mapping[str, float] | None = None
) -> list[Judged]:
    """Every arm of every series beside its baseline; `level` and `least` as `comparison.effects` takes them."""
    return [
        Judged(series=one, arm=arm, effects=tuple(effects(one, arm, floors, level=level, least=least)))
        for one in found
        if one.rounds
        for arm in one.arms[1:]
    ]


def render(found: Sequence[Series], judged: Sequence[Judged], *, title: str, charts: bool = False) -> bytes:
    """The page; with `charts`, it shows the pictures that `forest` draws beside it."""
    return templates.render(
        "comparison.md.j2",
        title=title,
        summary=[line for one in judged for line in summary(one)],
        parts=[
            {
                "heading": one.heading,
                "about": about(one.series),
                "table": table(one.effects),
                "notes": notes(one),
                "chart": picture_name(one) if charts else "",
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
            f"{effect.metric.words} {change(effect)}".strip() for effect in one.effects if effect.verdict == verdict
        ]
        if named:
            lines.append(f"**{verdict}** in {listed(named)} ({one.heading}).")
    return lines or [f"**no change** in any metric ({one.heading})."]


def about(series: Series) -> str:
    """How it was measured."""
    record = series.rounds[0].runs[BASELINE].record
    profile = record.asked.profile
    return (
        f"{len(series.rounds)} interleaved rounds of profile `{profile.name}` ({profile.users} users, "
        f"{profile.workers} workers, {profile.run_time_s} s) on {record.machine.cpu_model}, "
        f"{record.machine.cores} cores, Python {record.python}, "
        f"from {record.started_at[:16].replace('T', ' ')} UTC on; a fresh server for every run. "
        f"Campaign `{series.campaign}`."
    )


def table(found: Sequence[Effect]) -> str:
    """One row a metric."""
    rows = [
        [
            effect.metric.title,
            quantity(effect.baseline, effect.metric.unit),
            quantity(effect.candidate, effect.metric.unit),
            change(effect) or DASH,
            _interval(effect),
            f"{math.expm1(effect.threshold):.1%}",
            _verdict(effect),
        ]
        for effect in found
    ]
    return tables.markdown(HEADERS, rows)


def notes(one: Judged) -> list[str]:
    """What a reader must know to believe the table."""
    baseline, candidate = (one.series.rounds[0].runs[arm].record for arm in (BASELINE, one.arm))
    moved = lock_difference.between(baseline, candidate)
    told = lock_difference.told(moved)
    lines = [f"<details><summary>{len(moved)} installed distributions differ.</summary>{told}</details>"]
    slopes = {effect.metric.words: effect.slope for effect in one.effects if effect.slope}
    if slopes:
        fitted = ", ".join(f"{name} {slope:.2f}" for name, slope in slopes.items())
        lines.append(
            "Adjusted for the machine's speed by the CPU time per request of load generator and mock in the same run, "
            f"with these slopes between logarithms: {fitted}."
        )
        lines += _control_notes(one)
    if all(effect.floor is None for effect in one.effects):
        release = baseline.asked.release.partition("+")[0]
        lines.append(f"No noise floor has been measured under these conditions: `nox -s compare -- {release} --aa`.")
    return lines


def _control_notes(one: Judged) -> list[str]:
    shift = control_shift(one.series, one.arm)
    if shift is None:
        return []
    low, middle, high = (f"{math.expm1(part):+.1%}" for part in (shift.low, shift.estimate, shift.high))
    told = f"The control itself differs between the two by {middle} ({low} to {high})"
    if shift.low <= 0 <= shift.high:
        return [f"{told}, which is noise."]
    why = "one release may slow its neighbours, and adjusted changes leave that share out"
    return [f"**{told}**: {why}."]


def change(effect: Effect) -> str:
    """The paired change in percent; empty where there is none to tell."""
    if effect.interval is not None:
        return f"{math.expm1(effect.interval.estimate):+.1%}"
    return ""


def _interval(effect: Effect) -> str:
    if effect.interval is None:
        return DASH
    return f"{math.expm1(effect.interval.low):+.1%} to {math.expm1(effect.interval.high):+.1%}"


def _verdict(effect: Effect) -> str:
    needed = effect.rounds_needed
    text = f"{effect.verdict}: about {needed} rounds needed" if needed else effect.verdict
    return f"**{text}**" if effect.verdict in ("regression", "improvement") else text
