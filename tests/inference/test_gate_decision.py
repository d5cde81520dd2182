"""What a gate decides."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from scripts.config.errors import UsageError
from scripts.inference import comparison, gate_decision, gate_defaults, paired_rounds
from scripts.inference.comparison import ArmComparison
from scripts.inference.gate_decision import Case
from scripts.report.pages import gate_page, junit
from scripts.report.tables import gate_text
from tests.fakes.synthetic_runs import campaign

CPU = "cpu_per_request_ms"
FIGURES: dict[str, tuple[list[float | None], list[float | None]]] = {
    CPU: ([5.0] * 6, [5.3, 5.31, 5.29, 5.3, 5.3, 5.3]),
    "overhead_p50_ms": ([10.0] * 6, [10.2, 10.1, 10.3, 10.2, 10.25, 10.15]),
    "overhead_p99_ms": ([100.0] * 6, [70.0, 150.0, 80.0, 140.0, 90.0, 130.0]),
    "ready_s": ([1.5] * 6, [1.2] * 6),
    "steady_throughput_rps": ([100.0] * 6, [65.0] * 6),
}


def compared(wanted: dict[str, float]) -> ArmComparison:
    """The comparison of these figures."""
    found = paired_rounds.pair(campaign(("1.12.0", "1.18.5"), 6, FIGURES))
    (one,) = comparison.judge(found, {}, minimum_effect={n: w for n, w in wanted.items() if n != "failure_ratio"})
    return one


def cases(wanted: dict[str, float]) -> list[Case]:
    """What the gate makes of these figures."""
    return gate_decision.decide(compared(wanted), wanted, 0.05)


def decisions(wanted: dict[str, float]) -> dict[str, str]:
    """By metric that is judged."""
    return {case.metric.name: case.decision for case in cases(wanted) if case.decision != "not judged"}


def case(name: str, *texts: str) -> Case:
    """The case of one metric, with these thresholds."""
    return next(one for one in cases(gate_decision.thresholds(texts)) if one.metric.name == name)


@pytest.mark.parametrize(
    ("text", "name", "ratio"),
    [
        ("cpu_per_request=+3%", CPU, 1.03),
        ("cpu_per_request_ms=3%", CPU, 1.03),
        ("memory_end=+0.5%", "memory_end_bytes", 1.005),
        ("ready=150%", "ready_s", 2.5),
        ("steady_throughput=-50%", "steady_throughput_rps", 1 / 0.5),
        ("steady_throughput_rps=2.5%", "steady_throughput_rps", 1 / 0.975),
        ("failure_ratio=+0.5%", "failure_ratio", math.exp(0.005)),
    ],
)
def test_threshold_is_the_worsening_that_is_written(text: str, name: str, ratio: float) -> None:
    """A metric by its name with or without its unit; half the throughput is a ratio of two the other way round."""
    assert gate_decision.thresholds([text]) == {name: pytest.approx(math.log(ratio))}


@pytest.mark.parametrize(
    ("texts", "message", "then"),
    [
        (["cpu_per_request"], "not METRIC=", "for example, --max cpu_per_request="),
        (["cpu_per_request=+3"], "not METRIC=", "for example"),
        (["cpu_per_request=3ms"], "not METRIC=", "for example"),
        (["cpu_per_reqest=+3%"], "did you mean 'cpu_per_request'", "glossary"),
        (["ceiling_use=+3%"], "no metric 'ceiling_use' that can be better or worse", "glossary"),
        (["cpu_per_request=-3%"], "lower is better, so the sign must be +", "--max cpu_per_request=+3%"),
        (["throughput=+3%"], "higher is better, so the sign must be -", "--max throughput=-3%"),
        (["cpu_per_request=3%", "cpu_per_request_ms=4%"], "given twice", "repeat this command with one"),
        (["cpu_per_request=+0%"], "nothing would pass", "worsening that can be borne"),
        (["failure_ratio=100%"], "everything would pass", "--max failure_ratio=+0.2%"),
        (["throughput=-100%"], "cannot fall by 100 % or more", "N below 100"),
    ],
)
def test_wrong_thresholds_are_refused(texts: list[str], message: str, then: str) -> None:
    """The message repeats what was typed, and says what to type instead."""
    with pytest.raises(UsageError) as caught:
        gate_decision.thresholds(texts)
    assert message in caught.value.message
    assert texts[-1].partition("=")[0].removesuffix("_ms") in caught.value.message
    assert then in caught.value.then


def test_defaults_decide() -> None:
    """Worse is a regression, better passes, noise is undecided, and what is missing is no pass."""
    assert decisions(gate_defaults.limits()) == {
        CPU: "regression", "overhead_p50_ms": "pass", "overhead_p99_ms": "undecided", "memory_start_bytes": "pass",
        "memory_end_bytes": "pass", "ready_s": "pass", "first_answer_ms": "no data", "failure_ratio": "pass",
    }  # fmt: skip


def test_what_is_shown_and_not_judged_has_its_change() -> None:
    """Throughput follows from the load: the table has it, and nothing hangs on it."""
    shown = next(one for one in cases(gate_defaults.limits()) if one.metric.name == "steady_throughput_rps")
    assert (shown.decision, shown.allowed) == ("not judged", None)
    assert shown.change == pytest.approx(math.log(0.65))


def test_with_thresholds_only_what_is_named_decides() -> None:
    """By the worsening that may pass: 6 % more CPU time may be borne, 35 % less throughput, too, or not."""
    assert decisions(gate_decision.thresholds(["cpu_per_request=+8%"])) == {CPU: "pass"}
    assert decisions(gate_decision.thresholds(["cpu_per_request=+3%"])) == {CPU: "regression"}
    for percent, decision in ((50, "pass"), (30, "regression")):
        wanted = gate_decision.thresholds([f"steady_throughput=-{percent}%"])
        assert decisions(wanted) == {"steady_throughput_rps": decision}


def test_certainly_faster_passes_however_large_the_noise() -> None:
    """Only the worse end counts: 30 % less, give or take 20 %, is not worse."""
    rounds = [70.0, 50.0, 90.0, 60.0, 85.0, 70.0]
    runs = campaign(("1.12.0", "1.18.5"), 6, {"overhead_p99_ms": ([100.0] * 6, rounds)})
    (one,) = comparison.judge(paired_rounds.pair(runs), {})
    found = gate_decision.decide(one, {"overhead_p99_ms": math.log1p(0.05)}, 0.05)
    assert [each.decision for each in found if each.metric.name == "overhead_p99_ms"] == ["pass"]


def test_bound_is_one_sided_and_stricter_at_smaller_errors() -> None:
    """Student's t at the error itself; a look that may err less has a wider bound."""
    one = compared({})
    ends = [
        next(each.worse_end or 0.0 for each in gate_decision.decide(one, {}, error) if each.metric.name == CPU)
        for error in (0.05, 0.001)
    ]
    interval = next(effect.interval for effect in one.effects if effect.metric.name == CPU)
    assert interval is not None
    assert ends[0] == pytest.approx(interval.estimate + 2.015 * interval.error, rel=1e-3)  # t of 5 degrees at 0.95
    assert ends[1] > ends[0]


