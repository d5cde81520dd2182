"""Soaks in words and in the cells of a table: the same on the page and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scripts.config.bounded_files import MIB
from scripts.inference.soaks import Drift, Growth, Soak
from scripts.inference.trends import Trend
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, code, filled, joined, marked

_GIB = 2**30
_REQUESTS = 10_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MOST_DECIMALS = 4
_TIMES = ((_DAY_S, "days"), (_HOUR_S, "hours"), (_MINUTE_S, "minutes"))
_FEWEST = 2  # of a unit of time; fewer are told in the next smaller one
_MOST_DAYS = 1000
_HEADERS = (
    *("Release", "Engine", "Flow", "Users", "Minutes", "Requests", "Failures"),
    *("Memory (MiB per 10,000 requests) \u2193", "Memory, second half", "Overhead p50 (ms per hour) \u2193", "Verdict"),
)
_GROWTHS: dict[Growth, str] = {
    "grows": "memory grows by {memory} MiB per 10,000 requests",
    "levels off": "memory levels off",
    "grew": "memory grew, and the second half does not show whether it goes on",
    "no growth": "no steady growth of memory seen",
    "shrinks": "memory shrinks",
    "not known": "whether memory grows is not known",
}
_DRIFTS: dict[Drift, str] = {
    "slower": "overhead rises by {overhead} ms per hour",
    "faster": "overhead falls by {overhead} ms per hour",
    "no drift": "no drift of overhead seen",
    "not known": "whether overhead drifts is not known",
}


def table(found: Sequence[Soak]) -> Markdown:
    """One row a soak."""
    return markdown.narrow(markdown.markdown(_HEADERS, map(_row, found), labels=3, remarks=1))


def verdict(soak: Soak) -> str:
    """What becomes of memory and overhead, as part of a sentence; of a run that is not ok how it ended."""
    run = soak.run
    if run.outcome != "ok":
        return run.outcome
    growth = _GROWTHS[soak.growth].format(memory=_amount(soak.memory_later, _REQUESTS / MIB))
    seconds = until_gib_s(soak)
    until = "" if seconds is None else f", which is 1 GiB in {lasting(seconds)}"
    return f"{growth}{until}; {_DRIFTS[soak.drift].format(overhead=_amount(soak.overhead, _HOUR_S))}"


def until_gib_s(soak: Soak) -> float | None:
    """After how many seconds memory is larger by 1 GiB; None unless the verdict says it."""
    return soak.seconds_until(_GIB) if soak.run.outcome == "ok" else None


def name(soak: Soak) -> str:
    """Its release, engine and flow."""
    requested = soak.run.record.requested
    return f"{requested.release} {requested.engine} {requested.flow}"


def reasons(found: Sequence[Soak]) -> list[Markdown]:
    """Why runs are not ok, and why latencies do not count; one line each."""
    lines: list[tuple[Soak, str, Sequence[str]]] = [
        (one, one.run.outcome, one.run.reasons) for one in found if one.run.outcome != "ok"
    ]
    lines += [(one, "overhead in parentheses", one.run.distrusted) for one in found if one.run.distrusted]
    return [
        filled("{}: {}: {}", name(one), word, joined("; ", map(code, texts)) or "no reason recorded")
        for one, word, texts in lines
    ]


def lasting(seconds: float) -> str:
    """A time in the unit that people would use: about 90 minutes, 30 hours, 12 days."""
    if seconds > _MOST_DAYS * _DAY_S:
        return f"more than {_MOST_DAYS} days"
    unit_s, unit = next((one for one in _TIMES if seconds >= _FEWEST * one[0]), _TIMES[-1])
    return f"about {seconds / unit_s:.0f} {unit}"


def _row(soak: Soak) -> list[str]:
    run = soak.run
    requested, measured, valid = run.record.requested, run.record.measurements, run.outcome == "ok"
    cells = [
        requested.release, requested.engine, requested.flow, str(requested.profile.users),
        f"{requested.profile.run_time_s / _MINUTE_S:g}",
    ]  # fmt: skip
    if measured is None:
        return [*cells, *[run.outcome] * (len(_HEADERS) - len(cells))]
    return [
        *cells,
        f"{measured.load.recorded:,}",
        f"{sum(one.count for one in measured.load.failures):,}",
        marked(_interval(soak.memory, _REQUESTS / MIB), counts=valid),
        marked(_interval(soak.memory_later, _REQUESTS / MIB), counts=valid),
        marked(_interval(soak.overhead, _HOUR_S), counts=valid and not run.distrusted),
        verdict(soak),
    ]


def _interval(trend: Trend | None, scale: float) -> str:
    """The slope with its interval, e.g. "+0.41 (+0.35 to +0.47)"; `scale`: of the unit that is shown."""
    if trend is None:
        return DASH
    decimals = _decimals(trend, scale)
    slope, low, high = (f"{one * scale:+z.{decimals}f}" for one in (trend.slope, trend.low, trend.high))
    return f"{slope} ({low} to {high})"


def _amount(trend: Trend | None, scale: float) -> str:
    """The slope alone, without the sign that a word says, and with one digit less."""
    return DASH if trend is None else f"{abs(trend.slope * scale):.{max(0, _decimals(trend, scale) - 1)}f}"


def _decimals(trend: Trend, scale: float) -> int:
    """As many as show two digits of the interval's half width."""
    half = (trend.high - trend.low) / 2 * abs(scale)
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else _MOST_DECIMALS
