"""Many gates at once on drawn rounds: when each ends, by the looks and errors of `gate_rule`, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.campaign import gate_rule
from scripts.inference import one_sided
from scripts.inference.intervals import Figures
from scripts.inference.one_sided import Flags, Places

PASS, REGRESSION, UNDECIDED = (one_sided.VERDICTS.index(name) for name in ("pass", "regression", "undecided"))

Look = Callable[[Flags, int, float], Places]
"""Places in VERDICTS of the gates that go on, (gates, metrics): after so many rounds, at this one-sided error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRates:
    """The ends of many drawn gates; shares of gates, 0 to 1."""

    passed: float
    failed: float
    undecided: float
    metric_passed: Mapping[str, float]  # by metric
    metric_failed: Mapping[str, float]
    rounds: float  # measured on average


def run(metrics: Sequence[str], gates: int, last: int, look: Look) -> GateRates:
    """So many gates whose budget allows `last` rounds; each stops at the look that decides every metric."""
    verdicts = np.full((gates, len(metrics)), UNDECIDED)
    ends = np.zeros(gates)
    for number in gate_rule.looks(last):
        going = ends == 0
        if not going.any():
            break
        found = look(going, number, gate_rule.look_error(last, number))
        stops = (found != UNDECIDED).all(axis=1) | (number == last)
        verdicts[going] = found
        ends[going] = np.where(stops, number, 0)
    failed, passed = (verdicts == REGRESSION).any(axis=1), (verdicts == PASS).all(axis=1)
    return GateRates(
        passed=float(passed.mean()),
        failed=float(failed.mean()),
        undecided=float((~passed & ~failed).mean()),
        metric_passed=dict(zip(metrics, (verdicts == PASS).mean(axis=0).tolist(), strict=True)),
        metric_failed=dict(zip(metrics, (verdicts == REGRESSION).mean(axis=0).tolist(), strict=True)),
        rounds=float(ends.mean()),
    )


def evidence(differences: Figures, allowed: Figures, error: float) -> tuple[Flags, Flags, Figures]:
    """What `one_sided.places` decides by, of log ratios of rounds: (gates, metrics, rounds)."""
    number = differences.shape[-1]
    errors = differences.std(axis=-1, ddof=1) / math.sqrt(number)
    return one_sided.evidence(differences.mean(axis=-1), errors, number - 1, allowed, error)


def percent(share: float) -> str:
    """A share as a cell of a table."""
    return f"{share * 100:.1f} %"
