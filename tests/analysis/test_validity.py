"""When a run that ended well is not believed: each rule broken alone, and at its edge."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.analysis import validity
from scripts.analysis.run_data import RunData
from scripts.records.schema import HistogramCounts, Histograms, LoadProcess
from tests.fakes import synthetic_runs

LAW_S = 500 / (9005 / 50) - 1.5  # of the good run: N / X - Z


def reasons_of(data: RunData) -> tuple[str, ...]:
    """Why a run is not valid, for people."""
    return tuple(reason.text for reason in validity.reasons(data))


def codes_of(data: RunData) -> tuple[str, ...]:
    """Why a run is not valid, for programs."""
    return tuple(reason.code for reason in validity.reasons(data))


def good(part: str = "", **changes: Any) -> RunData:  # noqa: ANN401 - any field of any part
    """A good run, but for one part of what was measured."""
    measured = synthetic_runs.measurements()
    if part:
        measured = dataclasses.replace(measured, **{part: dataclasses.replace(getattr(measured, part), **changes)})
    return synthetic_runs.run_data(synthetic_runs.record(measured=measured))


def with_steady(data: RunData, **changes: Any) -> RunData:  # noqa: ANN401 - any field of a distribution
    """The same run with another distribution of successes in its steady window."""
    ok = data.counts("ok")
    assert ok is not None
    windows = dict(data.histograms.windows)
    windows["steady"] = {**windows["steady"], "ok": dataclasses.replace(ok, **changes)}
    return dataclasses.replace(data, histograms=Histograms(windows=windows))


def with_mean(data: RunData, mean_s: float) -> RunData:
    """The same run whose requests of the steady window took that long on average."""
    failed = data.counts("failed")
    return with_steady(data, total_us=round(mean_s * 1e6 * data.steady_completed) - (failed.total_us if failed else 0))


def saturated(in_flight: int = 462, mean_s: float = 15.6, steady: int = 1270) -> RunData:
    """A run of sync nodes at their ceiling of 25.6 requests/s: N - X Z = 462 users wait at any moment."""
    measured = synthetic_runs.measurements(number=steady + 100, in_flight=in_flight, failed=0)
    made = synthetic_runs.record(engine="flask", flow="static_sync", measured=measured)
    return with_mean(synthetic_runs.run_data(made, synthetic_runs.histograms(steady, 100, 0)), mean_s)


def test_good_run_has_no_reasons() -> None:
    """A run with a fit generator, all its workers and lawful figures is valid, latencies too."""
    assert (reasons_of(good()), validity.distrusted(good())) == ((), ())


def test_good_run_of_the_mock_api_alone_has_no_reasons() -> None:
    """The mock API alone was not verified, so its books balance without the one request more."""
    measured = synthetic_runs.measurements(mock=True, number=11180, failed=0, in_flight=190)
    found = synthetic_runs.histograms(10050, 1130, 0, 1000)
    made = synthetic_runs.record(release="mock", engine="uvicorn", flow="mock_api", measured=measured)
    assert reasons_of(with_mean(synthetic_runs.run_data(made, found), 0.99)) == ()


@pytest.mark.parametrize(
    ("part", "within", "beyond", "reason"),
    [
        ("load", {"users_reached": 500}, {"users_reached": 499}, "only 499 of 500 users were reached"),
        ("generator", {"lag_p99_ms": 9.99}, {"lag_p99_ms": 10.0}, "p99 10.0 ms, limit 10 ms"),
        ("generator", {"lag_max_ms": 99.9}, {"lag_max_ms": 100.0}, "was 100 ms late, limit 100 ms"),
        ("load", {"impossible_times": None}, {"impossible_times": 1}, "1 answers give a time of the backend"),
        ("generator", {"exceptions": 0}, {"exceptions": 2}, "raised 2 exceptions"),
        ("generator", {"run_queue_wait_s": 9.8}, {"run_queue_wait_s": 9.81}, "16.4% of the time, 1.00 ms a request"),
        ("generator", {"run_queue_wait_s": None}, {"run_queue_wait_s": 59.0}, "waited for a core"),
        ("generator", {"cpu_s": 53.9}, {"cpu_s": 54.0}, "the generator used 90% of a core"),
        ("server", {"workers_lost": 0}, {"workers_lost": 1}, "1 of the server's workers ended under load"),
        ("server", {"workers_at_end": 8}, {"workers_at_end": 9}, "9 workers ran at the end, 8 before the load"),
        ("server", {"workers_at_end": None}, {"workers_at_end": 7}, "7 workers ran at the end, 8 before the load"),
        (
            "backend",
            {"stall_max_s": 0.249},
            {"stall_max_s": 0.25},
            "the mock API stood still: an immediate answer took",
        ),
        ("backend", {"received": 9801}, {"received": 9800}, "9800 requests succeeded, but the backend received 9799"),
        ("backend", {"received": 10036}, {"received": 10037}, "received 10036 requests for 9805 recorded and 230"),
        ("disturbance", {"other_s": 20.0}, {"other_s": 20.1}, "other processes took 5.0%"),
        ("disturbance", {"suspended_s": 0.1}, {"suspended_s": 0.16}, "the machine slept for 0.2 s"),
        ("disturbance", {"clock_step_s": -1.0}, {"clock_step_s": -1.06}, "clock was set by -1.1 s"),
    ],
)
def test_unfit_run_has_its_reason(part: str, within: dict[str, object], beyond: dict[str, object], reason: str) -> None:
    """Each condition that spoils the figures is one reason that names its figure, and none up to its edge."""
    assert reasons_of(good(part, **within)) == ()
    (found,) = reasons_of(good(part, **beyond))
    assert reason in found


@pytest.mark.fault
@pytest.mark.parametrize(("stopped_s", "reasons"), [(59.4, 1), (59.6, 0), (60.4, 0), (60.6, 1)])
def test_load_must_run_for_as_long_as_requested(stopped_s: float, reasons: int) -> None:
    """A load that ended early or late is another load, whatever its exit code."""
    assert codes_of(good("load", stopped_s=stopped_s)).count("other-run-time") == reasons


@pytest.mark.parametrize(("waited_s", "reasons"), [(1.2, 0), (1.21, 1)])
def test_short_wait_for_a_core_is_no_reason(waited_s: float, reasons: int) -> None:
    """With few requests the generator's own clocks wait longest: up to 2 % of the time that is nothing."""
    few = good("generator", run_queue_wait_s=waited_s)
    load = dataclasses.replace(few.measured.load, recorded=100)
    few = dataclasses.replace(few, measured=dataclasses.replace(few.measured, load=load))
    assert len(list(validity.generator(few))) == reasons


