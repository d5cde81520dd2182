"""Whether a run meets the objective, and the tables of a search."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity
from scripts.inference.capacity_search import CapacityResult, Limit, ObjectiveVerdict, Phase, Trial
from scripts.records.schema import Histograms, RunRecord
from scripts.report.pages import capacity_page
from scripts.report.pages.capacity_page import CapacitySearch, Judgement, Tried
from tests.fakes import synthetic_runs

SETTINGS = Capacity(
    start_users=60,
    growth=1.5,
    precision=0.1,
    max_users=1000,
    confirm_runs=2,
    failure_ratio_max=0.001,
    overhead_p99_max_ms=250.0,
)
OBJECTIVE = "at most 0.1 % of the requests fail, and 99 % of the others exceed the ideal time by at most 250 ms"


def made(failed: int = 0, overhead_ms: float = 100.0, requests: int = 1000, lag_ms: float = 3.0) -> Run:
    """A run of the capacity profile in which all requests had the same overhead."""
    measured = synthetic_runs.measurements(failed=failed, number=requests)
    generator = dataclasses.replace(measured.generator, lag_p99_ms=lag_ms)
    record = synthetic_runs.record(profile="capacity", measured=dataclasses.replace(measured, generator=generator))
    profile = dataclasses.replace(record.requested.profile, warm_up_s=0)  # steady for 50 s
    record = dataclasses.replace(record, requested=dataclasses.replace(record.requested, profile=profile))
    overhead = synthetic_runs.counts([round(overhead_ms * 1000)] * (requests - failed))
    steady = {"ok": synthetic_runs.counts([1_300_000] * (requests - failed)), "overhead": overhead}
    if failed:
        steady["failed"] = synthetic_runs.counts([640] * failed)
    return synthetic_runs.run(record, Histograms(windows={"steady": steady}))


def invalid(run: Run, *reasons: str) -> Run:
    """The run as it is read when it is invalid."""
    return dataclasses.replace(run, outcome="invalid", reasons=reasons)


@pytest.mark.parametrize(
    ("run", "verdict", "reason"),
    [
        (made(), "met", None),
        (made(failed=1), "met", None),
        (made(overhead_ms=250.0), "met", None),
        (made(failed=2), "missed", "failure ratio 0.002000 > 0.001"),
        (made(overhead_ms=250.1), "missed", "overhead p99 250.1 ms > 250 ms"),
        (made(requests=99), "invalid", "too few requests succeeded for a 99th percentile"),
        (invalid(made(overhead_ms=900.0), "other processes"), "invalid", "other processes"),
        (invalid(made(lag_ms=9.9), "a worker ended"), "invalid", "a worker ended"),
        (invalid(made(lag_ms=10.0), "was late"), "generator-bound", "was late"),
    ],
    ids=["both met", "failures at the edge", "overhead at the edge", "failures", "overhead", "few", "disturbed",
         "server", "generator"],
)  # fmt: skip
def test_verdict(run: Run, verdict: ObjectiveVerdict, reason: str | None) -> None:
    """A run meets the objective up to its edges, or misses it with figures; an invalid one does neither."""
    assert capacity_page.judge(run, SETTINGS) == Judgement(verdict=verdict, reasons=(reason,) if reason else ())


def test_every_miss_has_its_reason() -> None:
    """A run that misses both parts of the objective has a reason for each."""
    assert len(capacity_page.judge(made(failed=50, overhead_ms=500.0), SETTINGS).reasons) == 2


@pytest.mark.parametrize("outcome", ["failed", "verify-failed"])
def test_run_without_figures(outcome: str) -> None:
    """A run that measured nothing is invalid with the reason that its record has."""
    record: RunRecord = synthetic_runs.record(outcome=outcome, reasons=("it died",))  # type: ignore[arg-type]
    assert capacity_page.judge(synthetic_runs.run(record), SETTINGS) == Judgement(
        verdict="invalid", reasons=("it died",)
    )


def tried(number: int, users: int, run: Run, phase: Phase = "step") -> Tried:
    """A run at its place in a search."""
    trial = Trial(number=number, phase=phase, users=users)
    return Tried(trial=trial, run=run, judgement=capacity_page.judge(run, SETTINGS))


RUNS = (
    tried(1, 60, made(overhead_ms=80.0)),
    tried(2, 90, made(overhead_ms=400.0)),
    tried(3, 60, made(overhead_ms=90.0, requests=1100), "confirm"),
    tried(4, 60, made(overhead_ms=85.0, failed=1, requests=1200), "confirm"),
)


def shown(found: CapacityResult, runs: tuple[Tried, ...] = RUNS) -> list[str]:
    """What is printed of one search, line by line."""
    return capacity_page.of_session(
        synthetic_runs.SUITE, SETTINGS, [CapacitySearch(found=found, tried=runs)], "nox -s x"
    ).splitlines()


def test_whole_page() -> None:
    """The page has the confirmed figures, the objective, every run, and how to repeat it."""
    limit = Limit(users=90, verdict="missed")
    lines = shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=limit))
    assert lines == [
        "# Capacity of promptflow 1.12.0, fastapi engine",
        "",
        *lines[2:5],
        "",
        f"Objective: {OBJECTIVE}.",
        "",
        "## FastApi + Async Function Nodes: every run",
        "",
        *lines[10:16],
        "",
        "Repeat with `nox -s x`.",
    ]


def cells(line: str) -> list[str]:
    """The cells of a row of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_confirmed_figures() -> None:
    """The row of a scenario is made of its confirming runs alone: the median and range, and the worst."""
    lines = shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=Limit(users=90, verdict="missed")))
    row = dict(zip(cells(lines[2]), cells(lines[4]), strict=True))
    assert row == {
        "Scenario": "FastApi + Async Function Nodes",
        "Throughput (rps)": "23.00",
        "Lowest to highest": "22.00 to 24.00",
        "Users": "60",
        "Worst overhead p99 (ms)": "90.00",
        "Worst failure ratio": "0.0008333",
        "CPU of the server (cores)": "1.152",
        "Confirming runs": "2 of 4",
        "With more users": "at 90 users the objective is missed",
    }


