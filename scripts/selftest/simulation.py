"""Why comparisons are judged as they are: the statistics tried on drawn figures whose truth is known.

Pure: the same seed gives the same tables.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.inference.intervals import (
    Figures,
    SlopeCost,
    bonferroni_level,
    centred,
    fewest_rounds,
    slope_costs,
    slopes,
    student,
)
from scripts.inference.noise import Noise
from scripts.report.tables.markdown import markdown
from scripts.selftest.interval_methods import EXACT, RESAMPLING, Method

TRIALS = 20_000
LEVEL = 0.95
LEVELS = (LEVEL, 0.99)
ROUNDS = (6, 8, 10, 15)
LOOKS = (6, 8, 10, 15, 20)  # rounds after which a campaign looks at its verdicts
_BOOTSTRAP_SHARE = 5  # resampling costs most of the time, so it gets one trial in so many


# Measured in 14 runs of 1.12.0 on a shared machine of 2 cores (tests/report/recorded_pilot.py).
CPU = Noise(name="CPU per request", slope=0.53, residual=0.010)
OVERHEAD = Noise(name="overhead, median", slope=0.98, residual=0.029)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRates:
    """What a verdict rule found in many trials."""

    regression: float  # share of trials, 0 to 1
    improvement: float  # share of trials, 0 to 1
    within_threshold: float  # share of trials, 0 to 1
    inconclusive: float  # share of trials, 0 to 1
    rounds: float  # measured on average until the verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How an interval did in many trials."""

    share: float  # of trials whose interval held the truth, 0 to 1
    half_width: float  # on average


