"""The page of the self-test."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scripts.analysis.run_reader import Run
from scripts.config.errors import NothingMeasuredError
from scripts.inference import comparison, noise, paired_rounds
from scripts.inference.comparison import COVARIATE, ArmComparison
from scripts.inference.noise import Noise
from scripts.report.pages import self_test_page
from scripts.report.pages.self_test_page import GatePower, InjectedSlowdown
from scripts.report.tables.formatting import Markdown
from tests.fakes.synthetic_runs import campaign, spoilt

CPU, MEMORY = "cpu_per_request_ms", "memory_end_bytes"
SLOWED = "1.12.0+1a2b3c4d"


def judged(runs: list[Run], floors: dict[tuple[str, str, str, str], float] | None = None) -> ArmComparison:
    """The one comparison that these runs are."""
    (found,) = comparison.judge(paired_rounds.pair(runs), floors or {})
    return found


def injected(ratios: list[float], name: str = "slow") -> InjectedSlowdown:
    """A slowdown by which CPU time is so many times the release's."""
    figures: dict[str, tuple[list[float | None], list[float | None]]] = {
        CPU: ([5.0] * len(ratios), [5.0 * ratio for ratio in ratios])
    }
    runs = campaign(("1.12.0", SLOWED), len(ratios), figures)
    return InjectedSlowdown(name=name, what="burns CPU", metric=CPU, judged=judged(runs))


def is_aa(ratio: float = 1.0) -> ArmComparison:
    """An A/A comparison that found this in memory."""
    return judged(campaign(("1.12.0", "1.12.0"), 4, {MEMORY: ([1e8] * 4, [1e8 * ratio] * 4)}, name="aa", first=50))


def page(found: list[InjectedSlowdown], aa_comparisons: list[ArmComparison]) -> str:
    """The page, of rounds that take half a minute."""
    return self_test_page.render(
        found, aa_comparisons, gate=None, round_s=30.0, simulated=Markdown("SIMULATED")
    ).decode()


