"""Verdicts on counted work, from one to three processes an arm, by a noise that is known from other releases.

Work moves so little from process to process that few processes suffice, and too few to tell their noise by themselves.
It comes from recorded processes of releases that did not change, with its degrees of freedom. The bound is Student's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.inference import intervals, one_sided
from scripts.inference.comparison import LEVEL
from scripts.inference.gate_decision import Case
from scripts.inference.intervals import Interval

_OTHER_WAY = {"regression": ("pass",), "pass": ("regression",)}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessNoise:
    """How the log of a count varies from process to process of one release."""

    deviation: float  # standard deviation
    freedom: int  # degrees of freedom of that figure


def process_noise(releases: Sequence[Sequence[float]]) -> ProcessNoise | None:
    """From the counts of the processes of each release, pooled; None where no release has two processes."""
    freedom = sum(len(counts) - 1 for counts in releases if counts)
    if freedom < 1:
        return None
    squares = sum(float((intervals.centred(np.log(counts)) ** 2).sum()) for counts in releases if counts)
    return ProcessNoise(deviation=math.sqrt(squares / freedom), freedom=freedom)


def difference(baseline: Sequence[float], candidate: Sequence[float], noise: ProcessNoise) -> Interval:
    """The change of a count as log ratio, from at least one process an arm."""
    estimate = float(np.mean(np.log(candidate)) - np.mean(np.log(baseline)))
    error = noise.deviation * math.sqrt(1 / len(baseline) + 1 / len(candidate))
    half = float(intervals.t_quantile(LEVEL, noise.freedom)) * error
    return Interval(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        level=LEVEL,
        number=min(len(baseline), len(candidate)),
        p_value=float(intervals.p_values(np.array(estimate), np.array(half), LEVEL, noise.freedom)),
        error=error,
        freedom=noise.freedom,
    )


def decide(change: Interval, allowed: float, error: float = one_sided.ERROR) -> one_sided.Verdict:
    """The decision on a count, of which less is better; `allowed`: a log ratio."""
    found = one_sided.verdicts(
        np.array([change.estimate]), np.array([change.error]), change.freedom, np.array([allowed]), error
    )
    return one_sided.VERDICTS[int(found[0])]


def disagreement(counted: one_sided.Verdict, timed: Case) -> str:
    """What it can mean that counted work and CPU time say opposite things; empty where they do not."""
    if timed.decision not in _OTHER_WAY.get(counted, ()):
        return ""
    if counted == "regression":
        return (
            "The server executes more instructions, and its CPU time does not show it: the added work may be cheap, "
            "may have replaced work in the kernel or cache misses, or is smaller than the noise of CPU time."
        )
    return (
        "CPU time is worse, and the instructions are not: the added time may lie in the kernel (more system calls), in "
        "cache misses or in waiting for other threads, none of which is counted, or the machine was disturbed."
    )
