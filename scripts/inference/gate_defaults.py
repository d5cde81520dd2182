"""What a gate judges by default, and what it allows: what five minutes of rounds can decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

INSTRUCTIONS = "instructions_per_request"  # is counted, not timed
FAILURES = "failure_ratio"  # is compared by its difference: most releases have none, so there is no ratio
ROUNDS = 11  # in five minutes


@dataclass(frozen=True, kw_only=True, slots=True)
class Default:
    """A metric that a gate judges."""

    metric: str
    allowed: float  # worsening that passes, a ratio; of failures, the increase of the ratio
    noise: float | None = None  # standard deviation of the log ratio of a round, of an unchanged release


# Noise: 263 rounds of 23 gate trials on 1.18.5 with both loaded at once (results/gate-trials.md, which shows it beside
# that of all trials), on a shared machine of 2 cores. 10 A/A rounds of one quarter of an hour had only half of it.
# Allowed: so much that an unchanged candidate passes all of them in 19 of 20 gates of 11 rounds with that noise, by
# `power.passes`; tests/inference/test_power.py holds the table to it. That takes about 1.5 times the noise of a
# metric. Metrics of less noise keep the smallest change that matters.
# Throughput and response time follow from the load, and the backend call is a part of the overhead: shown, not judged.
DEFAULTS = (
    Default(metric="cpu_per_request_ms", allowed=0.04, noise=0.0283),
    Default(metric="overhead_p50_ms", allowed=0.07, noise=0.0451),
    Default(metric="overhead_p99_ms", allowed=0.30, noise=0.167),
    Default(metric="memory_start_bytes", allowed=0.02, noise=0.0005),
    Default(metric="memory_end_bytes", allowed=0.02, noise=0.0009),
    Default(metric="ready_s", allowed=0.15, noise=0.0971),
    Default(metric="first_answer_ms", allowed=0.20, noise=0.136),
    # 11 rounds have about 8000 requests an arm; without a failure, their bound is 0.06 %.
    Default(metric=FAILURES, allowed=0.002),
)


# One to three processes of each release decide it, see `counted`.
COUNTED = Default(metric=INSTRUCTIONS, allowed=0.005)


def counted_limit() -> float:
    """What instructions may get worse, as log ratio."""
    return math.log1p(COUNTED.allowed)


def limits() -> dict[str, float]:
    """What may get worse, of what is timed: log ratios by metric name, and of failures the increase of the ratio."""
    return {one.metric: one.allowed if one.metric == FAILURES else math.log1p(one.allowed) for one in DEFAULTS}
