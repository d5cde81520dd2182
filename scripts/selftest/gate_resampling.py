"""What more gates would have decided, by recorded rounds of an unchanged candidate that are drawn again and again.

A gate's rounds are of one campaign, which is drawn first, and its rounds within it, both with replacement (cluster
bootstrap; Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). So a gate has the noise
of one hour, outliers and all, and metrics that move together do so here. Known changes are laid over the candidate's
figures. The same rounds and seed give the same figures.
"""

from __future__ import annotations

import functools
import math
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run
from scripts.inference import failure_counts, gate_defaults, one_sided
from scripts.inference.failure_counts import FailureCounts
from scripts.inference.gate_defaults import FAILURES, ROUNDS
from scripts.inference.intervals import Figures
from scripts.inference.one_sided import Flags, Places
from scripts.inference.paired_rounds import BASELINE, PairedRounds, Round
from scripts.inference.usable_rounds import usable
from scripts.report.tables.formatting import DASH, Markdown, filled, percent
from scripts.report.tables.markdown import markdown
from scripts.selftest import drawn_gates
from scripts.selftest.drawn_gates import GateRates

GATES = 2000  # a share of 95 % has a standard error of 0.5 %, beside what the few rounds leave open
_CANDIDATE = BASELINE + 1
_TIMED = tuple(metric for metric in METRICS if metric.name in gate_defaults.limits() and metric.name != FAILURES)
_FEW_CAMPAIGNS, _FEW_ROUNDS = 10, 100  # below which single hours and rounds decide the shares


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A known change of a candidate, by metric, in the metric's own unit."""

    what: str
    factors: Mapping[str, float] = field(default_factory=dict)
    added: Mapping[str, float] = field(default_factory=dict)

    def of(self, metric: str, value: float) -> float:
        """The changed value of a metric."""
        return value * self.factors.get(metric, 1.0) + self.added.get(metric, 0.0)


def _cpu(factor: float) -> Change:
    return Change(what=f"CPU per request times {factor:g}", factors={"cpu_per_request_ms": factor})


def _overhead(added_ms: float) -> Change:
    added = dict.fromkeys(("overhead_p50_ms", "overhead_p99_ms"), added_ms)
    return Change(what=f"{added_ms:g} ms more overhead in each request", added=added)


