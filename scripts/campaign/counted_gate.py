"""The first part of a gate: counted work of baseline and candidate, process by process until it is decided."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from scripts.analysis.metrics import METRICS
from scripts.campaign import counted_arms
from scripts.campaign.counted_arms import CountedArms
from scripts.config.matrix import Suite
from scripts.host.process import System
from scripts.inference import counted, one_sided
from scripts.inference.comparison import ArmComparison
from scripts.inference.gate_decision import Case
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import BASELINE
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.records.schema import Machine

MOST_PROCESSES = 3  # of each arm; more would take longer than the timed rounds
_CANDIDATE = BASELINE + 1
_METRIC = next(metric for metric in METRICS if metric.name == counted_arms.METRIC)

Judged = tuple[ArmComparison, tuple[Case, ...]]


def judge(
    suite: Suite, requested: Campaign, allowed: float, options: session.Options, system: System,
    noise_of: Path | None = None,
) -> list[Judged]:  # fmt: skip
    """One case for each scenario; ValgrindError where nothing can be counted. `allowed`: a log ratio.

    `noise_of`: the results directory whose counts tell the noise of a process, if not the one that is written.
    """
    for processes in range(1, MOST_PROCESSES + 1):
        counts = counted_arms.measure(suite, requested, processes, options, system, noise_of=noise_of)
        found = [_judged(one, allowed) for one in counts]
        if all(case.decision != "undecided" for _, (case,) in found):
            break
    return found


def recorded(requested: Campaign, allowed: float, results: Path, noise_of: Path, here: Machine) -> list[Judged]:
    """The same of the processes that such a gate has recorded there; InvalidMeasurementError without one."""
    counts = counted_arms.recorded(requested, MOST_PROCESSES, results, noise_of=noise_of, here=here)
    return [_judged(one, allowed) for one in counts]


def _judged(one: CountedArms, allowed: float) -> Judged:
    compared = ArmComparison(paired=one.paired, arm=_CANDIDATE, effects=())
    change = one.change(BASELINE, _CANDIDATE)
    case = Case(
        where=compared.heading, metric=_METRIC, decision="undecided",
        baseline=statistics.median(one.values(BASELINE)), candidate=statistics.median(one.values(_CANDIDATE)),
        change=None, worse_end=None, error=one_sided.ERROR, allowed=allowed, visible=None, rounds_needed=None,
        rounds=len(one.paired.rounds), left_out=(),
    )  # fmt: skip
    return compared, (case if change is None else _decided(case, change, allowed),)


def _decided(case: Case, change: Interval, allowed: float) -> Case:
    return replace(
        case,
        decision=counted.decide(change, allowed),
        change=change.estimate,
        worse_end=one_sided.worse_end(_METRIC, change, case.error),
        visible=counted.visible(change, allowed),
    )
