"""The methods for intervals that `simulation` compares: Student's and its alternatives, on many samples at a time.

A method takes samples (trials, rounds), a level and a source of randomness. It gives the lower and the upper ends, one
a trial. Infinite ends mean that this level needs more rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy

from scripts.inference.intervals import Figures, student

Ends = tuple[Figures, Figures]
Method = Callable[[Figures, float, np.random.Generator], Ends]

RESAMPLES = 999


def by_student(samples: Figures, level: float, _rng: np.random.Generator) -> Ends:
    """Student's t, as comparisons use it."""
    mean, half = student(samples, level)
    return mean - half, mean + half


def by_signed_ranks(samples: Figures, level: float, _rng: np.random.Generator) -> Ends:
    """The inverted exact signed-rank test: Walsh averages, counted from both ends.

    Hodges and Lehmann, Annals of Mathematical Statistics 34 (1963); Hollander, Wolfe and Chicken, "Nonparametric
    Statistical Methods" (2014), section 3.3.
    """
    first, second = np.triu_indices(samples.shape[1])
    walsh = np.sort((samples[:, first] + samples[:, second]) / 2, axis=1)
    outside = _outside(samples.shape[1], level)
    if outside == 0:
        return np.full(len(samples), -np.inf), np.full(len(samples), np.inf)
    return walsh[:, outside - 1], walsh[:, -outside]


def _outside(rounds: int, level: float) -> int:
    """How many rank sums, from 0 on, are together no more likely than (1 - level) / 2."""
    likely = np.ones(1)
    for rank in range(1, rounds + 1):  # each rank is in the sum with probability 1/2
        likely = (np.append(likely, np.zeros(rank)) + np.append(np.zeros(rank), likely)) / 2
    return int(np.sum(np.cumsum(likely) <= (1 - level) / 2))


def by_trimmed_mean(samples: Figures, level: float, _rng: np.random.Generator) -> Ends:
    """Student's t of the mean without the lowest and the highest (Tukey and McLaughlin, Sankhya A 25, 1963)."""
    ranked = np.sort(samples, axis=1)
    kept = ranked[:, 1:-1]
    winsorised = np.clip(ranked, kept[:, :1], kept[:, -1:])
    number, left = ranked.shape[1], kept.shape[1]
    error = winsorised.std(axis=1, ddof=1) * np.sqrt((number - 1) / (left * (left - 1)))
    half = scipy.stats.t.ppf((1 + level) / 2, left - 1) * error
    mean = kept.mean(axis=1)
    return mean - half, mean + half


def by_percentiles(samples: Figures, level: float, rng: np.random.Generator) -> Ends:
    """The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13)."""
    return _of_scipy(samples, level, rng, "percentile")


def by_bca(samples: Figures, level: float, rng: np.random.Generator) -> Ends:
    """The bias-corrected and accelerated bootstrap (the same, chapter 14)."""
    return _of_scipy(samples, level, rng, "BCa")


def _of_scipy(samples: Figures, level: float, rng: np.random.Generator, method: Literal["percentile", "BCa"]) -> Ends:
    found = scipy.stats.bootstrap(
        (samples,), np.mean, axis=-1, vectorized=True, batch=100,
        n_resamples=RESAMPLES, confidence_level=level, method=method, rng=rng,
    ).confidence_interval  # fmt: skip
    return np.asarray(found.low), np.asarray(found.high)


def by_bootstrap_t(samples: Figures, level: float, rng: np.random.Generator) -> Ends:
    """The bootstrap of Student's ratio (the same, chapter 12). A resample of one value only has no ratio: infinite."""
    number = samples.shape[1]
    weights = rng.multinomial(number, np.full(number, 1 / number), RESAMPLES).T / number  # the same for all trials
    mean, deviation = samples.mean(axis=1, keepdims=True), samples.std(axis=1, keepdims=True)
    about = samples - mean
    means = about @ weights
    spread = np.sqrt(np.maximum(about**2 @ weights - means**2, 0))
    ratios = np.divide(means, spread, out=np.copysign(np.full_like(means, np.inf), means), where=spread > 0)
    low, high = np.quantile(ratios, [(1 + level) / 2, (1 - level) / 2], axis=1, method="nearest")
    return mean[:, 0] - low * deviation[:, 0], mean[:, 0] - high * deviation[:, 0]


EXACT: dict[str, Method] = {
    "Student t": by_student,
    "Signed ranks": by_signed_ranks,
    "Trimmed t": by_trimmed_mean,
}
RESAMPLING: dict[str, Method] = {
    "Bootstrap, percentile": by_percentiles,
    "Bootstrap, BCa": by_bca,
    "Bootstrap, t": by_bootstrap_t,
}
