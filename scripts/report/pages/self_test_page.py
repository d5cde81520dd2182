"""The page of the self-test: injected slowdowns caught or missed, and false positives of A/A comparisons."""

from __future__ import annotations

import statistics as averages
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import COMPARED
from scripts.config.errors import NothingMeasuredError
from scripts.inference import comparison
from scripts.inference.comparison import ArmComparison, Effect
from scripts.inference.noise import Noise
from scripts.inference.paired_rounds import BASELINE
from scripts.report.pages import comparison_page, templates
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import DASH, Markdown, code, filled, listed, percent

_POSITIVES = ("regression", "improvement")


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectedSlowdown:
    """A release with a known slowdown, compared with the release itself."""

    name: str
    what: str
    metric: str  # the one that should show it
    judged: ArmComparison

    @property
    def effect(self) -> Effect:
        """On the metric that should show it."""
        return next(effect for effect in self.judged.effects if effect.metric.name == self.metric)

    @property
    def is_caught(self) -> bool:
        """Whether that metric is called a regression."""
        return self.effect.verdict == "regression"


@dataclass(frozen=True, kw_only=True, slots=True)
class GatePower:
    """What a gate on CPU time per request finds, with the noise of the A/A comparisons."""

    noise: Noise
    power: float  # share of cases, 0 to 1
    threshold: float  # a ratio
    detectable: Mapping[int, float]  # smallest true effect that is found so often, a ratio, by number of rounds


def render(
    found: Sequence[InjectedSlowdown], aa_comparisons: Sequence[ArmComparison], *, gate: GatePower | None,
    round_s: float, simulated: Markdown,
) -> bytes:  # fmt: skip
    """The page. `gate`: None without A/A comparisons; `round_s`: wall time of a round of a comparison of two."""
    comparisons = [one for one in aa_comparisons if one.paired.rounds]
    shown = [*(one.judged for one in found), *comparisons]
    if not shown:
        raise NothingMeasuredError(
            "no round of the self-test is valid", then="repeat this command on a quiet machine: nox -s self-test"
        )
    judged = [effect for one in comparisons for effect in one.effects]
    return templates.render(
        "self_test.md.j2",
        release=shown[0].paired.label(BASELINE),
        about=comparison_page.about(shown[0].paired),
        slowdowns=len(found),
        caught=sum(one.is_caught for one in found),
        missed=listed([_missed(one) for one in found if not one.is_caught]),
        detection=_detection(found, round_s),
        aa_comparisons=len(comparisons),
        aa_rounds=listed([str(number) for number in sorted({len(one.paired.rounds) for one in comparisons})]),
        aa_positive=_positive(comparisons),
        verdicts=len(judged),
        positives=sum(effect.verdict in _POSITIVES for effect in judged),
        false_positives=_false_positives(comparisons),
        noise=gate.noise if gate else None,
        power=gate.power if gate else None,
        threshold=_size(gate.threshold) if gate else None,
        detectable=_detectable(gate) if gate else "",
        simulated=simulated,
    )


def answer(found: Sequence[InjectedSlowdown], aa_comparisons: Sequence[ArmComparison]) -> str:
    """How many slowdowns were caught, and how many A/A comparisons called something changed."""
    comparisons = [one for one in aa_comparisons if one.paired.rounds]
    return (
        f"{sum(one.is_caught for one in found)} of {len(found)} slowdowns caught; "
        f"{_positive(comparisons)} of {len(comparisons)} A/A comparisons with a false positive"
    )


def _positive(comparisons: Sequence[ArmComparison]) -> int:
    return sum(any(effect.verdict in _POSITIVES for effect in one.effects) for one in comparisons)


def _missed(one: InjectedSlowdown) -> Markdown:
    shown = f"{one.effect.metric.words} {effect_text.change(one.effect)}".strip()
    return filled("{} ({}, {})", code(one.name), shown, one.effect.verdict)


def _detectable(gate: GatePower) -> Markdown:
    return listed([f"{_size(effect)} with {rounds} rounds" for rounds, effect in gate.detectable.items()])


def _size(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"


def _detection(found: Sequence[InjectedSlowdown], round_s: float) -> str:
    """A row for every slowdown: whether it was caught, after how many rounds, and what else was called changed."""
    rows = []
    for one in found:
        effect = one.effect
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
            "caught" if one.is_caught else filled("**missed** ({})", effect.verdict),
            str(first) if first else DASH,
            f"{first * round_s / 60:.1f} min" if first else DASH,
            listed(others) or "nothing",
        ])  # fmt: skip
    headers = (
        "Slowdown", "Injected", "Metric", "Change", "95 % interval", "Verdict", "Rounds", "Time", "Also changed",
    )  # fmt: skip
    return markdown.markdown(headers, rows, labels=3)


def _false_positives(aa_comparisons: Sequence[ArmComparison]) -> str:
    """A row for every metric: how often A/A comparisons called it changed, and their largest change."""
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
        "Metric", "Comparisons", "False positives", "Inconclusive", "Largest change", "Median half width", "Threshold",
    )  # fmt: skip
    return markdown.markdown(headers, rows)
