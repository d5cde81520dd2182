"""How much a metric moves from run to run of one release: the noise that every verdict has to stand out from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.analysis.metrics import COMPARED
from scripts.inference import change_points, intervals
from scripts.inference.comparison import ArmComparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """How the log of a metric moves from run to run, and what the control arm knows of it."""

    name: str  # of the metric
    slope: float  # of log metric on log control
    residual: float  # standard deviation of log metric about that line
    covariate: float = 0.117  # standard deviation of log control


def measured_noise(aa_comparisons: Sequence[ArmComparison]) -> Noise | None:
    """How CPU time per request moved between the two runs of a round that were the same, from all A/A rounds.

    Standard deviations of a run, from differences of pairs, so that what a round has in common is in none of them.
    """
    metric = next(metric for metric in COMPARED if metric.name == "cpu_per_request_ms")
    told = [found for one in aa_comparisons if (found := change_points.log_matrix(one.paired, metric)) is not None]
    pairs = [(one.values, one.covariates) for one in told if one.covariates is not None]
    if not pairs:
        return None
    freedom = sum(len(values) - 1 for values, _ in pairs)
    covariates = np.concatenate([intervals.centred(covariates[:, 1] - covariates[:, 0]) for _, covariates in pairs])
    differences = np.concatenate([intervals.centred(values[:, 1] - values[:, 0]) for values, _ in pairs])
    slope = float(intervals.slopes(differences, covariates))
    left = float(((differences - slope * covariates) ** 2).sum())
    return Noise(
        name="CPU per request, A/A noise",
        slope=slope,
        residual=math.sqrt(left / max(1, freedom - 1) / 2),
        covariate=math.sqrt(float((covariates**2).sum()) / freedom / 2),
    )