def normal(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """What the theory assumes, with standard deviation 1."""
    return rng.normal(size=(trials, rounds))


def heavy_tailed(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """Student's t with 3 degrees of freedom, brought to standard deviation 1."""
    return np.divide(rng.standard_t(3, size=(trials, rounds)), math.sqrt(3))


def with_outliers(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """Normal, but one round in 15 has a run, of either arm, that is 8 standard deviations off."""
    shape = (trials, rounds)
    off = np.where(rng.random(shape) < 1 / 15, rng.choice([-8.0, 8.0], size=shape), 0.0)
    return rng.normal(size=shape) + off


def drifting(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """Normal, and each run is 1 dearer than the one before, which the serpentine order turns around every round."""
    return rng.normal(size=(trials, rounds)) + np.where(np.arange(rounds) % 2, -1.0, 1.0)


Errors = Callable[[np.random.Generator, int, int], Figures]
ERRORS: dict[str, Errors] = {
    "normal": normal,
    "heavy tails": heavy_tailed,
    "outliers": with_outliers,
    "drift": drifting,
}


def coverage(method: Method, samples: Figures, level: float, rng: np.random.Generator) -> Coverage:
    """How often a method's interval holds 0, the truth of all samples."""
    low, high = method(samples, level, rng)
    return Coverage(share=float(np.mean((low <= 0) & (high >= 0))), half_width=float(np.mean(high - low) / 2))


def draw(
    noise: Noise, effect: float, trials: int, rounds: int, rng: np.random.Generator, *, errors: Errors = normal
) -> tuple[Figures, Figures]:
    """Log metric and log control (trials x 2 arms x rounds); the second arm costs `effect` more, as a log ratio.

    The control of every run is drawn by itself: the two runs of a round have no speed of the machine in common, which
    is the worst case for pairing.
    """
    shape = (trials, 2, rounds)
    covariate = rng.normal(scale=noise.covariate, size=shape)
    values = noise.slope * covariate + noise.residual * errors(rng, 2 * trials, rounds).reshape(shape)
    values[:, 1] += effect
    return values, covariate


def adjusted_differences(values: Figures, covariates: Figures) -> tuple[Figures, SlopeCost]:
    """What `statistics.adjusted` and `slope_cost` give for each trial, with the slope that its own runs give."""
    flat = (len(values), -1)
    about = centred(covariates).reshape(flat)
    fitted = slopes(centred(values).reshape(flat), about)
    covariate_differences = covariates[:, 1] - covariates[:, 0]
    differences = values[:, 1] - values[:, 0] - fitted[:, np.newaxis] * covariate_differences
    return differences, slope_costs(covariate_differences, (about**2).sum(axis=-1))


def verdicts(low: Figures, estimate: Figures, high: Figures, threshold: float) -> NDArray[np.str_]:
    """The verdict rule on many intervals, for a metric of which less is better; log ratios."""
    rules = [
        (low > 0) & (estimate > threshold),
        (high < 0) & (estimate < -threshold),
        (low > -threshold) & (high < threshold),
    ]
    return np.select(rules, ["regression", "improvement", "within threshold"], "inconclusive")


def campaign(
    noise: Noise, effect: float, looks: Sequence[int], level: float, threshold: float,
    trials: int, rng: np.random.Generator,
) -> VerdictRates:  # fmt: skip
    """Measure until a look gives a verdict or the looks are over.

    `looks` are numbers of rounds, `level` is that of each look's interval; effect and threshold are log ratios.
    """
    values, covariates = draw(noise, effect, trials, looks[-1], rng)
    found, rounds = np.full(trials, "inconclusive"), np.full(trials, looks[-1])
    for number in reversed(looks):  # an earlier look overrules a later one, which would not have happened
        differences, cost = adjusted_differences(values[..., :number], covariates[..., :number])
        mean, half = student(differences, level, cost)
        now = verdicts(mean - half, mean, mean + half, threshold)
        settled = now != "inconclusive"
        found, rounds = np.where(settled, now, found), np.where(settled, number, rounds)
    return VerdictRates(
        regression=float(np.mean(found == "regression")),
        improvement=float(np.mean(found == "improvement")),
        within_threshold=float(np.mean(found == "within threshold")),
        inconclusive=float(np.mean(found == "inconclusive")),
        rounds=float(np.mean(rounds)),
    )


def coverage_table(trials: int, rng: np.random.Generator) -> str:
    """Coverage and half width (in standard deviations of a difference) by method, error and number of rounds."""
    rows = []
    for name, error in ERRORS.items():
        drawn = {rounds: error(rng, trials, rounds) for rounds in ROUNDS}
        for methods, share in ((EXACT, 1), (RESAMPLING, _BOOTSTRAP_SHARE)):
            for title, method in methods.items():
                cells = [
                    _covered(coverage(method, drawn[rounds][: trials // share], level, rng))
                    for level in LEVELS
                    for rounds in ROUNDS
                ]
                rows.append([name, title, *cells])
    headers = ["Errors", "Interval", *(f"{level:.0%}, {rounds} rounds" for level in LEVELS for rounds in ROUNDS)]
    return markdown(headers, rows, labels=2)


def adjustment_table(trials: int, rng: np.random.Generator) -> str:
    """Coverage and half width (in percent) of the metrics as measured, and adjusted by a slope from the same runs."""
    rows = []
    numbers = (fewest_rounds(LEVEL), *ROUNDS)
    for noise, errors in ((CPU, "normal"), (CPU, "heavy tails"), (CPU, "outliers"), (OVERHEAD, "normal")):
        drawn = [draw(noise, 0, trials, rounds, rng, errors=ERRORS[errors]) for rounds in numbers]
        cells = [_adjustments(*figures, LEVEL) for figures in drawn]
        names = ("as measured", "adjusted, slope taken as known", "adjusted")
        rows += [[noise.name, errors, name, *line] for name, *line in zip(names, *cells, strict=True)]
    headers = ["Metric", "Errors", "Difference", *(f"{rounds} rounds" for rounds in numbers)]
    return markdown(headers, rows, labels=3)


def _adjustments(values: Figures, covariates: Figures, level: float) -> Iterator[str]:
    differences, cost = adjusted_differences(values, covariates)
    for mean, half in (
        student(values[:, 1] - values[:, 0], level), student(differences, level), student(differences, level, cost)
    ):  # fmt: skip
        yield _covered(Coverage(share=float(np.mean(np.abs(mean) <= half)), half_width=float(np.mean(half)) * 100))


def false_positive_table(trials: int, rng: np.random.Generator) -> str:
    """Verdicts on two arms that are the same release: each regression or improvement is a false alarm."""
    plans = (
        *((f"one look, {rounds} rounds", (rounds,), LEVEL) for rounds in LOOKS),
        (f"looks after {_listed(LOOKS)}, each at {LEVEL:.0%}", LOOKS, LEVEL),
        (
            f"the same looks, each at {bonferroni_level(LEVEL, len(LOOKS)):.0%}",
            LOOKS,
            bonferroni_level(LEVEL, len(LOOKS)),
        ),
    )
    rows = []
    for name, looks, level in plans:
        for percent in (0, 2):
            seen = campaign(CPU, 0, looks, level, math.log1p(percent / 100), trials, rng)
            positives = seen.regression + seen.improvement
            figures = (positives, seen.regression, seen.within_threshold, seen.inconclusive)
            rows.append([name, f"{percent} %", *(_percent(figure) for figure in figures), f"{seen.rounds:.1f}"])
    headers = ["Plan", "Threshold", "False alarms", "Regression", "No change", "Inconclusive", "Rounds"]
    return markdown(headers, rows, labels=2)


def power_table(trials: int, rng: np.random.Generator, measured: Sequence[Noise] = ()) -> str:
    """Share of regressions found, and of inconclusive verdicts after a slash, by true effect and number of rounds.

    `measured`: more noises of CPU time, each with thresholds of its own rows.
    """
    rows = []
    cases: list[tuple[Noise, int, tuple[int, ...]]] = [
        (CPU, 1, (1, 2)), (CPU, 2, (1, 2, 3, 5)), (OVERHEAD, 5, (5, 10, 30)),
    ]  # fmt: skip
    cases += [(noise, threshold, (0, 2, 5, 10)) for noise in measured for threshold in (2, 5)]
    for noise, threshold, effects in cases:
        for effect in effects:
            truth, minimum_effect = math.log1p(effect / 100), math.log1p(threshold / 100)
            seen = [campaign(noise, truth, (rounds,), LEVEL, minimum_effect, trials, rng) for rounds in LOOKS]
            looking = campaign(noise, truth, LOOKS, bonferroni_level(LEVEL, len(LOOKS)), minimum_effect, trials, rng)
            cells = [f"{_percent(one.regression)} / {_percent(one.inconclusive)}" for one in (*seen, looking)]
            rows.append([noise.name, f"{threshold} %", f"{effect} %", *cells, f"{looking.rounds:.1f}"])
    headers = ["Metric", "Threshold", "True effect", *(f"{rounds} rounds" for rounds in LOOKS), "5 looks", "Rounds"]
    return markdown(headers, rows, labels=3)


POWER = "Regressions found / inconclusive"
SECTIONS: dict[str, Callable[[int, np.random.Generator], str]] = {
    "Intervals: share that holds the truth, and half width": coverage_table,
    "Adjusting by the control arm: share that holds the truth, and half width in percent": adjustment_table,
    "False alarms, same release twice": false_positive_table,
    POWER: power_table,
}


def tables(seed: int = 42, trials: int = TRIALS, measured: Sequence[Noise] = ()) -> str:
    """All tables as Markdown, each under its title; `measured`: noises of CPU time to try the power at, too.

    A share of 95 % has a standard error of 0.15 % in 20000 trials, and of 0.35 % in the 4000 of the bootstraps.
    """
    sections = SECTIONS | {POWER: functools.partial(power_table, measured=measured)}
    parts = [f"### {title}\n\n{make(trials, np.random.default_rng(seed))}" for title, make in sections.items()]
    return "\n\n".join(parts) + "\n"


def _covered(seen: Coverage) -> str:
    return f"{_percent(seen.share)}, {seen.half_width:.2f}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _listed(looks: Sequence[int]) -> str:
    return ", ".join(str(rounds) for rounds in looks)
