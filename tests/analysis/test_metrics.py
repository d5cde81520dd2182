"""The registry of metrics, computed from one synthetic run."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.analysis import metrics
from scripts.records.schema import Disturbance, Histograms, RunRecord
from tests.fakes import synthetic_runs

EMPTY = Histograms(windows={"ramp": {}, "steady": {}})


EXPECTED: dict[str, float | None] = {
    "throughput_rps": 166.0,
    "steady_throughput_rps": 9005 / 50,
    "ceiling_use": 9005 / 50 / (500 / 2.75),
    "failure_ratio": 5 / 9805,
    "response_time_mean_ms": 1286.0,
    "steady_response_time_mean_ms": 1251 + 1.4 * 24.5,  # 50 buckets of 1.4 ms from 1251 ms on, evenly filled
    "response_time_min_ms": 1251.0,
    "response_time_p50_ms": 1284.6,
    "response_time_p95_ms": 1251 + 1.4 * 47,
    "response_time_p99_ms": 1319.6,
    "overhead_mean_ms": 35.3,
    "overhead_p50_ms": 34.6,
    "overhead_p95_ms": 1 + 1.4 * 47,  # the same buckets from 1 ms on
    "overhead_p99_ms": 1 + 1.4 * 49,
    "backend_call_p50_ms": 17.4,
    "failed_time_max_ms": 1.84,
    "in_flight_at_stop": 230,
    "cpu_per_request_ms": 6.4,
    "memory_start_bytes": 800 * 2**20,
    "memory_end_bytes": 880 * 2**20,
    "memory_growth_per_1000_requests_bytes": 80 * 2**20 / 9.805,
    "ready_s": 1.5,
    "settled_s": 6.0,
    "first_answer_ms": 21.0,
    "first_answer_under_load_ms": 170.0,
    "worker_imbalance": 7.4 * 8 / 57.6,
    "worker_request_imbalance": 1.5,
    "mock_cpu_per_request_ms": 0.4,
    "generator_lag_p99_ms": 3.2,
    "generator_cpu_per_request_ms": 4900 / 9805,
    "run_queue_wait_ms": 200 / 9805,
    "speed_covariate_ms": 0.4 + 4900 / 9805,
    "reference_loop_ms": 10.5,
    "other_cpu_ratio": 0.01,
    "harness_cpu_ratio": 0.005,
    "stolen_cpu_ratio": 0.0025,
    "instructions_per_request": None,  # a run measures time or counts work
    "system_calls_per_request": None,
    "instructions_growth_per_request": None,
    "first_request_instructions": None,
    "start_up_instructions": None,
    "full_collection_instructions": None,
    "extra_instructions_per_request": None,
}


@pytest.mark.parametrize("name", [metric.name for metric in metrics.METRICS])
def test_metric_of_a_good_run(name: str) -> None:
    """Each metric of the registry has the value worked out by hand."""
    made = with_answers(1.271, (1.3, None, 1.42), (900, 1500, 600))
    measured = made.measurements
    assert measured is not None
    disturbance = dataclasses.replace(measured.disturbance, harness_s=2.0)
    made = dataclasses.replace(made, measurements=dataclasses.replace(measured, disturbance=disturbance))
    assert metrics.derive(made, synthetic_runs.histograms())[name] == pytest.approx(EXPECTED[name])


def test_no_expected_value_is_left_over() -> None:
    """A metric that leaves the registry takes its expected value with it."""
    assert list(EXPECTED) == [metric.name for metric in metrics.METRICS]


def with_answers(first_s: float | None, under_load_s: tuple[float | None, ...], requests: tuple[int, ...]) -> RunRecord:
    """A run whose server gave these answers."""
    measured = synthetic_runs.measurements()
    server = measured.server and dataclasses.replace(
        measured.server, first_answer_s=first_s, first_answers_s=under_load_s, worker_requests=requests
    )
    return synthetic_runs.record(measured=dataclasses.replace(measured, server=server))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (with_answers(1.271, (1.3, None, 1.42), (900, 1500, 600)), (21.0, 170.0, 1.5)),
        (with_answers(None, (None,), (0, 0)), (None, None, None)),
        (with_answers(None, (), ()), (None, None, None)),
        (dataclasses.replace(with_answers(1.271, (1.3,), (5,)), own_wait_s=None), (None, None, 1.0)),
    ],
)
def test_first_answers_and_spread_of_requests(record: RunRecord, expected: tuple[float | None, ...]) -> None:
    """First answers are less the ideal time; imbalance is the busiest worker's; both are None where unknown."""
    values = metrics.derive(record, synthetic_runs.histograms())
    names = ("first_answer_ms", "first_answer_under_load_ms", "worker_request_imbalance")
    assert [values[name] for name in names] == [pytest.approx(value) for value in expected]


