"""What a gate decides on drawn rounds whose truth is known: by its own rule, looks and thresholds.

Decisions come from `one_sided.places`, looks and their errors from `drawn_gates`, thresholds and noise from
`gate_defaults`. The same seed gives the same figures.
"""

from __future__ import annotations

import itertools
import statistics as averages
from collections.abc import Mapping, Sequence

import numpy as np

from scripts.inference import one_sided
from scripts.inference.gate_defaults import DEFAULTS, ROUNDS, Default
from scripts.inference.one_sided import Flags, Places
from scripts.report.tables.formatting import Markdown
from scripts.report.tables.markdown import markdown
from scripts.selftest import drawn_gates, simulation
from scripts.selftest.drawn_gates import GateRates, percent
from scripts.selftest.simulation import Errors, Section, normal

TRIALS = 5000  # a share of 95 % has a standard error of 0.3 %
TIMED = tuple(one for one in DEFAULTS if one.noise is not None)
PLANS = (6, 8, ROUNDS, 15, 22)  # rounds that a budget allows
_SHOWN = TIMED[:3]  # in the table of changes; the others have less noise for what is allowed
_TIMES_ALLOWED = (1.0, 1.5, 2.0)


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

    def look(going: Flags, number: int, error: float) -> Places:
        seen = rounds_of[going][..., :number]
        return one_sided.places(*drawn_gates.evidence(seen, allowed, error), error)

    return drawn_gates.run([one.metric for one in metrics], trials, last, look)


def unchanged_table(trials: int, rng: np.random.Generator) -> str:
    """How gates on an unchanged candidate end, and how often a change as large as allowed passes, by planned rounds."""
    rows = []
    for last in PLANS:
        same = simulate(TIMED, {}, last, trials, rng)
        at_limit = averages.mean(
            simulate(TIMED, {one.metric: one.allowed}, last, trials, rng).metric_passed[one.metric] for one in TIMED
        )
        shares = (same.passed, same.failed, same.undecided, at_limit)
        rows.append([str(last), *map(percent, shares), f"{same.rounds:.1f}"])
    headers = ["Planned rounds", "PASS", "FAIL", "UNDECIDED", "As large as allowed passes", "Rounds"]
    return markdown(headers, rows)


def detection_table(trials: int, rng: np.random.Generator) -> str:
    """How often a gate fails a candidate that is worse in one metric, by the size of the change and planned rounds."""
    rows = []
    for one, times in itertools.product(_SHOWN, _TIMES_ALLOWED):
        found = [simulate(TIMED, {one.metric: one.allowed * times}, last, trials, rng) for last in PLANS]
        rows.append([
            one.metric, f"{one.allowed * 100:g} %", f"{one.allowed * times * 100:.3g} %",
            *(percent(each.metric_failed[one.metric]) for each in found),
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
