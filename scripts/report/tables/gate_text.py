"""How a gate's changes, bounds and decisions are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scripts.analysis.metrics import Metric
from scripts.inference.gate_decision import Case, Decision
from scripts.inference.gate_power import Prospect
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import DASH, Markdown, filled, percent, quantity

_BOLD: tuple[Decision, ...] = ("regression", "undecided", "no data")


def cases_table(cases: Sequence[Case]) -> Markdown:
    """One row a metric."""
    partly = any(case.left_out for case in cases)
    bound = f"Worse end ({(1 - max(case.error for case in cases)) * 100:.3g} %)"
    headers = [
        "Metric", "Baseline", "Candidate", "Change", bound, "Allowed", *(["Rounds"] if partly else []), "Verdict",
        "Smallest visible",
    ]  # fmt: skip
    rows = [
        [
            case.metric.short_title,
            _figure(case, case.baseline),
            _figure(case, case.candidate),
            change(case) or DASH,
            worse_end(case) or DASH,
            allowed(case) or DASH,
            *([f"{case.rounds - sum(one.rounds for one in case.left_out)} of {case.rounds}"] if partly else []),
            filled("**{}**", case.decision) if case.decision in _BOLD else case.decision,
            visible(case) or DASH,
        ]
        for case in cases
    ]
    return markdown.markdown(headers, rows)


def change(case: Case) -> str:
    """The paired change in percent; of a share in percentage points; empty without one."""
    if case.change is None:
        return ""
    return _points(case.change) if case.is_share else percent(case.change)


def worse_end(case: Case) -> str:
    """The one-sided bound of the change; empty without one."""
    return "" if case.worse_end is None else _size(case, case.worse_end)


def allowed(case: Case) -> str:
    """The worsening that passes, in percent and in the metric's own unit; empty where none is judged."""
    if case.allowed is None:
        return ""
    return _size(case, case.allowed) + _in_unit(case, case.allowed)


def visible(case: Case) -> str:
    """The smallest change that the rounds would have found in 80 % of cases; empty where that is not known."""
    return "" if case.visible is None else _size(case, case.visible)


def reason(case: Case) -> str:
    """Metric, change and what is allowed."""
    return f"{case.metric.words} {change(case)}, allowed {allowed(case)}"


def why_open(case: Case) -> str:
    """Why a metric has no decision, and the rounds that it lacks or would need."""
    if case.change is None:
        told = "; ".join(f"{one.reason} ({one.rounds} of {case.rounds} rounds)" for one in case.left_out)
        return f"{case.metric.words}: {told or f'{case.rounds} rounds are too few'}"
    needed = f"; about {case.rounds_needed} rounds would decide" if case.rounds_needed else ""
    return f"{case.metric.words} {change(case)} could be {worse_end(case)}, allowed {allowed(case)}{needed}"


def prospects_table(found: Sequence[Prospect]) -> Markdown:
    """One row a metric: what the planned rounds can decide."""
    headers = ["Metric", "Allowed", "Noise of a round", "Smallest visible", "Unchanged passes"]
    rows = [
        [
            one.metric.short_title,
            _turned(one.metric, one.allowed),
            DASH if one.noise is None else f"{one.noise.deviation * 100:.1f} %",
            DASH if one.visible is None else _turned(one.metric, one.visible),
            DASH if one.passes is None else _share(one.passes),
        ]
        for one in found
    ]
    return markdown.markdown(headers, rows)


def left_out(cases: Sequence[Case]) -> list[Markdown]:
    """A sentence for each way in which metrics miss rounds."""
    return effect_text.left_out([(case.metric.words, case.left_out) for case in cases], cases[0].rounds)


def _figure(case: Case, value: float | None) -> str:
    return f"{value * 100:.2f} %" if case.is_share and value is not None else quantity(value, case.metric.unit)


def _size(case: Case, worse: float) -> str:
    """A worsening in the metric's own direction."""
    return _points(worse) if case.is_share else _turned(case.metric, worse)


def _turned(metric: Metric, worse: float) -> str:
    return percent(metric.worse(worse) or 0.0)


def _in_unit(case: Case, worse: float) -> str:
    if case.is_share or case.baseline is None:
        return ""
    size = case.baseline * abs(math.expm1(case.metric.worse(worse)))
    unit = "" if case.metric.unit in ("bytes", "ratio") else f" {case.metric.unit}"
    sign = "-" if case.metric.better == "higher" else "+"
    return f" ({sign}{_short(size, case.metric.unit)}{unit})"


def _short(size: float, unit: str) -> str:
    return quantity(size, unit) if unit == "bytes" else f"{size:.2g}"


def _points(share: float) -> str:
    return f"{share * 100:+z.2f} points"


def _share(share: float) -> str:
    return "over 99 %" if share > 0.99 else f"{share * 100:.0f} %"  # noqa: PLR2004 - a rounded 100 % would be a promise
