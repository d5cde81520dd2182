"""What the suite's own test has shown, as a page: injected slowdowns found or missed, and false alarms of A/A runs.

Pure; imports the errors, `comparison`, `comparison_page`, `pairing`, `simulation`, `statistics`, `steps`, `tables`,
`templates` and `wording`.
"""

from __future__ import annotations

import math
import statistics as averages
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.analysis.metrics import COMPARED
from scripts.config.errors import NothingMeasuredError
from scripts.inference import change_points, intervals
from scripts.inference.comparison import LEVEL, effects
from scripts.inference.paired_rounds import BASELINE
from scripts.report.pages import comparison_page, templates
from scripts.report.pages.comparison_page import Judged
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, listed, percent
from scripts.selftest.simulation import Noise

_ALARMS = ("regression", "improvement")


@dataclass(frozen=True, kw_only=True, slots=True)
class Injected:
    """A variant with a known slowdown beside the release that it was made of."""

    name: str
    what: str
    metric: str  # the one that should show it
    judged: Judged


def render(
    found: Sequence[Injected], nulls: Sequence[Judged], *, noise: Noise | None, round_s: float, simulated: str
) -> bytes:  # fmt: skip
    """The page. `noise`: from `measured_noise`; `round_s`: wall time of a round of a comparison of two."""
    comparisons = [one for one in nulls if one.series.rounds]
    shown = [*(one.judged for one in found), *comparisons]
    if not shown:
        raise NothingMeasuredError(
            "no round of the self-test can be believed", then="repeat this command on a quiet machine"
        )
    judged = [effect for one in comparisons for effect in one.effects]
    return templates.render(
        "self_test.md.j2",
        release=shown[0].series.label(BASELINE),
        about=comparison_page.about(shown[0].series),
        detection=_detection(found, round_s),
        nulls=len(comparisons),
        verdicts=len(judged),
        alarms=sum(effect.verdict in _ALARMS for effect in judged),
        false_alarms=_false_alarms(comparisons),
        noise=noise,
        simulated=simulated,
    )


def measured_noise(nulls: Sequence[Judged]) -> Noise | None:
    """How CPU time per request moved between the two runs of a round that were the same, from all A/A rounds.

    Standard deviations of a run, from differences of pairs, so that what a round has in common is in none of them.
    """
    metric = next(metric for metric in COMPARED if metric.name == "cpu_per_request_ms")
    told = [found for one in nulls if (found := change_points.told(one.series, metric)) is not None]
    pairs = [(one.values, one.controls) for one in told if one.controls is not None]
    if not pairs:
        return None
    freedom = sum(len(values) - 1 for values, _ in pairs)
    controls = np.concatenate([intervals.centred(controls[:, 1] - controls[:, 0]) for _, controls in pairs])
    differences = np.concatenate([intervals.centred(values[:, 1] - values[:, 0]) for values, _ in pairs])
    slope = float(intervals.slopes(differences, controls))
    left = float(((differences - slope * controls) ** 2).sum())
    return Noise(
        name="CPU per request, A/A noise",
        slope=slope,
        residual=math.sqrt(left / max(1, freedom - 1) / 2),
        control=math.sqrt(float((controls**2).sum()) / freedom / 2),
    )


def _detection(found: Sequence[Injected], round_s: float) -> str:
    """A row for every variant: whether it was caught, after how many rounds, and what else was called changed."""
    rows = []
    for one in found:
        effect = next(effect for effect in one.judged.effects if effect.metric.name == one.metric)
        first = _first_caught(one)
        others = [
            f"{other.metric.words} {comparison_page.change(other)}"
            for other in one.judged.effects
            if other.verdict in _ALARMS and other is not effect
        ]
        rows.append([
            one.name,
            one.what,
            effect.metric.words,
            comparison_page.change(effect) or DASH,
            comparison_page.ends(effect),
            "caught" if effect.verdict == "regression" else f"**missed** ({effect.verdict})",
            str(first) if first else DASH,
            f"{first * round_s / 60:.1f} min" if first else DASH,
            listed(others) or "nothing",
        ])  # fmt: skip
    headers = (
        "Variant", "Injected", "Metric", "Change", "95 % interval", "Verdict", "Rounds", "Time", "Also changed",
    )  # fmt: skip
    return markdown.markdown(headers, rows, labels=3)


def _first_caught(one: Injected) -> int | None:
    """After how many rounds it was called a regression, and stayed one."""
    series = one.judged.series
    least = {one.metric: next(e.threshold for e in one.judged.effects if e.metric.name == one.metric)}
    caught: int | None = None
    for number in range(intervals.least_rounds(LEVEL), len(series.rounds) + 1):
        shortened = series.first(number)
        effect = next(e for e in effects(shortened, one.judged.arm, {}, least=least) if e.metric.name == one.metric)
        caught = (caught or number) if effect.verdict == "regression" else None
    return caught


def _false_alarms(nulls: Sequence[Judged]) -> str:
    """A row for every metric: how often A/A comparisons called it changed, and how far they went."""
    rows = []
    for metric in COMPARED:
        found = [effect for one in nulls for effect in one.effects if effect.metric.name == metric.name]
        shown = [effect.interval for effect in found if effect.interval]
        rows.append([
            metric.words,
            str(len(found)),
            str(sum(effect.verdict in _ALARMS for effect in found)),
            str(sum(effect.verdict == "inconclusive" for effect in found)),
            percent(max((one.estimate for one in shown), key=abs)) if shown else DASH,
            percent(averages.median((one.high - one.low) / 2 for one in shown)).lstrip("+") if shown else DASH,
            f"{(metric.least or 0) * 100:.0f} %",
        ])  # fmt: skip
    headers = (
        "Metric", "Comparisons", "False alarms", "Inconclusive", "Largest change", "Median half width", "Counts from",
    )  # fmt: skip
    return markdown.markdown(headers, rows)
