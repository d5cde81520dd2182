"""What the statistics of a comparison do on drawn figures whose truth is known.

Verdicts come from the functions that `compare` uses: `comparison.significant` (Holm over all metrics of a table) and
`comparison.verdicts`. `gate_simulation` does the same for a gate. The same seed gives the same tables.
"""

from __future__ import annotations

import functools
import itertools
import math
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.analysis.metrics import COMPARED
from scripts.campaign import stopping_rule
from scripts.inference import comparison, intervals
from scripts.inference.comparison import LEVEL, VERDICTS, Verdict
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
from scripts.report.tables.formatting import Markdown
from scripts.report.tables.markdown import markdown
from scripts.selftest.interval_methods import EXACT, RESAMPLING, Method

TRIALS = 20_000
LEVELS = (LEVEL, 0.99)
ROUNDS = (6, 8, 10, 15)
ONE_LOOK = (6, 8, 10, 15, 20)  # rounds of campaigns that look at their verdicts once, at the end
LOOKS = tuple(stopping_rule.interim_looks(ONE_LOOK[-1]))  # rounds after which a campaign with a budget looks
LOOK_LEVEL = bonferroni_level(LEVEL, len(LOOKS))
METRICS = len(COMPARED)  # that a comparison judges together
_BOOTSTRAP_SHARE = 5  # resampling costs most of the time, so it gets one trial in so many
_OPEN = VERDICTS.index("inconclusive")


# Measured in 14 runs of 1.12.0 on a shared machine of 2 cores (tests/fakes/recorded_pilot.py).
CPU = Noise(name="CPU per request", slope=0.53, residual=0.010)
OVERHEAD = Noise(name="overhead, median", slope=0.98, residual=0.029)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRates:
    """The verdicts of many drawn campaigns."""

    regression: float  # of the first metric: share of trials, 0 to 1
    improvement: float  # the same
    within_threshold: float  # the same
    inconclusive: float  # the same
    false_positives: float  # share of trials in which a metric without a true effect was called changed, 0 to 1
    rounds: float  # measured on average


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How well an interval covers, over many trials."""

    share: float  # of trials whose interval held the truth, 0 to 1
    half_width: float  # on average


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnIntervals:
    """The intervals of every trial and metric after some number of rounds: (trials, metrics), without true effects."""

    estimates: Figures
    halves: Figures
    p_values: Figures
    freedom: Figures | float  # degrees of freedom: (trials, 1)
    level: float

    def verdicts(self, effect: float, threshold: float) -> NDArray[np.intp]:
        """Places in VERDICTS, by the rule of comparisons, when the first metric has this true effect."""
        estimates, p_values = self.estimates.copy(), self.p_values.copy()
        estimates[:, :1] += effect
        p_values[:, :1] = intervals.p_values(estimates[:, :1], self.halves[:, :1], self.level, self.freedom)
        return comparison.verdicts(
            estimates - self.halves,
            estimates,
            estimates + self.halves,
            threshold,
            comparison.significant(p_values, self.level),
        )


Drawn = Mapping[tuple[int, float], DrawnIntervals]
"""The same trials after several numbers of rounds, at several levels."""


def normal(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """As the theory assumes, with standard deviation 1."""
    return rng.normal(size=(trials, rounds))


def heavy_tailed(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """Student's t with 3 degrees of freedom, brought to standard deviation 1."""
    return np.divide(rng.standard_t(3, size=(trials, rounds)), math.sqrt(3))


