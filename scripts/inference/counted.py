"""Verdicts on counted work, from one to three processes an arm, by a noise that is known from other releases.

Work moves so little from process to process that few processes suffice, and too few to tell their noise by themselves.
It comes from recorded processes of releases that did not change, with its degrees of freedom. The bound is Student's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from scripts.inference import intervals, one_sided
from scripts.inference.change_points import Errors, Fit
from scripts.inference.comparison import LEVEL
from scripts.inference.intervals import Interval
from scripts.inference.power import POWER


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


def fit(releases: tuple[str, ...], counts: Sequence[Sequence[float]], noise: ProcessNoise) -> Fit:
    """The counts of releases as a model that a bisection takes: means of logs with a noise that is known."""
    means = np.array([np.mean(np.log(one)) for one in counts])
    unit = np.diag([1 / len(one) for one in counts])
    return Fit(
        releases=releases,
        rounds=min(map(len, counts)),
        effects=means - means[0],
        errors=(Errors(unit=unit, noise=np.array(noise.deviation), freedom=noise.freedom),),
        slope=np.array(0.0),
    )


def decide(change: Interval, allowed: float, error: float = one_sided.ERROR) -> one_sided.Verdict:
    """The decision on a count, of which less is better; `allowed`: a log ratio."""
    found = one_sided.verdicts(
        np.array([change.estimate]), np.array([change.error]), change.freedom, np.array([allowed]), error
    )
    return one_sided.VERDICTS[int(found[0])]


def visible(change: Interval, allowed: float, power: float = POWER, error: float = one_sided.ERROR) -> float:
    """The smallest worsening (log ratio) that so many processes call a regression with this power.

    The estimate has to be above what is allowed, and significantly above 0.
    """
    reach = max(allowed, float(intervals.one_sided_quantile(error, change.freedom)) * change.error)
    return reach + float(scipy.stats.norm.ppf(power)) * change.error