CHANGES = (
    Change(what="nothing"),
    *map(_cpu, (1.02, 1.03, 1.045, 1.06)),
    *map(_overhead, (0.5, 1.0, 2.0, 3.0)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRounds:
    """The rounds to draw from that tell every judged metric, by campaign."""

    campaigns: tuple[tuple[Round, ...], ...]

    @property
    def rounds(self) -> list[Round]:
        """Of all campaigns."""
        return [one for campaign in self.campaigns for one in campaign]

    @property
    def are_few(self) -> bool:
        """Whether single hours and rounds decide what comes out."""
        return len(self.campaigns) < _FEW_CAMPAIGNS or len(self.rounds) < _FEW_ROUNDS


def recorded(found: Sequence[PairedRounds]) -> RecordedRounds:
    """Of two arms each, whose difference is noise; a round that lacks a metric is left out."""
    campaigns = [tuple(round_ for round_ in one.rounds if _ratios(round_, Change(what=""))) for one in found]
    return RecordedRounds(campaigns=tuple(filter(None, campaigns)))


def resample(
    found: RecordedRounds, change: Change, rng: np.random.Generator, *, gates: int = GATES, last: int = ROUNDS
) -> GateRates:  # fmt: skip
    """Gates with default thresholds on these rounds, at least one; each has time for `last` rounds."""
    limits = gate_defaults.limits()
    allowed = np.array([limits[metric.name] for metric in _TIMED])
    ratios = np.array([_ratios(one, change) for one in found.rounds], dtype=np.float64)
    arms = [_failures([one.runs[arm] for one in found.rounds]) for arm in (BASELINE, _CANDIDATE)]
    drawn = _draw(found, gates, last, rng)

    def look(going: Flags, number: int, error: float) -> Places:
        rounds = drawn[going, :number]
        below, above, p_values = drawn_gates.evidence(np.moveaxis(ratios[rounds], 1, 2), allowed, error)
        failures = zip(*(counts[rounds].sum(axis=1).tolist() for counts in arms), strict=True)
        told = [_failure_evidence(*map(tuple, both), limits[FAILURES], error) for both in failures]
        less, more, p_of_failures = (np.array(column) for column in zip(*told, strict=True))
        return one_sided.places(
            np.column_stack([below, less]), np.column_stack([above, more]), np.column_stack([p_values, p_of_failures]),
            error,
        )  # fmt: skip

    return drawn_gates.run([*(metric.name for metric in _TIMED), FAILURES], gates, last, look)


def _draw(found: RecordedRounds, gates: int, last: int, rng: np.random.Generator) -> one_sided.Places:
    """Places among all rounds, (gates, last): those of a gate are of one campaign."""
    sizes = np.array([len(campaign) for campaign in found.campaigns])
    first = np.cumsum(sizes) - sizes
    chosen = rng.integers(len(sizes), size=(gates, 1))
    return np.asarray(first[chosen] + rng.integers(sizes[chosen], size=(gates, last)))


def _ratios(one: Round, change: Change) -> list[float]:
    """The log ratio of each timed metric, above 0 where the candidate is worse; empty when a run lacks one."""
    baseline, candidate = one.runs[BASELINE], one.runs[_CANDIDATE]
    found = []
    for metric in _TIMED:
        used = usable(metric, ([baseline], [candidate]))
        if not used.number:
            return []
        changed = math.log(change.of(metric.name, math.exp(used.candidate[0])))
        found.append(metric.worse(changed - used.baseline[0]))
    return found


def _failures(runs: Sequence[Run]) -> Figures:
    """Failed and all requests of each run: (runs, 2)."""
    counts = [failure_counts.of_runs([run]) for run in runs]
    return np.array([[one.failed, one.requests] for one in counts], dtype=np.int64)


@functools.cache
def _failure_evidence(
    baseline: tuple[int, int], candidate: tuple[int, int], allowed: float, error: float
) -> tuple[bool, bool, float]:
    first, second = (FailureCounts(failed=failed, requests=requests) for failed, requests in (baseline, candidate))
    return failure_counts.evidence(first, second, allowed, error)


def part(found: RecordedRounds, seed: int = 42, gates: int = GATES) -> Markdown:
    """The table with what it was drawn from; one sentence where there is nothing to draw."""
    if not found.campaigns:
        return Markdown("No rounds of an unchanged candidate are recorded yet. `nox -s gate-trials` makes them.")
    text = filled(
        "{} gates each on {} recorded rounds of {} campaigns, in which the candidate is unchanged. A gate draws one "
        "campaign and then {} of its rounds, as many as five minutes hold. Known changes are laid over the candidate's "
        "figures. Each gate is judged by the default thresholds on timed metrics and failures; counts are not drawn.",
        gates, len(found.rounds), len(found.campaigns), ROUNDS,
    )  # fmt: skip
    parts = [textwrap.fill(text, 120)]
    if found.are_few:
        warning = filled(
            "**These are few rounds: take the shares as a first look.** From {} campaigns and {} rounds on, single "
            "hours no longer decide them. Chance that a campaign's rounds share is in every gate that draws it. So the "
            "table tends to have too many false alarms and undecided gates.",
            _FEW_CAMPAIGNS, _FEW_ROUNDS,
        )  # fmt: skip
        parts.append(textwrap.fill(warning, 120))
    rates = [resample(found, change, np.random.default_rng(seed), gates=gates) for change in CHANGES]
    rows = [_row(found, change, one) for change, one in zip(CHANGES, rates, strict=True)]
    headers = ["Laid over the candidate", "That is", "PASS", "FAIL", "UNDECIDED", "Rounds"]
    return Markdown("\n\n".join([*parts, markdown(headers, rows, labels=2)]))


def _row(found: RecordedRounds, change: Change, rates: GateRates) -> list[str]:
    shares = map(drawn_gates.percent, (rates.passed, rates.failed, rates.undecided))
    return [change.what, "; ".join(_sizes(found, change)) or DASH, *shares, f"{rates.rounds:.1f}"]


def _sizes(found: RecordedRounds, change: Change) -> Iterator[str]:
    """What a change is of the metrics that it changes, by the median round."""
    for metric in _TIMED:
        if metric.name in {*change.factors, *change.added}:
            values = [value for one in found.rounds if (value := one.runs[_CANDIDATE].values[metric.name])]
            size = statistics.median(math.log(change.of(metric.name, value) / value) for value in values)
            yield f"{metric.words} {percent(size)}"
