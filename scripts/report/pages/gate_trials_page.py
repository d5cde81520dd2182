"""The page of gate trials: what gates caught, missed and called wrongly."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import METRICS
from scripts.inference.gate_defaults import DEFAULTS
from scripts.inference.power import RoundNoise
from scripts.report.pages import templates, trials_text
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, code, filled, listed, percent, quantity


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What was injected in a trial, and what was seen of it."""

    injected: float  # in the metric's unit
    baseline: float  # likewise, in this trial
    change: float  # that was seen, a log ratio
    unit: str

    @property
    def injected_change(self) -> float:
        """The injected change of this baseline, a log ratio."""
        return math.log1p(self.injected / self.baseline)

    @property
    def share(self) -> float:
        """Of the injected change that was seen; less than 1 where the slower release slows the other as well."""
        return math.expm1(self.change) * self.baseline / self.injected


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """The trials of one candidate."""

    name: str
    what: str
    judged_by: str
    wanted: int  # trials
    results: tuple[str, ...]  # of those made
    others: tuple[str, ...]  # other metrics called worse, one for each time
    sizes: tuple[Size, ...]  # of the metric that should show it
    minutes: tuple[float, ...]


_COLUMNS = ("caught", "missed", "passed", "false alarm", "undecided")


def render(
    rows: Sequence[Row], *, release: str, scenario: str, about: str, noise: Mapping[str, RoundNoise],
    resampled: Markdown, simulated: Markdown,
) -> bytes:  # fmt: skip
    """The page. `about`: how it was measured; `noise`: of the rounds of all trials, by metric."""
    made = [row for row in rows if row.results]
    slowed = [result for row in made for result in row.results if row.name != "unchanged"]
    unchanged = [result for row in made for result in row.results if row.name == "unchanged"]
    return templates.render(
        "gate_trials.md.j2",
        release=release,
        scenario=scenario,
        slowed=len(slowed),
        caught=slowed.count("caught"),
        unchanged=len(unchanged),
        passed=unchanged.count("passed"),
        alarms=unchanged.count("false alarm"),
        shares=listed([_shares(row) for row in rows if row.sizes and row.judged_by == "gate"]),
        longest=f"{max((max(row.minutes) for row in made), default=0.0):.1f}",
        table=_table(rows),
        open=trials_text.missing(rows),
        about=about,
        noise=_noise(noise),
        resampled=resampled,
        simulated=simulated,
    )


def _noise(found: Mapping[str, RoundNoise]) -> Markdown:
    """What gates allow, the noise that this was made for, and that of the trials; empty before the first."""
    words = {metric.name: metric.words for metric in METRICS}
    rows = [
        (words[one.metric], f"+{one.allowed * 100:g} %", _spread(one.noise), _spread(found[one.metric].deviation))
        for one in DEFAULTS
        if one.noise is not None and one.metric in found
    ]
    headers = ("Metric", "Allowed", "Noise that this is made for", "Noise in these trials")
    return markdown.markdown(headers, rows) if rows else Markdown("")


def _spread(deviation: float) -> str:
    return f"{deviation * 100:.2g} %"


def answer(rows: Sequence[Row]) -> str:
    """How many trials ended in which way."""
    return trials_text.answer(rows, _COLUMNS)


def _shares(row: Row) -> Markdown:
    found = [size.share for size in row.sizes]
    spread = f", from {_ratio(min(found))} to {_ratio(max(found))}" if len(found) > 1 else ""
    trials = f"{len(found)} trial{'s' if len(found) > 1 else ''}"
    return filled("{} {} ({}{})", code(row.name), _ratio(statistics.median(found)), trials, spread)


def _table(rows: Sequence[Row]) -> Markdown:
    headers = (
        "Candidate", "What is different", "Judged by", "Trials", *map(str.capitalize, _COLUMNS), "Injected",
        "Seen", "Seen / injected", "Minutes", "Also called worse",
    )  # fmt: skip
    return markdown.markdown(headers, [_cells(row) for row in rows], labels=3, remarks=1)


def _cells(row: Row) -> list[str]:
    counts = [str(row.results.count(column)) if row.results else DASH for column in _COLUMNS]
    return [
        row.name,
        row.what,
        row.judged_by,
        f"{len(row.results)} of {row.wanted}",
        *counts,
        _injected(row.sizes),
        _range([size.change for size in row.sizes], percent),
        _range([size.share for size in row.sizes], _ratio),
        f"{statistics.median(row.minutes):.1f} (most {max(row.minutes):.1f})" if row.minutes else DASH,
        trials_text.others(row.others),
    ]


def _injected(sizes: Sequence[Size]) -> str:
    """In the metric's unit, and what that is of the baselines of these trials."""
    if not sizes:
        return DASH
    amounts = _range([size.injected for size in sizes], lambda value: _amount(value, sizes[0].unit))
    return f"{amounts} ({_range([size.injected_change for size in sizes], percent)})"


def _amount(value: float, unit: str) -> str:
    return quantity(value, unit) if unit in ("bytes", "instructions") else f"{value:.3g} {unit}"


def _ratio(share: float) -> str:
    return f"{share * 100:.0f} %"


def _range(values: Sequence[float], written: Callable[[float], str]) -> str:
    """The smallest and the largest; one of them where they are written alike."""
    return " to ".join(dict.fromkeys(map(written, (min(values), max(values))))) if values else DASH
