"""Is it worse than allowed? The one-sided rule of a gate, on log ratios that are above 0 where the candidate is worse.

pass: the worse end of the change is below what is allowed (a test of non-inferiority). A gate passes when all metrics
do, which needs no correction (intersection-union test; Berger, "Multiparameter Hypothesis Testing and Acceptance
Sampling", Technometrics 24, 1982). regression: the change is above what is allowed, and above 0 also when all metrics
are tested together (Holm). Everything else is undecided.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scripts.analysis.metrics import Metric
from scripts.inference import intervals
from scripts.inference.intervals import Figures, Interval

Verdict = Literal["pass", "regression", "undecided"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
ERROR = 0.05  # of each decision: a change as large as allowed passes, an unchanged candidate fails

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


def worse_end(metric: Metric, interval: Interval, error: float) -> float:
    """The end of the change that is worse, turned so that above 0 is worse."""
    reach = float(intervals.one_sided_quantile(error, interval.freedom)) * interval.error
    return metric.worse(interval.estimate) + reach


def verdicts(estimates: Figures, errors: Figures, freedom: Figures | float, allowed: Figures, error: float) -> Places:
    """Places in VERDICTS of many tables at once; the last axis is the metrics of a table, above 0 is worse."""
    return places(*evidence(estimates, errors, freedom, allowed, error), error)


def evidence(
    estimates: Figures, errors: Figures, freedom: Figures | float, allowed: Figures, error: float
) -> tuple[Flags, Flags, Figures]:
    """What `places` decides by, of the same tables."""
    below = estimates + intervals.one_sided_quantile(error, freedom) * errors < allowed
    return below, estimates > allowed, intervals.one_sided_p_values(estimates, errors, freedom)


def places(below: Flags, above: Flags, p_values: Figures, error: float) -> Places:
    """The rule itself: the worse end below what is allowed, the estimate above it, and p values of "not worse"."""
    return np.select([below, above & (intervals.holm(p_values) < error)], [0, 1], VERDICTS.index("undecided"))