def test_warm_up_is_not_steady() -> None:
    """The steady window begins when the warm-up is over, not when the last user starts."""
    made = synthetic_runs.record()
    warm = dataclasses.replace(made, requested=dataclasses.replace(
        made.requested, profile=dataclasses.replace(made.requested.profile, warm_up_s=5)
    ))  # fmt: skip
    assert metrics.derive(warm, synthetic_runs.histograms())["steady_throughput_rps"] == pytest.approx(9005 / 45)


def test_compared_metrics_have_a_minimum_effect() -> None:
    """Every compared metric has a minimum effect and a good direction."""
    compared = {metric.name: metric.minimum_effect for metric in metrics.COMPARED}
    assert (compared["cpu_per_request_ms"], compared["response_time_p50_ms"]) == (0.02, 0.01)
    assert {metric.better for metric in metrics.COMPARED} == {"lower", "higher"}
    assert not [metric.name for metric in metrics.METRICS if metric.follows_speed and metric.minimum_effect is None]


def test_run_without_measurements_has_no_value() -> None:
    """A run that never measured has every metric, and each is None."""
    values = metrics.derive(synthetic_runs.record(outcome="failed"), EMPTY)
    assert list(values) == [metric.name for metric in metrics.METRICS]
    assert set(values.values()) == {None}


def test_run_without_a_request_divides_by_nothing() -> None:
    """No requests, no rows, no users and an unsampled server give None and not an error."""
    measured = synthetic_runs.measurements(number=0, failed=0)
    load = dataclasses.replace(measured.load, locust_rows=(), all_users_at_s=None)
    server = measured.server and dataclasses.replace(measured.server, completed=0, worker_cpu_s=())
    unseen = Disturbance(window_s=0.0, cores=2, busy_s=0.0, other_s=0.0, stolen_s=0.0, loop_after_ms=11.0)
    empty = dataclasses.replace(measured, load=load, server=server, disturbance=unseen)
    values = metrics.derive(synthetic_runs.record(measured=empty), EMPTY)
    known = {name for name, value in values.items() if value is not None}
    assert known == {
        "in_flight_at_stop", "memory_start_bytes", "memory_end_bytes", "ready_s", "settled_s", "generator_lag_p99_ms",
        "reference_loop_ms",
    }  # fmt: skip


def test_mock_alone_has_no_server_metrics() -> None:
    """A run of the mock API alone has throughput and the mock's own cost, and no server metric."""
    record = synthetic_runs.record(release="mock", engine="uvicorn", flow="mock_api")
    values = metrics.derive(record, synthetic_runs.histograms())
    assert values["cpu_per_request_ms"] is values["ready_s"] is None
    assert values["mock_cpu_per_request_ms"] == pytest.approx(3600 / 9005)


@pytest.mark.parametrize(
    ("name", "words", "title", "full", "short"),
    [
        ("overhead_p50_ms", "overhead p50", "overhead p50 (ms)", "overhead p50 (ms, lower is better)",
         "overhead p50 (ms) \u2193"),
        ("throughput_rps", "throughput", "throughput (rps)", "throughput (rps, higher is better)",
         "throughput (rps) \u2191"),
        ("cpu_per_request_ms", "CPU per request", "CPU per request (ms)", "CPU per request (ms, lower is better)",
         "CPU per request (ms) \u2193"),
        ("memory_end_bytes", "memory end", "memory end", "memory end (lower is better)", "memory end \u2193"),
        ("failure_ratio", "failure ratio", "failure ratio", "failure ratio (lower is better)", "failure ratio \u2193"),
        ("reference_loop_ms", "reference loop", "reference loop (ms)", "reference loop (ms)", "reference loop (ms)"),
        ("in_flight_at_stop", "in flight at stop", "in flight at stop", "in flight at stop", "in flight at stop"),
    ],
)  # fmt: skip
def test_names_for_people(name: str, words: str, title: str, full: str, short: str) -> None:
    """A metric's name becomes words, and headings with its unit and its good direction."""
    metric = next(metric for metric in metrics.METRICS if metric.name == name)
    assert (metric.words, metric.title, metric.full_title, metric.short_title) == (words, title, full, short)


def test_units_end_names() -> None:
    """Every metric with a physical unit says so at the end of its name, and no name occurs twice."""
    names = [metric.name for metric in metrics.METRICS]
    assert len(set(names)) == len(names)
    wrong = [m.name for m in metrics.METRICS if m.unit in {"ms", "s", "rps", "bytes"} and not m.name.endswith(m.unit)]
    assert wrong == []