def with_outliers(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """Normal, but one difference in 15 is off by 8 standard deviations, either way."""
    shape = (trials, rounds)
    off = np.where(rng.random(shape) < 1 / 15, rng.choice([-8.0, 8.0], size=shape), 0.0)
    return rng.normal(size=shape) + off


def drifting(rng: np.random.Generator, trials: int, rounds: int) -> Figures:
    """Normal, and each run costs 1 more than the one before. Every round the other arm is first, so the sign turns."""
    return rng.normal(size=(trials, rounds)) + np.where(np.arange(rounds) % 2, -1.0, 1.0)


Errors = Callable[[np.random.Generator, int, int], Figures]
ERRORS: dict[str, Errors] = {
    "normal": normal,
    "heavy tails": heavy_tailed,
    "outliers": with_outliers,
    "drift": drifting,
}


def coverage(method: Method, samples: Figures, level: float, rng: np.random.Generator) -> Coverage:
    """How often a method's interval covers 0, the truth of all samples."""
    low, high = method(samples, level, rng)
    return Coverage(share=float(np.mean((low <= 0) & (high >= 0))), half_width=float(np.mean(high - low) / 2))


def draw(
    noise: Noise, trials: int, rounds: int, rng: np.random.Generator, *, metrics: int = 1, errors: Errors = normal
) -> tuple[Figures, Figures]:
    """Log metrics (trials, metrics, 2 arms, rounds) of two equal arms, and log covariate (trials, 1, 2 arms, rounds).

    All metrics have the same noise, each its own draws. The covariate of a run is that of all its metrics, as in real
    runs. The two runs of a round share no speed of the machine, which is the worst case for pairing.
    """
    shape = (trials, metrics, 2, rounds)
    covariates = rng.normal(scale=noise.covariate, size=(trials, 1, 2, rounds))
    residuals = errors(rng, trials * metrics * 2, rounds).reshape(shape)
    return noise.slope * covariates + noise.residual * residuals, covariates


def adjusted_differences(values: Figures, covariates: Figures) -> tuple[Figures, SlopeCost]:
    """`intervals.adjusted` and `intervals.slope_cost` of many trials: (..., 2 arms, rounds) to (..., rounds)."""
    about, residuals = centred(covariates), centred(values)
    fitted = slopes(_flat(residuals), _flat(about))
    covariate_differences = _difference(covariates)
    differences = _difference(values) - fitted[..., np.newaxis] * covariate_differences
    return differences, slope_costs(covariate_differences, (_flat(about) ** 2).sum(axis=-1))


def _flat(arms: Figures) -> Figures:
    """Both arms in one axis."""
    return arms.reshape(*arms.shape[:-2], -1)


def _difference(arms: Figures) -> Figures:
    """The second arm less the first."""
    return np.asarray(arms[..., 1, :] - arms[..., 0, :])


def drawn_intervals(
    noise: Noise, plans: Collection[tuple[int, float]], metrics: int, trials: int, rng: np.random.Generator
) -> Drawn:
    """The intervals after each number of rounds, at each level, of the same drawn campaigns."""
    values, covariates = draw(noise, trials, max(rounds for rounds, _ in plans), rng, metrics=metrics)
    found = {}
    for rounds, level in plans:
        differences, cost = adjusted_differences(values[..., :rounds], covariates[..., :rounds])
        estimates, halves = student(differences, level, cost)
        freedom = intervals.degrees_of_freedom(rounds, cost)
        found[rounds, level] = DrawnIntervals(
            estimates=estimates,
            halves=halves,
            p_values=intervals.p_values(estimates, halves, level, freedom),
            freedom=freedom,
            level=level,
        )
    return found


def rates(drawn: Drawn, effect: float, looks: Sequence[int], level: float, threshold: float) -> VerdictRates:
    """Measure until no verdict is inconclusive at a look, or the looks are over; the verdicts of that look count.

    `looks` are numbers of rounds, `level` is that of each look's intervals; effect and threshold are log ratios.
    """
    verdicts = drawn[looks[-1], level].verdicts(effect, threshold)
    rounds = np.full(len(verdicts), looks[-1])
    for number in reversed(looks[:-1]):  # an earlier look overrules a later one, which then does not happen
        now = drawn[number, level].verdicts(effect, threshold)
        settled = (now != _OPEN).all(axis=1)
        verdicts, rounds = np.where(settled[:, np.newaxis], now, verdicts), np.where(settled, number, rounds)
    unchanged = verdicts[:, 1:] if effect else verdicts
    changed = np.isin(unchanged, [VERDICTS.index("regression"), VERDICTS.index("improvement")])
    return VerdictRates(
        regression=_share(verdicts, "regression"),
        improvement=_share(verdicts, "improvement"),
        within_threshold=_share(verdicts, "within threshold"),
        inconclusive=_share(verdicts, "inconclusive"),
        false_positives=float(changed.any(axis=1).mean()),
        rounds=float(rounds.mean()),
    )


def _share(verdicts: NDArray[np.intp], verdict: Verdict) -> float:
    """The share of trials with this verdict on the first metric."""
    return float((verdicts[:, 0] == VERDICTS.index(verdict)).mean())


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
        drawn = [draw(noise, trials, rounds, rng, errors=ERRORS[errors]) for rounds in numbers]
        cells = [_adjustments(*figures, LEVEL) for figures in drawn]
        names = ("as measured", "adjusted, slope taken as known", "adjusted")
        rows += [[noise.name, errors, name, *line] for name, *line in zip(names, *cells, strict=True)]
    headers = ["Metric", "Errors", "Difference", *(f"{rounds} rounds" for rounds in numbers)]
    return markdown(headers, rows, labels=3)


def _adjustments(values: Figures, covariates: Figures, level: float) -> Iterator[str]:
    differences, cost = adjusted_differences(values, covariates)
    for mean, half in (
        student(_difference(values), level), student(differences, level), student(differences, level, cost)
    ):  # fmt: skip
        yield _covered(Coverage(share=float(np.mean(np.abs(mean) <= half)), half_width=float(np.mean(half)) * 100))


def false_positive_table(trials: int, rng: np.random.Generator) -> str:
    """Verdicts on two arms that are the same release: each regression or improvement is a false positive."""
    plans = (
        *((f"one look, {rounds} rounds", (rounds,), LEVEL) for rounds in ONE_LOOK),
        (f"looks after {_listed(LOOKS)}, each at {LEVEL:.0%}", LOOKS, LEVEL),
        (f"the same looks, each at {LOOK_LEVEL:.0%}", LOOKS, LOOK_LEVEL),
    )
    needed = {(rounds, level) for _, looks, level in plans for rounds in looks}
    rows = []
    drawn = drawn_intervals(CPU, needed, METRICS, trials, rng)
    for name, looks, level in plans:
        for percent in (0, 2):
            seen = rates(drawn, 0, looks, level, math.log1p(percent / 100))
            figures = (seen.false_positives, seen.regression, seen.within_threshold, seen.inconclusive)
            rows.append([name, f"{percent} %", *map(_percent, figures), f"{seen.rounds:.1f}"])
    headers = [
        "Plan", "Threshold", "Any false positive",
        "Regression", "Within threshold", "Inconclusive", "Rounds",
    ]  # fmt: skip
    return markdown(headers, rows, labels=2)


def power_table(trials: int, rng: np.random.Generator, measured: Sequence[Noise] = ()) -> str:
    """Share of regressions found, and of inconclusive verdicts after a slash, by true effect and number of rounds.

    `measured`: more noises of CPU time, each with thresholds of its own rows.
    """
    of_measured = {2: (0, 2, 5, 10), 5: (0, 2, 5, 10)}
    cases: list[tuple[Noise, Mapping[int, tuple[int, ...]]]] = [  # true effects by threshold, in percent
        (CPU, {1: (1, 2), 2: (1, 2, 3, 5)}), (OVERHEAD, {5: (5, 10, 30)}),
        *zip(measured, itertools.repeat(of_measured)),
    ]  # fmt: skip
    needed = {(rounds, LEVEL) for rounds in ONE_LOOK} | {(rounds, LOOK_LEVEL) for rounds in LOOKS}
    rows = []
    for noise, effects in cases:
        drawn = drawn_intervals(noise, needed, METRICS, trials, rng)
        for threshold, effect in ((threshold, one) for threshold, found in effects.items() for one in found):
            truth, limit = math.log1p(effect / 100), math.log1p(threshold / 100)
            seen = [rates(drawn, truth, (rounds,), LEVEL, limit) for rounds in ONE_LOOK]
            looking = rates(drawn, truth, LOOKS, LOOK_LEVEL, limit)
            cells = [f"{_percent(one.regression)} / {_percent(one.inconclusive)}" for one in (*seen, looking)]
            rows.append([noise.name, f"{threshold} %", f"{effect} %", *cells, f"{looking.rounds:.1f}"])
    headers = [
        "Metric", "Threshold", "True effect", *(f"{rounds} rounds" for rounds in ONE_LOOK), f"{len(LOOKS)} looks",
        "Rounds",
    ]  # fmt: skip
    return markdown(headers, rows, labels=3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One table, with its title and with how it was made."""

    title: str
    about: str
    make: Callable[[int, np.random.Generator], str]


_TOGETHER = f"""\
{METRICS} metrics are judged together, as many as `compare` judges. They have the same noise and the same threshold.
Their noise is independent; only the speed covariate of a run is common to all."""


def sections(measured: Sequence[Noise] = ()) -> list[Section]:
    """All tables in order; `measured`: noises of CPU time to give the power at, too."""
    return [
        Section(
            title="False positives, same release twice",
            about=f"""\
Nothing differs, so every regression or improvement is a false positive. {_TOGETHER}
"Any false positive" counts comparisons, the next three columns count verdicts on one metric. A campaign with looks
stops when no verdict is inconclusive.""",
            make=false_positive_table,
        ),
        Section(
            title="Regressions found / inconclusive: comparison of all metrics",
            about=f"""\
{_TOGETHER} The true effect is in one metric, whose verdicts are counted; the others do not change. "{len(LOOKS)} looks"
stops when no verdict on any metric is inconclusive, at the latest after {LOOKS[-1]} rounds; "Rounds" is the mean.""",
            make=functools.partial(power_table, measured=measured),
        ),
        Section(
            title="Intervals: share that covers the truth, and half width",
            about="In standard deviations of a difference. Comparisons use Student's t.",
            make=coverage_table,
        ),
        Section(
            title="Adjusting by the speed covariate: share that covers the truth, and half width in percent",
            about='Comparisons use "adjusted", which includes the uncertainty of the slope.',
            make=adjustment_table,
        ),
    ]


def tables(seed: int = 42, trials: int = TRIALS, measured: Sequence[Noise] = ()) -> Markdown:
    """All tables as Markdown, each under its title; `measured` as in `sections`.

    A share of 95 % has a standard error of 0.15 % in 20000 trials, and of 0.35 % in the 4000 of the bootstraps.
    """
    return written(sections(measured), seed, trials)


def written(shown: Sequence[Section], seed: int, trials: int) -> Markdown:
    """These tables as Markdown, each under its title and from the same seed."""
    parts = [
        f"### {one.title}\n\n{textwrap.fill(one.about, 120)}\n\n{one.make(trials, np.random.default_rng(seed))}"
        for one in shown
    ]
    return Markdown("\n\n".join(parts))


def _covered(seen: Coverage) -> str:
    return f"{_percent(seen.share)}, {seen.half_width:.2f}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _listed(looks: Sequence[int]) -> str:
    return ", ".join(str(rounds) for rounds in looks)
