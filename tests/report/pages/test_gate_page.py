"""A gate as Markdown."""

from __future__ import annotations

import dataclasses
import math

from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run
from scripts.inference import comparison, gate_decision, gate_defaults, paired_rounds
from scripts.inference.gate_power import Prospect
from scripts.inference.power import RoundNoise
from scripts.report.pages import gate_page
from scripts.report.pages.gate_page import Outcome
from tests.fakes.synthetic_runs import campaign

CPU = "cpu_per_request_ms"


def page(runs: list[Run], then: str = "") -> str:
    """The report of these runs by the default thresholds."""
    (one,) = comparison.judge(paired_rounds.pair(runs), {})
    cases = gate_decision.decide(one, gate_defaults.limits(), 0.05)
    return gate_page.render(gate_page.outcome(cases), [(one, cases)], title="a against b", then=then)


def row(text: str, first: str) -> list[str]:
    """The cells of the row that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_verdict_comes_first() -> None:
    """Under the title, before the table, and after it what to type next."""
    figures: dict[str, tuple[list[float | None], list[float | None]]] = {
        CPU: ([5.0] * 6, [6.0] * 6), "first_answer_ms": ([20.0] * 6, [20.0] * 6)
    }  # fmt: skip
    text = page(campaign(("1.12.0", "1.18.5"), 6, figures), then="do this")
    assert text.startswith(
        "# Gate: a against b\n\n**FAIL**: fastapi static_async: 1.18.5 against 1.12.0: CPU per request"
    )
    assert "\n\nNext: do this\n\n## fastapi static_async" in text
    assert row(text, "CPU per request (ms)")[1:] == [
        "5.000", "6.000", "+20.0 %", "+20.0 %", "+4.0 % (+0.2 ms)", "**regression**", "+4.0 %",
    ]  # fmt: skip
    assert row(text, "failure ratio")[-2] == "pass"
    assert row(text, "backend call p50 (ms)")[-2:] == ["not judged", "\u2013"]


def test_rounds_left_out_are_counted_with_their_reason() -> None:
    """In a column of the table, and in a note."""
    first, *others = campaign(("1.12.0", "1.18.5"), 8)
    text = page([dataclasses.replace(first, distrusted=("truncated: 58 requests",)), *others])
    assert row(text, "overhead p99 (ms)")[6] == "7 of 8"
    assert row(text, "CPU per request (ms)")[6] == "8 of 8"
    assert "overhead p99 and backend call p50: 1 of 8 rounds, because a run is truncated (`truncated: 58 r" in text


def test_foreign_text_is_no_markup() -> None:
    """A server's last words may stand in the reason."""
    end = Outcome(word="UNDECIDED", reason="<script> | `x`\n# H1")
    assert gate_page.short(end) == "# Gate\n\n**UNDECIDED**: &lt;script&gt; ¦ 'x' \\# H1\n"


def test_plan_names_the_budget_that_would_do() -> None:
    """Or says that none would, or that nothing is known yet."""
    metric = next(metric for metric in METRICS if metric.name == CPU)
    known = Prospect(
        metric=metric, allowed=math.log1p(0.03), noise=RoundNoise(deviation=0.05), visible=math.log1p(0.09),
        passes=0.3, rounds_needed=40,
    )  # fmt: skip
    text = gate_page.plan("fastapi static_async", 8, 30.0, [known])
    assert "CPU per request: 40 rounds would do, --budget 20m. Give more time, or allow more with --max." in text
    assert row(text, "CPU per request (ms)")[1:] == ["+3.0 %", "5.0 %", "+9.0 %", "30 %"]
    never = dataclasses.replace(known, rounds_needed=None, visible=None)
    assert "no number of rounds would do" in gate_page.plan("fastapi static_async", 8, 30.0, [never])
    unknown = dataclasses.replace(known, noise=None, visible=None, passes=None, rounds_needed=None)
    assert "Not known yet" in gate_page.plan("fastapi static_async", 8, 30.0, [unknown])
