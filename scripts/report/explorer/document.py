"""What the explorer shows, as data: one document, which its page carries as JSON.

Figures of a row stand in the order of `metrics`, and are None where the run lacks them.
"""

from __future__ import annotations

from dataclasses import dataclass

Figures = tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricInfo:
    """What a reader has to know of a metric."""

    name: str
    words: str
    title: str  # of a column, with the unit and the good direction
    unit: str
    better: str  # higher, lower or -
    meaning: str
    latency: bool  # of response times
    column: bool  # of the tables of releases and runs


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The figures of one release in one scenario and profile, under one set of conditions: medians of its ok runs."""

    release: str
    engine: str
    flow: str
    profile: str
    python: str
    outcome: str
    bound: str
    runs: int  # ok ones
    usable: bool  # whether the figures may be ranked
    latencies_usable: bool  # the same of those that are latencies
    values: Figures


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One metric of the newer release against the older one: ratios less 1."""

    metric: str
    old: float | None  # median over the rounds, in the metric's unit
    new: float | None
    change: float | None
    low: float | None  # ends of the 95 % interval
    high: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two releases, older first, in the rounds that both have."""

    old: str
    new: str
    engine: str
    flow: str
    profile: str
    python: str
    rounds: int
    campaign: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A metric of one release in a history, with the ends of its interval."""

    release: str
    value: float
    low: float
    high: float
    changed: bool  # beyond noise and threshold, against the release before


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """One metric of one scenario over the releases."""

    engine: str
    flow: str
    profile: str
    python: str
    source: str  # how it was measured
    metric: str
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """A run second by second, and its distribution."""

    requests: tuple[int, ...] = ()  # each second, from the first on
    failures: tuple[int, ...] = ()
    p50_ms: Figures = ()
    p95_ms: Figures = ()
    response_ms: Figures = ()  # at each of the document's percentiles, in steady state
    overhead_ms: Figures = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """One run."""

    run: str  # its id
    release: str
    engine: str
    flow: str
    profile: str
    python: str
    outcome: str
    reasons: tuple[str, ...]
    bound: str
    campaign: str
    round: int
    usable: bool  # as of a row
    latencies_usable: bool
    values: Figures
    curves: Curves


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """Everything."""

    releases: tuple[str, ...]  # oldest first
    metrics: tuple[MetricInfo, ...]
    percentiles: tuple[float, ...]
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    histories: tuple[History, ...]
    runs: tuple[RunRow, ...]
    distributions: dict[str, dict[str, str]]  # by release: what its virtualenv holds, name to version
    skipped: tuple[str, ...]  # records that could not be read, and why
