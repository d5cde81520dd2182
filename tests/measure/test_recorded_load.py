"""Recordings of several processes as one: nothing is lost or counted twice, and all times are on one clock."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.config.errors import InvalidMeasurementError
from scripts.config.load_profiles import Generators
from scripts.measure import recorded_load, recording
from scripts.measure.recorded_load import Clock, Part
from scripts.measure.recording import Lag, RecordedLoad, Request
from scripts.records.schema import Failure, HistogramCounts, Histograms
from tests.fakes import values
from tests.fakes.values import RECORDED, request

HERE = Clock(offset_s=0.0, error_s=0.0)
THREE = Generators(processes=3)
TIMES_S = st.floats(min_value=100.2, max_value=104.5)
TOOK_MS = st.floats(min_value=0.5, max_value=2000.0)
OUTCOMES = st.sampled_from(["ok", "ok", "ok", "keepalive_race"])
REQUESTS = st.builds(request, TIMES_S, TOOK_MS, OUTCOMES, backend_s=st.just(0.0), node_s=st.just(0.0004))
OFFSETS = st.floats(min_value=-1e6, max_value=1e6)


def part(*requests: Request, clock: Clock = HERE, load: RecordedLoad = RECORDED) -> Part:
    """What a process recorded."""
    return Part(load=load, requests=list(requests), clock=clock)


def distributions(load: RecordedLoad, requests: list[Request]) -> Histograms:
    """All of them."""
    return recording.histograms(load, requests, 0.0, 0)


def added(parts: list[Histograms]) -> dict[tuple[str, str], tuple[Counter[int], int]]:
    """Buckets and sums of several distributions, by window and kind; those without a value left out."""
    found: dict[tuple[str, str], tuple[Counter[int], int]] = {}
    for window, kind, counts in (
        (w, k, c) for one in parts for w, kinds in one.windows.items() for k, c in kinds.items()
    ):
        buckets, total_us = found.get((window, kind), (Counter(), 0))
        found[window, kind] = (buckets + buckets_of(counts), total_us + counts.total_us)
    return found


def buckets_of(counts: HistogramCounts) -> Counter[int]:
    """How often each bucket occurs."""
    return Counter(dict(zip(counts.values_us.tolist(), counts.counts.tolist(), strict=True)))


@given(recorded=st.lists(st.lists(REQUESTS, max_size=8), min_size=1, max_size=5))
def test_histograms_merge_by_addition(recorded: list[list[Request]]) -> None:
    """The distributions of the whole are the sums of those of its parts, bucket by bucket, and so are the times."""
    whole = recorded_load.merged(RECORDED, [part(*requests) for requests in recorded])
    assert added([distributions(whole.load, whole.requests)]) == added(
        [distributions(RECORDED, requests) for requests in recorded]
    )


@given(recorded=st.lists(st.tuples(st.lists(REQUESTS, max_size=5), OFFSETS), min_size=1, max_size=4))
def test_a_clock_of_another_machine_changes_nothing(recorded: list[tuple[list[Request], float]]) -> None:
    """What is recorded in another clock is, once aligned, what would have been recorded in this machine's."""
    there = [
        part(
            *(dataclasses.replace(one, start_s=one.start_s - offset_s) for one in requests),
            clock=Clock(offset_s=offset_s, error_s=0.001),
            load=dataclasses.replace(
                RECORDED, started_s=100.0 - offset_s, all_users_at_s=101.0 - offset_s, stopped_s=104.0 - offset_s
            ),
        )
        for requests, offset_s in recorded
    ]
    here, moved = (
        recorded_load.merged(RECORDED, [part(*requests) for requests, _ in recorded]),
        recorded_load.merged(RECORDED, there),
    )
    assert [one.end_s for one in moved.requests] == pytest.approx([one.end_s for one in here.requests], abs=1e-6)
    for name in ("started_s", "all_users_at_s", "stopped_s"):
        assert getattr(moved.load, name) == pytest.approx(getattr(here.load, name), abs=1e-6)
    assert moved.load.users_by_second == here.load.users_by_second


@given(recorded=st.lists(st.lists(REQUESTS, max_size=6), min_size=1, max_size=5))
def test_the_books_balance(recorded: list[list[Request]]) -> None:
    """Every request of every part is there once, in order of completion; those in flight and failures are added up."""
    whole = recorded_load.merged(RECORDED, [part(*requests) for requests in recorded])
    number = len(recorded)
    assert Counter(whole.requests) == Counter(one for requests in recorded for one in requests)
    assert whole.requests == sorted(whole.requests, key=lambda one: one.end_s)
    assert sum(one.requests for one in whole.processes) == len(whole.requests)
    assert whole.load.in_flight_at_stop == number * RECORDED.in_flight_at_stop
    assert whole.load.users_reached == number * RECORDED.users_reached
    assert [failure.count for failure in whole.load.failures] == [number]