def row(text: str, first: str) -> list[str]:
    """The cells of the row that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_caught_slowdown_says_after_how_many_rounds_and_minutes() -> None:
    """From the first number of rounds on from which it stayed a regression."""
    early, late = injected([1.05] * 6), injected([1.2, 0.9, 1.0, 1.1, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05])
    assert row(page([early], []), "slow")[2:8] == [
        "CPU per request", "+5.0 %", "+5.0 % to +5.0 %", "caught", "4", "2.0 min",
    ]  # fmt: skip
    rounds = int(row(page([late], []), "slow")[6])
    assert 4 < rounds <= 12


def test_a_missed_slowdown_has_no_time() -> None:
    """The verdict stands instead of "caught"."""
    assert row(page([injected([1.001] * 4)], []), "slow")[5:8] == ["**missed** (within threshold)", "\u2013", "\u2013"]


def test_rounds_are_counted_by_the_threshold_of_the_verdict() -> None:
    """A slowdown that the noise floor swallows is not caught early either."""
    one = injected([1.05] * 6)
    swallowed = [
        dataclasses.replace(effect, threshold=0.1, verdict="within threshold") if effect.metric.name == CPU else effect
        for effect in one.judged.effects
    ]
    missed = dataclasses.replace(one, judged=dataclasses.replace(one.judged, effects=tuple(swallowed)))
    assert row(page([missed], []), "slow")[5:7] == ["**missed** (within threshold)", "\u2013"]


def test_what_else_was_called_changed_is_named() -> None:
    """Beside the metric that should show it."""
    figures: dict[str, tuple[list[float | None], list[float | None]]] = {
        CPU: ([5.0] * 4, [6.0] * 4), MEMORY: ([1e8] * 4, [1.1e8] * 4)
    }  # fmt: skip
    one = dataclasses.replace(injected([1.2] * 4), judged=judged(campaign(("1.12.0", SLOWED), 4, figures)))
    assert row(page([one], []), "slow")[8] == "memory end +10.0 %"
    assert row(page([injected([1.2] * 4)], []), "slow")[8] == "nothing"


def test_false_positives_are_counted_by_metric() -> None:
    """Each A/A verdict that is a regression or an improvement is one; sizes and widths are shown."""
    text = page([], [is_aa(), is_aa(0.9), is_aa(1.05)])
    assert "**False positives: 2 of 30 verdicts**, in 2 of 3 comparisons of promptflow 1.12.0 with itself." in text
    assert row(text, "memory end") == ["memory end", "3", "2", "0", "-10.0 %", "0.0 %", "2 %"]
    assert row(text, "memory start")[1:4] == ["3", "0", "0"]


def test_a_metric_without_a_figure_has_dashes() -> None:
    """A metric that no A/A run has."""
    assert row(page([], [is_aa()]), "first answer")[1:] == ["1", "0", "0", "\u2013", "\u2013", "20 %"]


def test_answer_comes_first() -> None:
    """What was caught, what was missed and how, before any table."""
    text = page([injected([1.2] * 4), injected([1.001] * 4, name="slight")], [is_aa()])
    answer = text[: text.index("## ")]
    assert "**Slowdowns: 1 of 2 caught.** Missed: `slight` (CPU per request +0.1 %, within threshold)." in answer
    assert "**False positives: 0 of 10 verdicts**" in answer


def test_nothing_missed() -> None:
    """Where all slowdowns are caught, the page says so."""
    assert "**Slowdowns: 1 of 1 caught.** None was missed." in page([injected([1.2] * 4)], [])


def test_what_a_gate_finds() -> None:
    """The smallest slowdown by number of rounds, with the noise that it was drawn with."""
    gate = GatePower(
        noise=Noise(name="A/A", slope=0.48, residual=0.025, covariate=0.074),
        power=0.9,
        threshold=0.02,
        detectable={8: 0.055, 20: 0.03},
    )
    text = self_test_page.render([], [is_aa()], gate=gate, round_s=30.0, simulated=Markdown("")).decode()
    assert (
        "**A gate on CPU per request**, with threshold 2 %, finds a slowdown of this size in 90 % of cases: "
        "5.5 % with 8 rounds and 3 % with 20 rounds."
    ) in text
    assert "CPU time per request varies by 2.5 % from run to run" in text
    assert "varies by 7.4 %, and the slope on it is 0.48" in text


def test_page_says_what_wrote_it() -> None:
    """Its first line names the self-test, not collate, which neither writes nor removes it."""
    text = page([injected([1.2] * 4)], [is_aa()])
    assert text.startswith("<!-- Generated by nox -s self-test from the records: do not edit. -->\n# ")
    assert "nox -s collate" not in text
    assert "\nSIMULATED\n\n## Method\n" in text


def test_nothing_valid_is_an_error() -> None:
    """Never a page without a comparison."""
    runs = campaign(("1.12.0", "1.12.0"), 1)
    (paired,) = paired_rounds.pair([runs[0], spoilt(runs[1])])
    with pytest.raises(NothingMeasuredError):
        page([], [ArmComparison(paired=paired, arm=2, effects=())])


def test_noise_of_pairs() -> None:
    """Noise is that of differences within rounds, without what both runs of a round have in common."""
    rng = np.random.default_rng(3)
    aa_comparisons = []
    for number in range(20):
        common, covariate = rng.normal(0, 0.3, 8), rng.normal(0, 0.05, (2, 8))
        values = common + 0.6 * covariate + rng.normal(0, 0.02, (2, 8))
        figures = {CPU: np.exp(values).tolist(), COVARIATE: np.exp(covariate).tolist()}
        aa_comparisons.append(judged(campaign(("1.12.0",) * 2, 8, figures, name=f"aa{number}", first=10 * number + 1)))
    measured = noise.measured_noise(aa_comparisons)
    assert measured is not None
    assert measured.residual == pytest.approx(0.02, rel=0.2)
    assert measured.covariate == pytest.approx(0.05, rel=0.2)
    assert noise.measured_noise([]) is None
