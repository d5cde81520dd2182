"""What is said about published figures: each sentence in each of its branches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.analysis.run_reader import Run
from scripts.config.errors import UsageError
from scripts.config.matrix import ROOT
from scripts.report.tables import published
from scripts.report.tables.findings import findings
from scripts.report.tables.published import Published
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import run

REPORT = published.read(ROOT / "results")["1.12.0"]
SATURATED = synthetic_runs.measurements(mean_ms=11200, rps=24.9, number=1480, in_flight=462, failed=1)
LOAD_BOUND = synthetic_runs.measurements()


def altered(index: int, **columns: float) -> Published:
    """The published report with other figures in one scenario."""
    scenarios = list(REPORT.scenarios)
    rows = tuple(dataclasses.replace(row, **columns) for row in scenarios[index].rows)  # type: ignore[arg-type]
    scenarios[index] = dataclasses.replace(scenarios[index], rows=rows)
    return dataclasses.replace(REPORT, scenarios=tuple(scenarios))


class Said(NamedTuple):
    """A finding as text."""

    title: str
    lines: list[str]  # one for each published scenario, with our runs of it behind


def say(report: Published = REPORT, runs: Sequence[Run] = ()) -> list[Said]:
    """The four findings."""
    found = findings(report, runs)
    assert len(found) == 4
    return [Said(one.title, [" ".join([line.published, *line.measured]) for line in one.evidence]) for one in found]


def sync(profile: str = "report", **changes: object) -> Run:
    """Our saturated run."""
    made = synthetic_runs.record(engine="flask", flow="static_sync", profile=profile, measured=SATURATED)
    return run(dataclasses.replace(made, **changes), synthetic_runs.histograms(1200, 100, 1, 18000))  # type: ignore[arg-type]


def test_published_data_is_whole() -> None:
    """The data has the published Config and, for each scenario, two rows that agree."""
    assert (REPORT.users, REPORT.spawn_rate, REPORT.run_time_s) == (500, 50, 60)
    assert (REPORT.workers, REPORT.threads) == (8, 4)
    for scenario in REPORT.scenarios:
        first, aggregated = scenario.rows
        assert dataclasses.replace(first, type="", name="Aggregated") == aggregated


def test_broken_published_file_is_a_usage_error(tmp_path: Path) -> None:
    """A published file that is not one is named."""
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"published/x\.json cannot be read"):
        published.read(tmp_path)


def test_load_bound_rows_follow_the_law() -> None:
    """The published FastAPI throughput is what N/(R+Z) gives, with the ramp included."""
    finding = say()[0]
    assert finding.title == (
        "The throughput of FastApi + Async Function Nodes and FastApi + Flex Async Function Nodes "
        "is a property of the load, not of promptflow"
    )
    line = finding.lines[1]
    assert "published are 166.2 rps." in line
    assert "N/(R+Z) = 179.5 rps in steady state. With the ramp (462.5 users on average) it is 166.0;" in line
    assert "the published figure differs by +0.1 %." in line
    assert "99 % of what the load allows, whatever the release" in line
    assert "contradict" not in line


def test_saturated_row_does_not_follow_the_law() -> None:
    """The published sync row is set by the server, and its mean does not fit its throughput."""
    line = say()[0].lines[0]
    assert "at 24 % of that, so the server limits the throughput" in line
    assert "contradict this law" in line


def test_closed_loop_titles_follow_the_data() -> None:
    """All, some or no rows may be bound by the load."""
    assert say(altered(0, requests_per_s=166.0))[0].title.startswith("Every throughput is")
    none = altered(1, requests_per_s=80.0)
    scenarios = (none.scenarios[0], none.scenarios[1])
    assert say(dataclasses.replace(none, scenarios=scenarios))[0].title == "No throughput is set by the load alone"


def test_our_throughput_stands_beside_the_law() -> None:
    """A measured run has its throughput, steady throughput and what the law gives for its own mean."""
    ours = run(synthetic_runs.record(measured=LOAD_BOUND))
    line = say(runs=[ours])[0].lines[1]
    assert "Measured (`report`): 166.0 rps in all, 180.1 in steady state. N/(R+Z) gives 179.5 there (+0.3 %)." in line


def test_declared_threads_cannot_have_run() -> None:
    """The published throughput is above the ceiling of 4 threads and below that of 8."""
    finding = say()[1]
    assert finding.title == "The server did not run with the declared 4 threads"
    assert "the ceiling is 8 workers x 4 threads / 1.25 s = 25.60 rps. Published are 41.17." in finding.lines[0]
    assert "At least 7 threads a worker were needed" in finding.lines[0]
    assert "the ceiling is 51.20, above that figure" in finding.lines[0]


def test_more_than_as_many_threads_as_workers() -> None:
    """A throughput that even 8 threads do not allow is said to be beyond them."""
    assert "the ceiling is 51.20, still below that figure" in say(altered(0, requests_per_s=60.0))[1].lines[0]


def test_declared_threads_may_have_run() -> None:
    """A throughput below the ceiling contradicts nothing."""
    finding = say(altered(0, requests_per_s=24.9))[1]
    assert finding.title == "The figures are within what the declared 4 threads allow"
    (line,) = finding.lines
    assert line.endswith("the ceiling is 8 workers x 4 threads / 1.25 s = 25.60 rps. Published are 24.90.")


def test_our_runs_stand_beside_their_own_ceilings() -> None:
    """Runs with 4 and with 8 threads are held against the threads that really ran."""
    eight = sync("report-8-threads")
    assert findings(REPORT, [sync(), eight])[1].evidence[0].measured == (
        "Measured (`report`): 24.90 rps with 8 workers and 4 threads, 97 % of the ceiling of 25.60 rps.",
        "Measured (`report-8-threads`): 24.90 rps with 8 workers and 8 threads, 49 % of the ceiling of 51.20 rps.",
    )
    one = eight.record.observed and dataclasses.replace(eight.record.observed, workers=1)
    assert "above the ceiling of 6.400 rps" in say(runs=[sync(observed=one)])[1].lines[0]
    assert say(runs=[sync(own_wait_s=None)])[1].lines[0].endswith("Measured (`report`): unknown.")


def test_failures_below_the_floor() -> None:
    """A smallest time below the floor beside failures is a failure's."""
    finding = say()[2]
    assert finding.title == "The latencies include failures"
    assert (
        "1.146 ms. The flow cannot answer in under 1250 ms, so this was a failed request. 5 of 9816"
        in (finding.lines[1])
    )


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"min_response_time": 1251.0}, "not below the flow's 1250 ms; 5 of"),
        ({"failure_count": 0}, "No request failed, so this is unexplained"),
    ],
)  # fmt: skip
def test_latencies_without_failures(columns: dict[str, float], line: str) -> None:
    """A smallest time above the floor, or one below it without failures, is not blamed on failures."""
    finding = say(altered(1, **columns))[2]
    assert finding.title == "Some of the latencies include failures"
    assert line in finding.lines[1]