def test_the_load_is_what_all_processes_make() -> None:
    """It begins with the first, its ramp ends with the last, and it stops with the first that stops."""
    late = dataclasses.replace(RECORDED, started_s=100.4, all_users_at_s=101.3, stopped_s=104.2)
    found = recorded_load.merged(RECORDED, [part(), part(load=late)]).load
    assert (found.started_s, found.all_users_at_s, found.stopped_s) == (100.0, 101.3, 104.0)
    unready = dataclasses.replace(RECORDED, all_users_at_s=None)
    assert recorded_load.merged(RECORDED, [part(), part(load=unready)]).load.all_users_at_s is None


@pytest.mark.parametrize(
    ("started_s", "users", "together"),
    [
        (100.0, (1, 2, 2, 2), (2, 4, 4, 4)),
        (100.02, (1, 2, 2, 2), (2, 4, 4, 4)),
        (101.0, (2, 2, 2), (1, 4, 4, 4)),
        (102.4, (2, 2), (1, 2, 4, 4)),
        (100.0, (), (1, 2, 2, 2)),
    ],
)
def test_users_of_each_second(started_s: float, users: tuple[int, ...], together: tuple[int, ...]) -> None:
    """Users are added up second by second, also where one process began later than another."""
    other = dataclasses.replace(RECORDED, started_s=started_s, users_by_second=users)
    assert recorded_load.merged(RECORDED, [part(), part(load=other)]).load.users_by_second == together


def test_the_generator_is_as_fit_as_its_worst_process() -> None:
    """The largest lag counts, times are added up, and each process is kept with its own figures."""
    slow = dataclasses.replace(
        RECORDED, lag_ms=Lag(p50=0.05, p99=12.0, max=13.0), cpu_s=3.0, run_queue_wait_s=0.5, users_reached=7
    )
    found = recorded_load.merged(
        RECORDED, [part(request(102.0, 1.0)), part(load=slow, clock=Clock(offset_s=5.0, error_s=0.002))]
    )
    assert found.load.lag_ms == Lag(p50=0.1, p99=12.0, max=13.0)
    assert (found.load.cpu_s, found.load.run_queue_wait_s) == (3.25, 0.51)
    assert [(one.users, one.requests, one.lag_p99_ms, one.clock_error_s) for one in found.processes] == [
        (2, 1, 0.9, 0.0),
        (7, 0, 12.0, 0.002),
    ]
    untold = dataclasses.replace(RECORDED, run_queue_wait_s=None)
    assert recorded_load.merged(RECORDED, [part(), part(load=untold)]).load.run_queue_wait_s is None


def test_failures_of_one_kind_are_counted_together() -> None:
    """The same failure of two processes is one row; another kind, or another message, is its own."""
    kinds = [("status", "500", 2), ("timeout", "", 1)]
    other = dataclasses.replace(
        RECORDED, failures=tuple(Failure(kind=kind, message=message, count=count) for kind, message, count in kinds)
    )
    found = recorded_load.merged(RECORDED, [part(load=other), part(load=other), part()]).load.failures
    assert [(one.kind, one.message, one.count) for one in found] == [
        ("status", "500", 4),
        ("status", "HTTP status 500", 1),
        ("timeout", "", 2),
    ]


def test_locusts_rows_and_exceptions_are_the_masters() -> None:
    """What locust itself counts of the whole load, only its master knows."""
    master = dataclasses.replace(RECORDED, exceptions=3, locust_rows=())
    found = recorded_load.merged(master, [part(), part()]).load
    assert (found.exceptions, found.locust_rows, found.options) == (3, (), RECORDED.options)


def test_a_port_of_another_machine_is_not_known() -> None:
    """Connections are told apart by the port of this machine; another machine may use the same one."""
    here = dataclasses.replace(request(102.0, 1.0), port=4242)
    found = recorded_load.merged(RECORDED, [part(here), part(here, clock=Clock(offset_s=0.0, error_s=0.001))])
    assert [one.port for one in found.requests] == [4242, None]


def write(directory: Path, workers: int) -> None:
    """What a master and its workers leave."""
    values.write_recording(directory, RECORDED, [])
    for number in range(1, workers + 1):
        at = directory / f"worker-{number}"
        values.write_recording(at, RECORDED, [request(101.0 + number, 1.0)])
        (at / "clock.json").write_text(json.dumps({"offset_s": 0.0, "error_s": 0.0}), encoding="utf-8")


def test_read(tmp_path: Path) -> None:
    """A recording of one process is read as it is, and one of several as a whole."""
    write(tmp_path, 3)
    assert recorded_load.read(tmp_path, Generators()).processes == ()
    found = recorded_load.read(tmp_path, THREE)
    assert [one.end_s for one in found.requests] == [102.0, 103.0, 104.0]
    assert len(found.processes) == 3


@pytest.mark.parametrize("missing", ["load.json", "worker-2/clock.json", "worker-2/load.json", "worker-3"])
def test_a_recording_that_is_not_whole(tmp_path: Path, missing: str) -> None:
    """Without the recording of a process there is no recording of the load."""
    write(tmp_path, 3)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidMeasurementError, match="left no complete recording"):
        recorded_load.read(tmp_path, THREE)
