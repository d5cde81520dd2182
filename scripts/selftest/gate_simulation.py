"""What a gate decides on drawn rounds whose truth is known: by its own rule, looks and thresholds.

Decisions come from `one_sided.verdicts`, looks and their errors from `gate_rule`, thresholds and noise from
`gate_defaults`. The same seed gives the same figures.
"""

from __future__ import annotations

import itertools
import math
import statistics as averages
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.campaign import gate_rule
from scripts.inference import one_sided
from scripts.inference.gate_defaults import DEFAULTS, ROUNDS, Default
from scripts.inference.intervals import Figures, student
from scripts.report.tables.formatting import Markdown
from scripts.report.tables.markdown import markdown
from scripts.selftest import simulation
from scripts.selftest.simulation import Errors, Section, normal

TRIALS = 5000  # a share of 95 % has a standard error of 0.3 %
TIMED = tuple(one for one in DEFAULTS if one.noise is not None)
PLANS = (6, 8, ROUNDS, 15, 22)  # rounds that a budget allows
_SHOWN = TIMED[:3]  # in the table of changes; the others have less noise for what is allowed
_TIMES_ALLOWED = (1.0, 1.5, 2.0)
_PASS, _REGRESSION, _OPEN = (one_sided.VERDICTS.index(name) for name in ("pass", "regression", "undecided"))


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRates:
    """The ends of many drawn gates; shares of trials, 0 to 1."""

    passed: float
    failed: float
    undecided: float
    metric_passed: Mapping[str, float]  # by metric
    metric_failed: Mapping[str, float]
    rounds: float  # measured on average


def simulate(
    metrics: Sequence[Default], changes: Mapping[str, float], last: int, trials: int, rng: np.random.Generator,
    *, errors: Errors = normal,
) -> GateRates:  # fmt: skip
    """Gates whose budget allows `last` rounds. `changes`: true worsening by metric, a ratio; the others have none."""
    deviations = np.array([one.noise for one in metrics], dtype=np.float64)
    allowed = np.log1p([one.allowed for one in metrics])
    truth = np.log1p([changes.get(one.metric, 0.0) for one in metrics])
    drawn = errors(rng, trials * len(metrics), last).reshape(trials, len(metrics), last)
    rounds_of = truth[:, np.newaxis] + deviations[:, np.newaxis] * drawn
    verdicts = np.full((trials, len(metrics)), _OPEN)
    ends = np.zeros(trials)
    for number in gate_rule.looks(last):
        going = ends == 0
        found = _look(rounds_of[going][..., :number], allowed, gate_rule.look_error(last, number))
        stops = (found != _OPEN).all(axis=1) | (number == last)
        verdicts[going] = found
        ends[going] = np.where(stops, number, 0)
    failed, passed = (verdicts == _REGRESSION).any(axis=1), (verdicts == _PASS).all(axis=1)
    names = [one.metric for one in metrics]
    return GateRates(
        passed=float(passed.mean()),
        failed=float(failed.mean()),
        undecided=float((~passed & ~failed).mean()),
        metric_passed=dict(zip(names, (verdicts == _PASS).mean(axis=0).tolist(), strict=True)),
        metric_failed=dict(zip(names, (verdicts == _REGRESSION).mean(axis=0).tolist(), strict=True)),
        rounds=float(ends.mean()),
    )


def _look(differences: Figures, allowed: Figures, error: float) -> one_sided.Places:
    number = differences.shape[-1]
    means, _ = student(differences, 0.95)
    return one_sided.verdicts(means, differences.std(axis=-1, ddof=1) / math.sqrt(number), number - 1, allowed, error)


def unchanged_table(trials: int, rng: np.random.Generator) -> str:
    """How gates on an unchanged candidate end, and how often a change as large as allowed passes, by planned rounds."""
    rows = []
    for last in PLANS:
        same = simulate(TIMED, {}, last, trials, rng)
        at_limit = averages.mean(
            simulate(TIMED, {one.metric: one.allowed}, last, trials, rng).metric_passed[one.metric] for one in TIMED
        )
        shares = (same.passed, same.failed, same.undecided, at_limit)
        rows.append([str(last), *map(_percent, shares), f"{same.rounds:.1f}"])
    headers = ["Planned rounds", "PASS", "FAIL", "UNDECIDED", "As large as allowed passes", "Rounds"]
    return markdown(headers, rows)


def detection_table(trials: int, rng: np.random.Generator) -> str:
    """How often a gate fails a candidate that is worse in one metric, by the size of the change and planned rounds."""
    rows = []
    for one, times in itertools.product(_SHOWN, _TIMES_ALLOWED):
        found = [simulate(TIMED, {one.metric: one.allowed * times}, last, trials, rng) for last in PLANS]
        rows.append([
            one.metric, f"{one.allowed * 100:g} %", f"{one.allowed * times * 100:.3g} %",
            *(_percent(each.metric_failed[one.metric]) for each in found),
        ])  # fmt: skip
    headers = ["Metric", "Allowed", "True change", *(f"{last} rounds" for last in PLANS)]
    return markdown(headers, rows, labels=1)


SECTIONS = (
    Section(
        title="Gate on an unchanged candidate",
        about=f"""\
A gate with the default thresholds, by the rounds that its budget allows. {len(TIMED)} metrics have independent noise as
two releases show it that are loaded at once. "As large as allowed passes" is of one metric, on average over them.
A gate stops at the look that decides every metric; "Rounds" is the mean.""",
        make=unchanged_table,
    ),
    Section(
        title="Gate on a worse candidate: share that is found",
        about="""\
The true change is in one metric, whose regressions are counted, and the others do not change. A change as large as
allowed is found about half of the time, and somewhat more often where a gate looks several times.""",
        make=detection_table,
    ),
)


def tables(seed: int = 42, trials: int = TRIALS) -> Markdown:
    """Both tables as Markdown."""
    return simulation.written(SECTIONS, seed, trials)


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