FIT = LoadProcess(
    users=250, requests=4900, lag_p50_ms=0.4, lag_p99_ms=3.2, lag_max_ms=9.0, cpu_s=2.4, run_queue_wait_s=0.1,
    clock_error_s=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("within", "beyond", "reason"),
    [
        ({"lag_p99_ms": 9.99}, {"lag_p99_ms": 10.0}, "load process 2's event loop was late: p99 10.0 ms"),
        ({"lag_max_ms": 99.9}, {"lag_max_ms": 100.0}, "load process 2 stood still"),
        ({"run_queue_wait_s": 4.89}, {"run_queue_wait_s": 4.91}, "load process 2 waited for a core: 8.2% of the time"),
        ({"run_queue_wait_s": None}, {"run_queue_wait_s": 59.0}, "load process 2 waited for a core"),
        ({"cpu_s": 53.9}, {"cpu_s": 54.0}, "load process 2 used 90% of a core"),
    ],
)
def test_each_process_of_the_load_must_be_fit(
    within: dict[str, object], beyond: dict[str, object], reason: str
) -> None:  # fmt: skip
    """Of several processes the worst one counts, by its own requests, and is named."""

    def of(changes: dict[str, Any]) -> RunData:
        return good("generator", processes=(FIT, dataclasses.replace(FIT, **changes), FIT))

    assert reasons_of(of(within)) == ()
    (found,) = reasons_of(of(beyond))
    assert reason in found


def test_together_processes_may_use_more_than_a_core() -> None:
    """What all processes use together is no reason: each has a core of its own to use."""
    assert reasons_of(good("generator", cpu_s=90.0, processes=(dataclasses.replace(FIT, cpu_s=45.0),) * 2)) == ()


@pytest.mark.parametrize(("second", "reasons"), [(9, 0), (10, 1), (59, 1)])
def test_users_must_be_held_in_steady_state(second: int, reasons: int) -> None:
    """A user who is missing in the ramp is yet to start; later it is a reason, in the last second too."""
    rows = synthetic_runs.timeline()
    rows[second] = dataclasses.replace(rows[second], users=499)
    found = reasons_of(synthetic_runs.run_data(seconds=rows))
    assert found == (f"the users were not held: 499 of 500 in second {second}",) * reasons


