"""Trials of a gate on candidates of which the truth is known."""

from __future__ import annotations

import dataclasses
import math

import pytest

from scripts.analysis.metrics import METRICS
from scripts.inference import gate_defaults, paired_rounds
from scripts.inference.gate_decision import Case, Decision
from scripts.inference.power import RoundNoise
from scripts.report.pages import gate_trials_page
from scripts.report.pages.gate_trials_page import Row, Size
from scripts.report.tables.formatting import Markdown
from scripts.selftest import gate_trials
from scripts.selftest.gate_trials import CANDIDATES, Trial
from scripts.selftest.slowdowns import UNCHANGED
from tests.analysis.test_counted_work import counts, record
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

BY_NAME = {one.name: one for one in CANDIDATES}


def case(metric: str, decision: Decision) -> Case:
    """A case with this decision."""
    return Case(
        where="fastapi example", metric=next(one for one in METRICS if one.name == metric), decision=decision,
        baseline=1.0, candidate=1.0, change=0.0, worse_end=0.0, error=0.05, allowed=0.01, visible=None,
        rounds_needed=None, rounds=6, left_out=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("candidate", "decisions", "result"),
    [
        (UNCHANGED, {"cpu_per_request_ms": "pass"}, "passed"),
        (UNCHANGED, {"cpu_per_request_ms": "regression"}, "false alarm"),
        (UNCHANGED, {"cpu_per_request_ms": "undecided"}, "undecided"),
        ("wait-3", {"overhead_p50_ms": "regression", "cpu_per_request_ms": "undecided"}, "caught"),
        ("wait-3", {"overhead_p50_ms": "pass", "ready_s": "regression"}, "false alarm"),
        ("wait-3", {"overhead_p50_ms": "pass"}, "missed"),
        ("cpu-2", {"instructions_per_request": "regression", "cpu_per_request_ms": "pass"}, "caught"),
        ("work-0.5", {"instructions_per_request": "pass"}, "missed"),
    ],
)
def test_result_of_a_trial(candidate: str, decisions: dict[str, Decision], result: str) -> None:
    """A slowdown is caught where a metric that should show it fails; an unchanged candidate has to pass."""
    cases = tuple(case(*one) for one in decisions.items())
    assert Trial(candidate=BY_NAME[candidate], cases=cases, minutes=1.0).result == result


def test_every_slowdown_shows_in_a_metric_that_a_gate_judges() -> None:
    """Else its trials could only be missed."""
    judged = {*gate_defaults.limits(), gate_defaults.COUNTED.metric}
    assert all(set(one.metrics) <= judged for one in CANDIDATES)
    assert all(one.metrics for one in CANDIDATES if one.name != UNCHANGED)


@pytest.mark.parametrize(
    ("candidate", "injected"),
    [("cpu-2", 0.08 * 10.5 / 4.4), ("wait-3", 3.0), ("memory-20", 40e6), ("first-100", 100.0), (UNCHANGED, None)],
)
def test_what_was_injected(candidate: str, injected: float | None) -> None:
    """CPU time follows the reference loops of the trial's own runs, and memory the number of workers."""
    (timed,) = paired_rounds.pair(campaign(("1.12.0", "1.12.0+abc"), 3))  # two workers, loops of 10 and 11 ms
    assert gate_trials.injected(BY_NAME[candidate].slowdown, [timed]) == (
        None if injected is None else pytest.approx(injected)
    )


def test_instructions_are_injected_without_rounds() -> None:
    """A trial on counts alone has no rounds, and its slowdown is a share of a request's instructions."""
    assert gate_trials.injected(BY_NAME["work-1"].slowdown, []) == pytest.approx(103_300)


def test_minutes_are_those_of_the_records() -> None:
    """Counts share the cores, and a pause between two sittings is not counted."""
    runs = campaign(("1.12.0", "1.12.0+abc"), 3)
    for number, run in enumerate(runs):
        started = f"2026-11-01T00:0{number // 2}:00+00:00" if number < 4 else "2026-11-02T00:00:00+00:00"
        runs[number] = dataclasses.replace(run, record=dataclasses.replace(run.record, started_at=started))
    (timed,) = paired_rounds.pair(runs)
    assert gate_trials.minutes([], [timed], cores=2, round_s=40.0) == pytest.approx((60 + 80 + 40) / 60)


def test_minutes_of_counts() -> None:
    """The phases of each process, on so many cores."""
    run = synthetic_runs.run(dataclasses.replace(record(counts([1000.0] * 10)), phases_s={"boot": 20.0, "count": 40.0}))
    assert gate_trials.counted_s([run, run], cores=2) == 60.0


def size(seen: float) -> Size:
    """3 ms were injected into 10 ms of overhead, and this ratio was seen."""
    return Size(injected=3.0, baseline=10.0, change=math.log1p(seen), unit="ms")


def test_page() -> None:
    """It opens with what was caught and passed, and names what is not made yet."""
    rows = [
        Row(
            name="wait-3", what="a wait of 3 ms", judged_by="gate", wanted=5, results=("caught", "undecided"),
            others=("ready", "memory end", "ready"), sizes=(size(0.26), size(0.33)), minutes=(4.0, 6.0),
        ),
        Row(
            name=UNCHANGED, what="nothing", judged_by="gate", wanted=2, results=("passed", "passed"), others=(),
            sizes=(), minutes=(5.0, 5.5),
        ),
    ]  # fmt: skip
    page = gate_trials_page.render(
        rows, release="1.18.5", scenario="fastapi static_async", about="Measured.", resampled=Markdown("Resampled."),
        simulated=Markdown("Simulated."), noise={"ready_s": RoundNoise(deviation=0.0634, freedom=100)},
    ).decode()  # fmt: skip
    assert "- **Worse candidates: 1 of 2 caught.**" in page
    assert "- **Unchanged candidates: 2 of 2 passed, 0 false alarms.**" in page
    assert "Not all trials are made yet: `wait-3` (2 of 5)." in page
    assert "| 3 ms (+30.0 %) |" in page
    assert "| +26.0 % to +33.0 % |" in page
    assert "- Seen of the injected change: `wait-3` 98 % (2 trials, from 87 % to 110 %)." in page
    assert "5.0 (most 6.0)" in page
    assert "ready 2 times and memory end once" in page
    assert "| ready " in page
    assert " 6.3 % |" in page
    assert "## By resampling\n\nResampled.\n" in page
