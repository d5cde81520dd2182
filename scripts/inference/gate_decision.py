"""A gate's decision: from the thresholds of its command line and a comparison.

A metric without a verdict is never a pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.analysis.metrics import COMPARED, COUNTED_COMPARED, METRICS, Metric
from scripts.config.errors import UsageError, did_you_mean
from scripts.inference.comparison import ArmComparison, Effect

Decision = Literal["pass", "regression", "undecided", "no data"]
_THRESHOLD = re.compile(r"(?P<name>[a-z0-9_]+)=(?P<sign>[+-]?)(?P<percent>\d+(\.\d+)?)%")
_EXAMPLE = "--max cpu_per_request=+3%"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One metric of one flow."""

    where: str
    effect: Effect
    decision: Decision


def thresholds(texts: Sequence[str]) -> dict[str, float]:
    """The largest worsening that passes, as log ratio by metric name, from `cpu_per_request=+3%`; else UsageError."""
    found: dict[str, float] = {}
    for text in texts:
        parts = _THRESHOLD.fullmatch(text)
        if parts is None:
            raise UsageError(f"--max {text}: not METRIC=+N%", then=f"repeat this command with, for example, {_EXAMPLE}")
        metric = named_metric(parts["name"], _EXAMPLE)
        worse = "-" if metric.better == "higher" else "+"
        if parts["sign"] not in ("", worse):
            raise UsageError(
                f"--max {text}: of {metric.name} {metric.better} is better, so the sign must be {worse}",
                then=f"repeat this command with --max {parts['name']}={worse}{parts['percent']}%",
            )
        if metric.name in found:
            raise UsageError(f"--max {metric.name} is given twice", then="repeat this command with one of them")
        found[metric.name] = _log_ratio(text, metric, float(parts["percent"]) / 100)
    return found


def _log_ratio(text: str, metric: Metric, share: float) -> float:
    """The worsening as log ratio; UsageError where no candidate or every candidate would pass."""
    if share == 0:
        raise UsageError(
            f"--max {text}: no number of rounds can show that nothing changed, so nothing would pass",
            then=f"repeat this command with the worsening that can be borne, such as {_EXAMPLE}",
        )
    if metric.better == "lower":
        return math.log1p(share)
    if share >= 1:
        raise UsageError(
            f"--max {text}: {metric.name} cannot fall by 100 % or more",
            then=f"repeat this command with --max {metric.name}=-N% and N below 100",
        )
    return -math.log1p(-share)


def named_metric(name: str, example: str) -> Metric:
    """The metric by its name, with or without its unit; UsageError when there is none that can get worse.

    `example`: the option with a good value, for the message.
    """
    known = {metric.name: metric for metric in METRICS if metric.better != "-"}
    known |= {metric.name.removesuffix(f"_{metric.unit}"): metric for metric in known.values()}
    if name not in known:
        raise UsageError(
            f"{example.split(maxsplit=1)[0]}: there is no metric {name!r} that can be better or worse; "
            f"{did_you_mean(name, known)}",
            then=f"repeat this command with, for example, {example}; docs/glossary.md has all metrics",
        )
    return known[name]


def decide(judged: Sequence[ArmComparison], wanted: dict[str, float]) -> list[Case]:
    """One case for each metric and flow: of the wanted metrics, or of all that are compared."""
    names = wanted or {metric.name for metric in (*COMPARED, *COUNTED_COMPARED)}
    return [_case(one.heading, effect) for one in judged for effect in one.effects if effect.metric.name in names]


def _case(where: str, effect: Effect) -> Case:
    decisions: dict[str, Decision] = {
        "regression": "regression", "inconclusive": "undecided", "no data": "no data",
    }  # fmt: skip
    return Case(where=where, effect=effect, decision=decisions.get(effect.verdict, "pass"))
