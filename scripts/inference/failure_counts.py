"""Failed requests of two arms, compared exactly.

Requests count as independent, so a burst of failures counts in full.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import scipy

from scripts.analysis.run_reader import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureCounts:
    """Of all runs of an arm."""

    failed: int
    requests: int  # with an answer or an error

    @property
    def ratio(self) -> float:
        """Failed requests / all requests."""
        return self.failed / self.requests if self.requests else 0.0


def of_runs(runs: Iterable[Run]) -> FailureCounts:
    """All requests of the runs, ramp included."""
    loads = [run.record.measurements.load for run in runs if run.record.measurements is not None]
    return FailureCounts(
        failed=sum(failure.count for load in loads for failure in load.failures),
        requests=sum(load.recorded for load in loads),
    )


def p_value(baseline: FailureCounts, candidate: FailureCounts) -> float:
    """Of "the candidate fails no more often", by Fisher's exact test ("Statistical Methods for Research Workers")."""
    failed, requests = baseline.failed + candidate.failed, baseline.requests + candidate.requests
    return float(scipy.stats.hypergeom.sf(candidate.failed - 1, requests, failed, candidate.requests))


def worst_increase(baseline: FailureCounts, candidate: FailureCounts, error: float) -> float:
    """The bound that the increase of the failure ratio exceeds with at most this probability.

    Each ratio has its exact bound at half of the error (Clopper and Pearson, Biometrika 26, 1934).
    """
    failed, requests = candidate.failed, candidate.requests
    most = 1.0 if failed >= requests else float(scipy.stats.beta.isf(error / 2, failed + 1, requests - failed))
    failed, requests = baseline.failed, baseline.requests
    least = 0.0 if failed == 0 else float(scipy.stats.beta.ppf(error / 2, failed, requests - failed + 1))
    return most - least


def evidence(
    baseline: FailureCounts, candidate: FailureCounts, allowed: float, error: float
) -> tuple[bool, bool, float]:  # fmt: skip
    """What `one_sided.places` decides by. Any increase can be a regression: most releases have no failure at all."""
    below = worst_increase(baseline, candidate, error) < allowed
    return below, candidate.ratio > baseline.ratio, p_value(baseline, candidate)


def visible(baseline: FailureCounts, candidate: FailureCounts, error: float, power: float) -> float | None:
    """The smallest failure ratio of a candidate that is found with this power; None: none."""
    requests = candidate.requests
    for failed in range(1, requests + 1):
        if p_value(baseline, FailureCounts(failed=failed, requests=requests)) < error:
            return float(scipy.stats.beta.ppf(power, failed, requests - failed + 1))
    return None