def test_undecided_says_how_many_rounds_would_do() -> None:
    """More than there are."""
    found = case("overhead_p99_ms", "overhead_p99=+20%")
    assert found.decision == "undecided"
    assert found.rounds_needed is not None
    assert found.rounds_needed > 6
    assert found.visible is not None
    assert found.visible > math.log1p(0.20)


def test_texts_name_change_allowed_and_unit() -> None:
    """What is allowed stands in percent and in the metric's own unit, with the sign that is worse."""
    assert gate_text.reason(case(CPU, "cpu_per_request=+3%")) == "CPU per request +6.0 %, allowed +3.0 % (+0.15 ms)"
    throughput = case("steady_throughput_rps", "steady_throughput=-30%")
    assert gate_text.reason(throughput) == "steady throughput -35.0 %, allowed -30.0 % (-30 rps)"
    assert "+0.20 points" in gate_text.allowed(case("failure_ratio", "failure_ratio=+0.2%"))


@pytest.mark.parametrize(
    ("thresholds", "line"),
    [
        (["cpu_per_request=+8%", "ready=+10%"], "PASS: none of 2 metrics is worse than allowed"),
        (["cpu_per_request=+3%", "ready=+10%"], "FAIL: WHERE: CPU per request +6.0 %, allowed +3.0 %"),
        (["cpu_per_request=+3%", "overhead_p99=+5%"], "FAIL: WHERE: CPU per request"),
        (["overhead_p99=+20%"], "UNDECIDED: WHERE: overhead p99 +5.5 % could be +"),
        (["first_answer=+20%"], "UNDECIDED: WHERE: first answer: a run lacks the metric (6 of 6 rounds)"),
    ],
)
def test_last_line(thresholds: list[str], line: str) -> None:
    """One word and one sentence; a regression decides, whatever else is open."""
    assert gate_page.outcome(cases(gate_decision.thresholds(thresholds))).line.startswith(
        line.replace("WHERE", "fastapi static_async: 1.18.5 against 1.12.0")
    )


def test_nothing_judged_is_no_pass() -> None:
    """Neither without a case nor where no case is judged."""
    assert gate_page.outcome([]).line == gate_page.outcome(cases({})).line == "UNDECIDED: nothing was judged."


def test_junit() -> None:
    """A failure is a regression, an error is no data or undecided, and what is not judged has no case."""
    limits = gate_defaults.limits() | gate_decision.thresholds(["cpu_per_request=+3%", "overhead_p99=+20%"])
    root = ET.fromstring(junit.render(cases(limits), 61.25))  # noqa: S314
    (suite,) = root
    assert (root.tag, suite.attrib) == (
        "testsuites",
        {"name": "promptflow-serve-bench gate", "tests": "8", "failures": "1", "errors": "2", "time": "61.2"},
    )
    assert {one.attrib["classname"] for one in suite} == {"fastapi static_async: 1.18.5 against 1.12.0"}
    assert {one.attrib["name"]: (part.tag, part.attrib["type"]) for one in suite for part in one} == {
        CPU: ("failure", "regression"),
        "overhead_p99_ms": ("error", "undecided"),
        "first_answer_ms": ("error", "no data"),
    }
    (failure,) = suite.iter("failure")
    assert failure.attrib["message"] == "CPU per request +6.0 %, allowed +3.0 % (+0.15 ms)"


def test_junit_without_a_verdict_is_an_error() -> None:
    """It is well-formed whatever the message holds, and counts as one error."""
    (suite,) = ET.fromstring(junit.without_verdict("ServerError", "\x1b[31mdied\x00 <here> \ud800"))  # noqa: S314
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("1", "1")
    ((part,),) = suite
    assert (part.tag, part.attrib["message"]) == ("error", "\ufffd[31mdied\ufffd <here> \ufffd")


def test_junit_is_the_same_for_the_same_cases() -> None:
    """Byte for byte."""
    assert junit.render(cases({}), 1) == junit.render(cases({}), 1)
