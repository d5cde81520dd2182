"""How much a metric varies from run to run of one release."""

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
    """How the log of a metric varies from run to run, and how much of it the speed covariate explains."""

    name: str  # of the metric
    slope: float  # of log metric on log covariate
    residual: float  # standard deviation of log metric about that line
    covariate: float = 0.117  # standard deviation of log covariate


def measured_noise(aa_comparisons: Sequence[ArmComparison]) -> Noise | None:
    """How CPU time per request varied between the two runs of a round, from all A/A rounds; None without any.

    Standard deviations of a run, from differences within rounds, so that they do not contain what differs from round to
    round.
    """
    metric = next(metric for metric in COMPARED if metric.name == "cpu_per_request_ms")
    matrices = [found for one in aa_comparisons if (found := change_points.log_matrix(one.paired, metric)) is not None]
    pairs = [(one.values, one.covariates) for one in matrices if one.covariates is not None]
    if not pairs:
        return None
    freedom = sum(len(values) - 1 for values, _ in pairs)
    covariates = np.concatenate([intervals.centred(covariates[:, 1] - covariates[:, 0]) for _, covariates in pairs])
    differences = np.concatenate([intervals.centred(values[:, 1] - values[:, 0]) for values, _ in pairs])
    slope = float(intervals.slopes(differences, covariates))
    squares = float(((differences - slope * covariates) ** 2).sum())
    return Noise(
        name="CPU per request, A/A noise",
        slope=slope,
        residual=math.sqrt(squares / max(1, freedom - 1) / 2),
        covariate=math.sqrt(float((covariates**2).sum()) / freedom / 2),
    )