def test_every_run_is_shown() -> None:
    """Each run of a search has a row with its verdict, its figures, and why it does not meet the objective."""
    lines = shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=Limit(users=90, verdict="missed")))
    rows = [cells(line) for line in lines[12:16]]
    assert [row[:4] for row in rows] == [
        ["1", "step", "60", "met"],
        ["2", "step", "90", "missed"],
        ["3", "confirm", "60", "met"],
        ["4", "confirm", "60", "met"],
    ]
    assert rows[1][4:] == ["20.00", "400.0", "0", "1.152", "3.000", "`overhead p99 400.0 ms > 250 ms`"]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (None, "more users were not tried"),
        (Limit(users=90, verdict="generator-bound"), "at 90 users the load generator is the bound"),
        (Limit(users=90, verdict="invalid"), "at 90 users no run is valid"),
    ],
)
def test_no_ceiling(limit: Limit | None, text: str) -> None:
    """Without a load that the server misses, the figure is "at least", and the last column says why."""
    row = cells(shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=limit))[4])
    assert row[1] == "at least 23.00"
    assert row[-1] == text


def test_nothing_found() -> None:
    """A search without a confirmed load shows no figure, but all of its runs and where it failed."""
    failed = synthetic_runs.run(synthetic_runs.record(outcome="failed", reasons=("it | died",)))
    lines = shown(
        CapacityResult(users=None, confirmed_by=(), limit=Limit(users=60, verdict="invalid")), (tried(1, 60, failed),)
    )
    row = cells(lines[4])
    assert row[:2] == ["FastApi + Async Function Nodes", "not found"]
    assert row[2:] == [*["\N{EN DASH}"] * 6, "at 60 users no run is valid"]
    assert cells(lines[12])[-1] == "`it ¦ died`"


def test_line_about_a_run() -> None:
    """The terminal shows the verdict of each run, and why."""
    assert capacity_page.progress_line(RUNS[0]) == "60 users, objective met: 20.00 rps, overhead p99 80.00 ms"
    assert capacity_page.progress_line(RUNS[1]) == "90 users, missed: overhead p99 400.0 ms > 250 ms"