@pytest.mark.fault
def test_success_in_the_ramp_alone_is_a_reason() -> None:
    """A server that answers in the ramp and never in steady state measured nothing, though nothing failed."""
    made = synthetic_runs.record(measured=synthetic_runs.measurements(number=800, failed=0))
    ramp_alone = Histograms(windows={"ramp": synthetic_runs.histograms().windows["ramp"]})
    assert codes_of(synthetic_runs.run_data(made, ramp_alone)) == ("nothing-succeeded",)


def test_no_success_is_a_reason() -> None:
    """A run in which every request failed measured nothing of promptflow."""
    measured = synthetic_runs.measurements(number=5)
    made = synthetic_runs.record(measured=measured)
    nothing = synthetic_runs.run_data(
        made, Histograms(windows={"steady": {"failed": synthetic_runs.counts([640] * 5)}})
    )
    assert "no request succeeded in steady state" in reasons_of(nothing)


@pytest.mark.parametrize(
    ("engine", "observed", "reason"),
    [
        ("fastapi", {"workers": 7}, "7 workers ran, 8 were requested"),
        ("flask", {"threads": 3}, "3 threads a worker ran, 4 were requested"),
    ],
)
def test_other_server_than_requested_is_a_reason(engine: str, observed: dict[str, Any], reason: str) -> None:
    """A server that did not run what was asked for is not what was measured; an event loop has no threads to ask."""
    made = synthetic_runs.record(engine=engine)
    changed = made.observed and dataclasses.replace(made.observed, **observed)
    assert reason in reasons_of(synthetic_runs.run_data(dataclasses.replace(made, observed=changed)))
    assert not any("threads" in one for one in reasons_of(good()))


@pytest.mark.parametrize(("fastest_us", "reasons"), [(1_249_000, 0), (1_248_900, 1)])
def test_success_faster_than_ideal_is_a_reason(fastest_us: int, reasons: int) -> None:
    """A flow that waits 1.25 s cannot answer sooner, but for a clock tick."""
    found = reasons_of(with_steady(good(), min_us=fastest_us))
    assert found == ("a success took 1.2489 s, less than its ideal time of 1.25 s",) * reasons


def test_undeclared_ideal_time_leaves_floor_ceiling_and_books_open() -> None:
    """A flow that does not declare its wait may answer at once, and ask the backend as often as it likes."""
    own = with_steady(good("backend", received=99999), min_us=1000)
    assert len(reasons_of(own)) == 2
    undeclared = dataclasses.replace(own, record=dataclasses.replace(own.record, own_wait_s=None))
    assert reasons_of(undeclared) == ()


@pytest.mark.parametrize(("steady", "reasons"), [(1305, 0), (1306, 1)])
def test_throughput_above_the_ceiling_is_a_reason(steady: int, reasons: int) -> None:
    """8 workers of 4 threads that hold each for 1.25 s answer 25.6 requests/s and 2 % for the window's edges."""
    mean_s = 500 / (steady / 50) - 1.5
    found = reasons_of(saturated(steady=steady, mean_s=mean_s))
    assert found == ("throughput of 26.1 rps is above the ceiling of 25.6 rps",) * reasons


@pytest.mark.parametrize(("share", "reasons"), [(1.0514, 0), (1.0516, 1), (0.9486, 0), (0.94, 1)])
def test_unlawful_response_time_is_a_reason(share: float, reasons: int) -> None:
    """The mean is N / X - Z within 2 %, chance (1 %) and users in step (2.2 %); too fast is what nothing explains."""
    found = reasons_of(with_mean(good(), LAW_S * share))
    assert [one.partition(":")[0] for one in found] == ["the response-time law does not hold"] * reasons
    assert validity.distrusted(with_mean(good(), LAW_S * share)) == ()


def test_response_time_counts_failures_in_the_law() -> None:
    """Failures are requests of users who then think: without their time the law would not hold."""
    slow = synthetic_runs.counts([1_276_000] * 1000)
    run = good()
    windows = dict(run.histograms.windows)
    windows["steady"] = {"ok": synthetic_runs.spread_counts(8005, 1_251_000, 1000, 50), "failed": slow}
    failing = dataclasses.replace(run, histograms=Histograms(windows=windows))
    assert reasons_of(failing) == ()


