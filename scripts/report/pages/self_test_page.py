"""What the suite's own test has shown, as a page: injected slowdowns found or missed, and false alarms of A/A runs."""

from __future__ import annotations

import statistics as averages
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import COMPARED
from scripts.config.errors import NothingMeasuredError
from scripts.inference import comparison
from scripts.inference.comparison import ArmComparison
from scripts.inference.noise import Noise
from scripts.inference.paired_rounds import BASELINE
from scripts.report.pages import comparison_page, templates
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import DASH, listed, percent

_POSITIVES = ("regression", "improvement")


@dataclass(frozen=True, kw_only=True, slots=True)
class Injected:
    """A variant with a known slowdown beside the release that it was made of."""

    name: str
    what: str
    metric: str  # the one that should show it
    judged: ArmComparison


def render(
    found: Sequence[Injected], aa_comparisons: Sequence[ArmComparison], *, noise: Noise | None, round_s: float,
    simulated: str,
) -> bytes:  # fmt: skip
    """The page. `noise`: from `measured_noise`; `round_s`: wall time of a round of a comparison of two."""
    comparisons = [one for one in aa_comparisons if one.paired.rounds]
    shown = [*(one.judged for one in found), *comparisons]
    if not shown:
        raise NothingMeasuredError(
            "no round of the self-test can be believed", then="repeat this command on a quiet machine"
        )
    judged = [effect for one in comparisons for effect in one.effects]
    return templates.render(
        "self_test.md.j2",
        release=shown[0].paired.label(BASELINE),
        about=comparison_page.about(shown[0].paired),
        detection=_detection(found, round_s),
        aa_comparisons=len(comparisons),
        verdicts=len(judged),
        positives=sum(effect.verdict in _POSITIVES for effect in judged),
        false_positives=_false_positives(comparisons),
        noise=noise,
        simulated=simulated,
    )


def _detection(found: Sequence[Injected], round_s: float) -> str:
    """A row for every variant: whether it was caught, after how many rounds, and what else was called changed."""
    rows = []
    for one in found:
        effect = next(effect for effect in one.judged.effects if effect.metric.name == one.metric)
        first = comparison.rounds_until_regression(one.judged, one.metric)
        others = [
            f"{other.metric.words} {effect_text.change(other)}"
            for other in one.judged.effects
            if other.verdict in _POSITIVES and other is not effect
        ]
        rows.append([
            one.name,
            one.what,
            effect.metric.words,
            effect_text.change(effect) or DASH,
            effect_text.ends(effect),
            "caught" if effect.verdict == "regression" else f"**missed** ({effect.verdict})",
            str(first) if first else DASH,
            f"{first * round_s / 60:.1f} min" if first else DASH,
            listed(others) or "nothing",
        ])  # fmt: skip
    headers = (
        "Variant", "Injected", "Metric", "Change", "95 % interval", "Verdict", "Rounds", "Time", "Also changed",
    )  # fmt: skip
    return markdown.markdown(headers, rows, labels=3)


def _false_positives(aa_comparisons: Sequence[ArmComparison]) -> str:
    """A row for every metric: how often A/A comparisons called it changed, and how far they went."""
    rows = []
    for metric in COMPARED:
        found = [effect for one in aa_comparisons for effect in one.effects if effect.metric.name == metric.name]
        shown = [effect.interval for effect in found if effect.interval]
        rows.append([
            metric.words,
            str(len(found)),
            str(sum(effect.verdict in _POSITIVES for effect in found)),
            str(sum(effect.verdict == "inconclusive" for effect in found)),
            percent(max((one.estimate for one in shown), key=abs)) if shown else DASH,
            percent(averages.median((one.high - one.low) / 2 for one in shown)).lstrip("+") if shown else DASH,
            f"{(metric.minimum_effect or 0) * 100:.0f} %",
        ])  # fmt: skip
    headers = (
        "Metric", "Comparisons", "False alarms", "Inconclusive", "Largest change", "Median half width", "Counts from",
    )  # fmt: skip
    return markdown.markdown(headers, rows)
