"""What a gate decides."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from scripts.analysis.metrics import COMPARED
from scripts.config.errors import UsageError
from scripts.inference import comparison, gate_decision, paired_rounds
from scripts.inference.gate_decision import Case
from scripts.report.pages import junit
from scripts.report.tables import effect_text
from tests.fakes.synthetic_runs import campaign

CPU = "cpu_per_request_ms"
FIGURES: dict[str, tuple[list[float | None], list[float | None]]] = {
    CPU: ([5.0] * 6, [5.3, 5.31, 5.29, 5.3, 5.3, 5.3]),
    "overhead_p99_ms": ([100.0] * 6, [70.0, 150.0, 80.0, 140.0, 90.0, 130.0]),
    "ready_s": ([1.5] * 6, [1.2] * 6),
    "steady_throughput_rps": ([100.0] * 6, [65.0] * 6),
}


def cases(wanted: dict[str, float]) -> list[Case]:
    """What the gate makes of these figures."""
    found = paired_rounds.pair(campaign(("1.12.0", "1.18.5"), 6, FIGURES))
    return gate_decision.decide(comparison.judge(found, {}, minimum_effect=wanted), wanted)


def decisions(wanted: dict[str, float]) -> dict[str, str]:
    """By metric."""
    return {case.effect.metric.name: case.decision for case in cases(wanted)}


@pytest.mark.parametrize(
    ("text", "name", "ratio"),
    [
        ("cpu_per_request=+3%", CPU, 1.03),
        ("cpu_per_request_ms=3%", CPU, 1.03),
        ("memory_end=+0.5%", "memory_end_bytes", 1.005),
        ("ready=150%", "ready_s", 2.5),
        ("steady_throughput=-50%", "steady_throughput_rps", 1 / 0.5),
        ("steady_throughput_rps=2.5%", "steady_throughput_rps", 1 / 0.975),
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


def test_without_thresholds_every_compared_metric_decides() -> None:
    """Worse is a regression, better passes, open is undecided, and what is missing is no pass."""
    found = decisions({})
    assert set(found) == {metric.name for metric in COMPARED}
    assert found | {CPU: "-"} == {
        "steady_throughput_rps": "regression", "response_time_p50_ms": "pass",
        "overhead_p50_ms": "pass", "overhead_p99_ms": "undecided", "backend_call_p50_ms": "pass", CPU: "-",
        "memory_start_bytes": "pass", "memory_end_bytes": "pass", "ready_s": "pass", "first_answer_ms": "no data",
    }  # fmt: skip
    assert found[CPU] == "regression"


def test_with_thresholds_only_what_is_named_decides() -> None:
    """By the worsening that may pass: 6 % more CPU time may be borne, 35 % less throughput, too, or not."""
    assert decisions(gate_decision.thresholds(["cpu_per_request=+8%"])) == {CPU: "pass"}
    assert decisions(gate_decision.thresholds(["cpu_per_request=+3%"])) == {CPU: "regression"}
    for percent, decision in ((50, "pass"), (30, "regression")):
        wanted = gate_decision.thresholds([f"steady_throughput=-{percent}%"])
        assert decisions(wanted) == {"steady_throughput_rps": decision}


def test_reasons_say_size_verdict_and_threshold() -> None:
    """As the table does, with the rounds that an open one needs."""
    reasons = {case.effect.metric.name: effect_text.reason(case.effect) for case in cases({})}
    assert reasons[CPU] == "+6.0 %, regression, threshold 2.0 %"
    assert reasons["overhead_p99_ms"] == "+5.5 %, inconclusive: about 227 rounds needed, threshold 10.0 %"
    assert reasons["first_answer_ms"] == "no data, threshold 20.0 %"
    (throughput,) = cases(gate_decision.thresholds(["steady_throughput=-30%"]))
    assert effect_text.reason(throughput.effect) == "-35.0 %, regression, threshold 30.0 %"


def test_junit() -> None:
    """A failure is a regression, an error is no data or undecided, and the counts say how many."""
    root = ET.fromstring(junit.render(cases({}), 61.25))  # noqa: S314
    (suite,) = root
    assert (root.tag, suite.attrib) == (
        "testsuites",
        {"name": "promptflow-serve-bench gate", "tests": "10", "failures": "2", "errors": "2", "time": "61.2"},
    )
    names = [(case.attrib["classname"], case.attrib["name"]) for case in suite]
    assert names == [("fastapi static_async: 1.18.5 against 1.12.0", metric.name) for metric in COMPARED]
    assert {case.attrib["name"]: (part.tag, part.attrib["type"]) for case in suite for part in case} == {
        "steady_throughput_rps": ("failure", "regression"),
        CPU: ("failure", "regression"),
        "overhead_p99_ms": ("error", "undecided"),
        "first_answer_ms": ("error", "no data"),
    }
    _throughput, failure = suite.iter("failure")
    assert failure.attrib["message"] == "+6.0 %, regression, threshold 2.0 %"


def test_junit_of_nothing_counts_nothing() -> None:
    """It is well-formed, and has no case that could be taken for a pass."""
    (suite,) = ET.fromstring(junit.render([], 0))  # noqa: S314
    assert (suite.attrib["tests"], len(suite)) == ("0", 0)


def test_junit_is_the_same_for_the_same_cases() -> None:
    """Byte for byte."""
    assert junit.render(cases({}), 1) == junit.render(cases({}), 1)
