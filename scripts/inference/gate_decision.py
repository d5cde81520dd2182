"""A gate's decision: from the thresholds of its command line and a comparison.

A metric without a verdict is never a pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scripts.analysis.metrics import METRICS, Metric
from scripts.config.errors import UsageError, did_you_mean
from scripts.inference import failure_counts, intervals, one_sided, power
from scripts.inference.comparison import ArmComparison, Effect
from scripts.inference.gate_defaults import FAILURES, INSTRUCTIONS
from scripts.inference.paired_rounds import BASELINE
from scripts.inference.power import Errors
from scripts.inference.usable_rounds import LeftOut

Decision = Literal["pass", "regression", "undecided", "no data", "not judged"]
_THRESHOLD = re.compile(r"(?P<name>[a-z0-9_]+)=(?P<sign>[+-]?)(?P<percent>\d+(\.\d+)?)%")
_EXAMPLE = "--max cpu_per_request=+3%"
_CPU = "cpu_per_request_ms"
_FAILURE_RATIO = next(metric for metric in METRICS if metric.name == FAILURES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One metric of one flow.

    Change, end, allowed and visible are log ratios, or differences of the failure ratio. The last three are turned so
    that above 0 is worse.
    """

    where: str
    metric: Metric
    decision: Decision
    baseline: float | None  # in the metric's unit
    candidate: float | None
    change: float | None
    worse_end: float | None  # of the change, one-sided at `error`
    error: float  # one-sided, of this look
    allowed: float | None  # None: not judged
    visible: float | None  # the smallest worsening that these rounds would have found in 80 % of cases
    rounds_needed: int | None  # in all, of an undecided metric
    rounds: int  # that were measured
    left_out: tuple[LeftOut, ...]  # rounds that this metric is not judged by

    @property
    def is_share(self) -> bool:
        """Whether its changes are differences of a share, not log ratios."""
        return self.metric.name == FAILURES


def thresholds(texts: Sequence[str]) -> dict[str, float]:
    """The largest worsening that passes, by metric name, from `cpu_per_request=+3%`; else UsageError.

    Log ratios above 0; of the failure ratio its increase, in percent of all requests.
    """
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
    if metric.name == FAILURES and share >= 1:
        raise UsageError(
            f"--max {text}: no more than 100 % of the requests can fail, so everything would pass",
            then=f"name the increase that can be borne, --max {FAILURES}=+0.2%",
        )
    if metric.name == FAILURES:
        return share
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


def decide(one: ArmComparison, limits: Mapping[str, float], error: float) -> list[Case]:
    """A case for each metric that the comparison shows, at this one-sided error; those without a limit are not judged.

    `limits`: the worsening that passes, as `thresholds` gives it.
    """
    judged = [effect for effect in one.effects if effect.metric.name in limits]
    family = max(1, len(limits))
    errors = Errors(to_pass=error, to_fail=error / family)
    failures = _failures(one, limits[FAILURES], errors) if FAILURES in limits else None
    below = [_below(effect, limits, error) for effect in judged]
    above = [_above(effect, limits) for effect in judged]
    p_values = [_p_value(effect) for effect in judged]
    if failures is not None:
        _, (is_below, is_above, p_value) = failures
        below.append(is_below)
        above.append(is_above)
        p_values.append(p_value)
    found = one_sided.places(np.array(below, bool), np.array(above, bool), np.array(p_values, float), error)
    verdicts = [one_sided.VERDICTS[place] for place in found]
    by_name = dict(zip([effect.metric.name for effect in judged], verdicts, strict=False))
    cases = [
        _case(one, effect, limits.get(effect.metric.name), by_name.get(effect.metric.name), errors)
        for effect in one.effects
        if effect.metric.name != FAILURES
    ]
    return [*cases, *([replace(failures[0], decision=verdicts[-1])] if failures is not None else [])]


def disagreements(cases: Iterable[Case]) -> list[str]:
    """What it can mean where counted work and CPU time of a scenario say opposite things, one sentence each."""
    found: dict[str, dict[str, Case]] = {}
    for case in cases:
        found.setdefault(case.where, {})[case.metric.name] = case
    told = []
    for where, by_metric in found.items():
        counts, time = by_metric.get(INSTRUCTIONS), by_metric.get(_CPU)
        if counts is not None and time is not None and (meaning := disagreement(counts.decision, time.decision)):
            told.append(f"{where}: {meaning}")
    return told