@pytest.mark.parametrize(("in_flight", "truncated"), [(445, True), (444, False)])
def test_truncated_run_is_valid_and_its_latencies_are_not(in_flight: int, *, truncated: bool) -> None:
    """A mean too small for the law is explained when as many users wait as the throughput leaves; else it is not."""
    run = saturated(in_flight)
    assert [one[:9] for one in validity.distrusted(run)] == ["truncated"] * truncated
    assert len(reasons_of(run)) == (not truncated)


def test_requests_that_end_while_draining_waited_at_the_stop() -> None:
    """A drained run loses its slowest requests from the steady window just the same."""
    run = saturated(in_flight=0)
    drained = Histograms(windows=run.histograms.windows | {"drain": {"ok": synthetic_runs.counts([19_000_000] * 462)}})
    load = dataclasses.replace(run.measured.load, recorded=1370 + 462)
    backend = dataclasses.replace(run.measured.backend, received=1370 + 462 + 1)
    measured = dataclasses.replace(run.measured, load=load, backend=backend)
    run = dataclasses.replace(run, histograms=drained, measured=measured)
    assert reasons_of(run) == ()
    assert validity.distrusted(run)[0].startswith("truncated: 462 requests still waited when the load stopped")


def compared(ok: HistogramCounts, stopped_s: float = 14.0) -> RunData:
    """A short run of 100 users, warm-up apart."""
    made = synthetic_runs.measurements(number=1064, failed=0, in_flight=0)
    load = dataclasses.replace(made.load, users_reached=100, all_users_at_s=1.0, stopped_s=stopped_s)
    measured = dataclasses.replace(made, load=load)
    record = synthetic_runs.record(profile="compare", measured=measured)
    profile = dataclasses.replace(record.requested.profile, run_time_s=round(stopped_s))
    record = dataclasses.replace(record, requested=dataclasses.replace(record.requested, profile=profile))
    observed = record.observed and dataclasses.replace(record.observed, workers=2)
    windows = Histograms(windows={"steady": {"ok": ok}})
    return synthetic_runs.run_data(
        dataclasses.replace(record, observed=observed), windows, synthetic_runs.timeline(14, 97, 100, 2)
    )


@pytest.mark.parametrize(
    ("low_us", "step_us", "number"),
    [(459_000, 100, 0), (457_500, 100, 1), (505_000, 4200, 0), (505_000, 4500, 1)],  # too slow, with a fast answer
)
def test_short_run_may_stray_from_the_law_at_random(low_us: int, step_us: int, number: int) -> None:
    """From 0.534 s, 1064 requests move N / X - Z by 1.1 % in one standard deviation, and 100 users in step by 47 ms."""
    found = reasons_of(compared(synthetic_runs.spread_counts(1064, low_us, step_us, 50)))
    assert [one.partition(":")[0] for one in found if "law" in one] == ["the response-time law does not hold"] * number


@pytest.mark.parametrize(("stopped_s", "number"), [(13.0, 0), (13.1, 2)])
def test_window_too_short_for_ten_cycles_is_held_against_nothing(stopped_s: float, number: int) -> None:
    """From 10 cycles of 1.005 s on, 150 requests/s of 100 users break both ceiling and law; before, neither applies."""
    crowd = compared(synthetic_runs.spread_counts(1500, 505_000, 100, 50), stopped_s)
    load = dataclasses.replace(crowd.measured.load, recorded=1500)
    backend = dataclasses.replace(crowd.measured.backend, received=1501)
    crowd = dataclasses.replace(crowd, measured=dataclasses.replace(crowd.measured, load=load, backend=backend))
    assert len(reasons_of(crowd)) == number


@pytest.mark.parametrize(
    ("part", "beyond", "code", "disturbance"),
    [
        ("generator", {"lag_p99_ms": 11.0}, "generator-late", True),
        ("disturbance", {"suspended_s": 1.0}, "suspended", True),
        ("disturbance", {"clock_step_s": 2.0}, "clock-set", True),
        ("generator", {"exceptions": 1}, "locustfile-raised", False),
        ("server", {"workers_lost": 1}, "workers-ended", False),
    ],
)
def test_a_reason_says_by_its_code_whom_it_blames(
    part: str, beyond: dict[str, Any], code: str, *, disturbance: bool
) -> None:
    """The machine is blamed by a reason's code and never by its words, which may change."""
    (found,) = validity.reasons(good(part, **beyond))
    assert (found.code, found.is_disturbance) == (code, disturbance)