def test_no_failure_shows() -> None:
    """Without any such row the title says so."""
    clean = dataclasses.replace(REPORT, scenarios=altered(1, min_response_time=1251.0).scenarios[1:2])
    titles = [finding.title for finding in findings(clean, ())]
    assert "No failure shows in the latencies" in titles
    assert len(titles) == 3  # no flow of it holds a thread, so nothing is said about threads


def test_our_failures_are_counted_by_kind() -> None:
    """Our failures have their kinds and their longest time, apart from the fastest success."""
    ours = run(synthetic_runs.record(measured=LOAD_BOUND))
    expected = "Measured (`report`): 5 `keepalive_race`, at most 1.840 ms long; the fastest success took 1251 ms."
    assert expected in say(runs=[ours])[2].lines[1]
    clean = run(
        synthetic_runs.record(measured=synthetic_runs.measurements(failed=0)), synthetic_runs.histograms(failed=0)
    )
    assert "Measured (`report`): no failure; the fastest success took 1251 ms." in say(runs=[clean])[2].lines[1]


def test_saturated_row_lost_requests() -> None:
    """N - X Z users waited at the end of the published sync run, and its mean is below the law's."""
    finding = say()[3]
    assert finding.title == "The saturated row lacks its slowest requests"
    assert "N - X Z = 438 users were waiting" in finding.lines[0]
    assert (
        "N/X - Z = 10.64 s (9.733 s with the ramp). The published mean of 8.065 s is below both." in (finding.lines[0])
    )


@pytest.mark.parametrize(("mean_ms", "relation"), [(10000.0, "is below the first only."), (11000.0, "is not below.")])
def test_saturated_row_may_fit(mean_ms: float, relation: str) -> None:
    """A mean that fits the throughput lacks no request."""
    finding = say(altered(0, average_response_time=mean_ms))[3]
    assert finding.title == "The saturated row's mean fits its throughput"
    assert finding.lines[0].endswith(relation)


def test_no_row_is_saturated() -> None:
    """When every row reaches what the load allows there is nothing to lose."""
    assert say(altered(0, requests_per_s=166.0))[3].title == "No row is saturated"


def test_our_requests_in_flight_are_counted() -> None:
    """Ours are counted and not estimated, and stand beside the law for the steady state."""
    line = say(runs=[sync()])[3].lines[0]
    assert "Measured (`report`): 462 requests in flight at the end, 1480 recorded." in line
    assert "Locust reports a mean of 11.20 s." in line
    assert "Successes in steady state took 17.67 s, and N/X - Z gives 19.32 s." in line


def test_run_without_a_steady_state_is_said_to_have_none() -> None:
    """A run in which not all users started has no figure to hold against the law."""
    load = dataclasses.replace(SATURATED.load, all_users_at_s=None)
    found = say(runs=[sync(measurements=dataclasses.replace(SATURATED, load=load))])
    assert found[0].lines[0].endswith("Measured (`report`): no steady state.")
    assert found[3].lines[0].endswith("Measured (`report`): no steady state.")