def disagreement(counted: Decision, timed: Decision) -> str:
    """What it can mean that counted work and CPU time say opposite things; empty where they do not."""
    if (counted, timed) == ("regression", "pass"):
        return (
            "The server executes more instructions, and its CPU time does not show it: the added work may be cheap, "
            "may have replaced work in the kernel or cache misses, or is smaller than the noise of CPU time."
        )
    if (counted, timed) == ("pass", "regression"):
        return (
            "CPU time is worse, and the instructions are not: the added time may lie in the kernel (more system calls),"
            " in cache misses or in waiting for other threads, none of which is counted, or the machine was disturbed."
        )
    return ""


def _below(effect: Effect, limits: Mapping[str, float], error: float) -> bool:
    """Whether the worse end of the change is below what is allowed."""
    interval, metric = effect.interval, effect.metric
    return interval is not None and one_sided.worse_end(metric, interval, error) < limits[metric.name]


def _above(effect: Effect, limits: Mapping[str, float]) -> bool:
    """Whether the change itself is above what is allowed."""
    interval, metric = effect.interval, effect.metric
    return interval is not None and metric.worse(interval.estimate) > limits[metric.name]


def _p_value(effect: Effect) -> float:
    """Of "not worse"; 1 without an interval."""
    if effect.interval is None:
        return 1.0
    estimate = np.array(effect.metric.worse(effect.interval.estimate))
    return float(intervals.one_sided_p_values(estimate, np.array(effect.interval.error), effect.interval.freedom))


def _case(
    one: ArmComparison, effect: Effect, allowed: float | None, verdict: one_sided.Verdict | None, errors: Errors
) -> Case:
    metric, interval = effect.metric, effect.interval
    decision: Decision = "not judged" if verdict is None else verdict
    if verdict is not None and effect.verdict == "no data":
        decision = "no data"
    visible = needed = None
    if interval is not None and allowed is not None:
        deviation = interval.error * math.sqrt(interval.number)
        visible = power.visible(deviation, interval.number, allowed, errors)
        if decision == "undecided":
            needed = _needed(metric.worse(interval.estimate), deviation, allowed, errors)
    return Case(
        where=one.heading,
        metric=metric,
        decision=decision,
        baseline=effect.baseline,
        candidate=effect.candidate,
        change=None if interval is None else interval.estimate,
        worse_end=None if interval is None else one_sided.worse_end(metric, interval, errors.to_pass),
        error=errors.to_pass,
        allowed=allowed,
        visible=visible,
        rounds_needed=max(needed, len(one.paired.rounds) + 1) if needed else None,
        rounds=len(one.paired.rounds),
        left_out=effect.left_out,
    )


def _needed(estimate: float, deviation: float, allowed: float, errors: Errors) -> int:
    """Rounds after which there should be a decision, if the change is as large as its estimate.

    Below what is allowed, the reach of the bound has to fit between. Above it, the change has to stand out from 0. A
    change as large as allowed would need endless rounds, so the reach need be no less than a quarter of it.
    """
    if estimate > allowed:
        return power.rounds_for(deviation, estimate, errors.to_fail)
    return power.rounds_for(deviation, max(allowed - estimate, allowed / 4), errors.to_pass)


def _failures(one: ArmComparison, allowed: float, errors: Errors) -> tuple[Case, tuple[bool, bool, float]]:
    """The case of the failed requests, still undecided, and what decides it."""
    baseline, candidate = (failure_counts.of_runs(one.paired.runs(arm)) for arm in (BASELINE, one.arm))
    case = Case(
        where=one.heading,
        metric=_FAILURE_RATIO,
        decision="undecided",
        baseline=baseline.ratio,
        candidate=candidate.ratio,
        change=candidate.ratio - baseline.ratio,
        worse_end=failure_counts.worst_increase(baseline, candidate, errors.to_pass),
        error=errors.to_pass,
        allowed=allowed,
        visible=failure_counts.visible(baseline, candidate, errors.to_fail, power.POWER),
        rounds_needed=None,
        rounds=len(one.paired.rounds),
        left_out=(),
    )
    return case, failure_counts.evidence(baseline, candidate, allowed, errors.to_pass)
