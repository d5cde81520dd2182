"""From a recording to counts, distributions and a timeline, with figures worked out by hand."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path

import msgspec
import pytest

from scripts.config.errors import InvalidMeasurementError
from scripts.measure import recording
from tests.fakes import values
from tests.fakes.values import RECORDED, request


def test_recording_round_trip(tmp_path: Path) -> None:
    """What the recorder wrote is read with all of its digits, in order of completion."""
    rows = [request(103.5, 1260.123456789), request(102.25, 1251.0), request(103.0, 0.64, "keepalive_race")]
    values.write_recording(tmp_path, RECORDED, rows)
    assert recording.read_load(tmp_path) == RECORDED
    assert recording.read_requests(tmp_path) == [rows[1], rows[2], rows[0]]


@pytest.mark.parametrize("content", [None, b"", b'{"locust": "2.47.0"', b'{"locust": "2.47.0"}', b'{"locust": "\xff"}'])
def test_incomplete_recording(tmp_path: Path, content: bytes | None) -> None:
    """A recording that is missing, cut short or foreign makes the measurement invalid."""
    if content is not None:
        (tmp_path / "load.json").write_bytes(content)
    with pytest.raises(InvalidMeasurementError, match="left no complete recording"):
        recording.read_load(tmp_path)


HEAD = b"start_s,response_time_ms,outcome,response_bytes,backend_s,node_s,idle_s,user\n"


@pytest.mark.parametrize(
    "content",
    [None, HEAD + b"1.0,2.0", HEAD + b"1,x,ok,1,,,,1\n", HEAD + b"\xff", HEAD[5:], HEAD + b"1,2,ok,1,,,,1,9\n"],
)
def test_bad_request_log(tmp_path: Path, content: bytes | None) -> None:
    """A request log that is missing, cut short or foreign makes the measurement invalid."""
    if content is not None:
        (tmp_path / "requests.csv").write_bytes(content + (b"1,2,ok,1,,,,1\n" if content == HEAD[5:] else b""))
    with pytest.raises(InvalidMeasurementError, match="the request log cannot be read"):
        recording.read_requests(tmp_path)


def test_load() -> None:
    """Times are on the timeline's clock, which starts with the load."""
    load = recording.load(RECORDED, [request(102.0, 1000.0)], 3)
    assert (load.started_s, load.all_users_at_s, load.stopped_s) == (0.0, 1.0, 4.0)
    assert (load.recorded, load.in_flight_at_stop, load.users_reached) == (1, 1, 2)
    assert load.impossible_times == 3
    assert load.locust_rows == RECORDED.locust_rows


def test_load_whose_ramp_never_ended() -> None:
    """When not all users came to start, there is no such time."""
    assert recording.load(dataclasses.replace(RECORDED, all_users_at_s=None), [], 0).all_users_at_s is None


def test_generator() -> None:
    """The generator's own fitness is taken as it was recorded."""
    generator = recording.generator(RECORDED)
    assert (generator.lag_p50_ms, generator.lag_p99_ms, generator.lag_max_ms) == (0.1, 0.9, 2.5)
    assert (generator.cpu_s, generator.run_queue_wait_s, generator.exceptions) == (0.25, 0.01, 0)


def test_windows() -> None:
    """A request belongs to the window in which it completed; a failure is in no latency but its own."""
    rows = [
        request(100.999, 1250.0),
        request(101.0, 1260.0),
        request(103.0, 1300.0),
        request(102.0, 0.64, "keepalive_race"),
    ]
    windows = recording.histograms(RECORDED, rows, 0.25, 0).windows
    assert windows["ramp"]["ok"].total_us == 1_250_000
    assert windows["steady"]["ok"].total_us == 2_560_000
    assert windows["steady"]["failed"].total_us == 640
    assert "failed" not in windows["ramp"]


def test_windows_without_a_steady_one() -> None:
    """When not all users came to start, everything is ramp."""
    windows = recording.histograms(
        dataclasses.replace(RECORDED, all_users_at_s=None), [request(103.0, 1250.0)], 0.25, 0
    ).windows
    assert windows["ramp"]["ok"].counts == (1,)
    assert windows["steady"] == {}


def test_window_of_a_drain() -> None:
    """What finishes after the load was stopped counts in neither ramp nor steady state."""
    rows = [request(RECORDED.stopped_s, 1250.0), request(RECORDED.stopped_s + 0.001, 1300.0)]
    windows = recording.histograms(RECORDED, rows, 0.25, 0).windows
    assert (windows["steady"]["ok"].total_us, windows["drain"]["ok"].total_us) == (1_250_000, 1_300_000)


def test_warm_up_is_ramp() -> None:
    """The steady window begins when the warm-up after the last user's start is over, and never after the stop."""
    rows = [request(102.9, 1250.0), request(103.0, 1300.0)]
    windows = recording.histograms(RECORDED, rows, 0.25, 2.0).windows
    assert (windows["ramp"]["ok"].total_us, windows["steady"]["ok"].total_us) == (1_250_000, 1_300_000)
    assert recording.steady_from_s(RECORDED, 1000.0) == RECORDED.stopped_s


def test_first_answers() -> None:
    """A worker's first answer is of the request it was sent first; failures and unknown connections tell nothing."""
    rows = [
        dataclasses.replace(request(103.0, 1500.0), port=5001),
        dataclasses.replace(request(102.9, 1300.0), port=5001),
        dataclasses.replace(request(101.0, 0.5, "connection"), port=5002),
        dataclasses.replace(request(103.0, 1260.0), port=5002),
        request(100.0, 1250.0),
    ]
    assert recording.first_answers(rows, {5001: 11, 5002: 12, 5003: 13}) == {11: 1.5, 12: 1.26}


def test_overhead() -> None:
    """Overhead is the response time without the flow's and the backend's waits; a part of it is the backend's call."""
    steady = recording.histograms(RECORDED, [request(103.0, 1260.0)], 0.25, 0).windows["steady"]
    assert steady["overhead"].total_us == 10_000  # 1260 - (250 + 1000)
    assert steady["backend_call"].total_us == 4_000  # 1004 - 1000


@pytest.mark.parametrize(
    ("own_wait_s", "backend_s", "node_s", "kinds"),
    [
        (None, 1.0, 1.004, {"ok", "backend_call"}),
        (0.25, None, 1.004, {"ok"}),
        (0.25, 1.0, None, {"ok", "overhead"}),
        (None, None, None, {"ok"}),
    ],
)
def test_what_is_not_reported_is_left_out(
    own_wait_s: float | None, backend_s: float | None, node_s: float | None, kinds: set[str]
) -> None:
    """An answer or a flow that does not tell its waits has no overhead, rather than a wrong one."""
    row = request(103.0, 1260.0, backend_s=backend_s, node_s=node_s)
    assert set(recording.histograms(RECORDED, [row], own_wait_s, 0).windows["steady"]) == kinds


@pytest.mark.fault
@pytest.mark.parametrize(
    ("own_wait_s", "backend_s", "node_s", "possible"),
    [
        (0.25, 1.0, 1.004, True),
        (0.25, 0.9991, 0.9982, True),  # a clock tick early
        (0.25, -1e9, 1.004, False),
        (0.25, 0.99, 1.004, False),  # below the profile's 1 s
        (0.25, 1.002, 1.004, False),  # above the profile's 1 s
        (0.25, math.nan, 1.004, False),
        (0.27, 1.0, 1.004, False),  # both waits are longer than the request
        (None, 1.2, 1.204, True),  # it may have asked twice
        (None, -1e9, 1.004, False),
        (0.25, 1.0, 0.9, False),  # the call is shorter than the backend's wait
        (0.25, 1.0, 1.262, False),  # the call is longer than the request
        (0.25, 1.0, math.nan, False),
        (0.25, None, -5.0, False),
        (0.25, None, None, True),
    ],
)
def test_impossible_times_enter_no_histogram(
    own_wait_s: float | None, backend_s: float | None, node_s: float | None, *, possible: bool
) -> None:
    """A time of the backend that cannot be is counted, and gives neither an overhead nor a backend call."""
    rows = [request(103.0, 1260.0, backend_s=backend_s, node_s=node_s)]
    checked, impossible = recording.without_impossible_times(rows, own_wait_s, values.PROFILE)
    assert impossible == (not possible)
    if not possible:
        assert set(recording.histograms(RECORDED, checked, own_wait_s, 0).windows["steady"]) == {"ok"}
    else:
        assert checked == rows


def test_counts_by_hand() -> None:
    """Equal times share a bucket; the sum, the least and the most are exact."""
    found = recording.counts([1.0, 2.0, 1.0, 1250.0373], 4)
    assert found.values_us.tolist() == [1000, 2000, 1_249_984]  # buckets of 64 us above 1.049 s
    assert found.counts.tolist() == [2, 1, 1]
    assert (found.total_us, found.min_us, found.max_us) == (1_254_037, 1000, 1_250_037)


def test_counts_of_nothing() -> None:
    """No values are an empty distribution."""
    found = recording.counts([], 4)
    assert (found.values_us.size, found.counts.size, found.total_us, found.min_us, found.max_us) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(("value_ms", "least_us"), [(-5.0, 1), (0.0, 1), (0.0004, 1), (0.0026, 3)])
def test_times_below_a_microsecond(value_ms: float, least_us: int) -> None:
    """A time below one microsecond, or a negative overhead, counts as one."""
    assert recording.counts([value_ms], 4).values_us == (least_us,)


def test_longer_than_the_longest() -> None:
    """A time beyond an hour is counted in the last bucket, and its own value is kept as the most."""
    found = recording.counts([4_000_000.0], 4)
    assert found.max_us == 4_000_000_000
    assert found.values_us[0] <= 3_600_000_000


def test_percentiles_are_exact() -> None:
    """Any percentile read from the buckets is within 0.01 % of the one of the raw values."""
    draws = random.Random(1)  # noqa: S311 - the test must repeat
    raw = sorted(draws.lognormvariate(7.0, 0.5) for _ in range(5000))
    found = recording.counts(raw, 4)
    bucketed = [value for value, count in zip(found.values_us, found.counts, strict=True) for _ in range(count)]
    assert len(bucketed) == len(raw)
    for value_us, exact_ms in zip(bucketed, raw, strict=True):
        assert abs(value_us - exact_ms * 1000) <= max(0.6, exact_ms * 1000 / 10_000)


def test_distributions_merge_by_adding() -> None:
    """The buckets of two halves, added, are those of the whole."""
    draws = random.Random(2)  # noqa: S311 - the test must repeat
    raw = [draws.uniform(1, 3000) for _ in range(1000)]
    whole, first, second = (recording.counts(part, 4) for part in (raw, raw[:500], raw[500:]))
    added: dict[int, int] = {}
    for part in (first, second):
        for value, count in zip(part.values_us, part.counts, strict=True):
            added[value] = added.get(value, 0) + count
    assert added == dict(zip(whole.values_us, whole.counts, strict=True))


def test_timeline_by_hand() -> None:
    """A second has what completed in it: users, counts, and the median and p95 of its successes."""
    rows = [
        request(100.999, 1000.0),
        request(101.0, 100.0),
        *(request(101.5, 200.0), request(101.6, 300.0), request(101.7, 400.0), request(101.8, 1.0, "status")),
        request(103.2, 500.0, "timeout"),
    ]
    seconds = recording.timeline(RECORDED, rows, [0.5, None, 0.25])
    assert [(row.second, row.users, row.requests, row.failures) for row in seconds] == [
        *((0, 1, 1, 0), (1, 2, 5, 1), (2, 2, 0, 0), (3, 2, 1, 1)),
    ]
    assert [row.p50_ms for row in seconds] == [1000.0, 250.0, None, None]
    assert [row.p95_ms for row in seconds] == [1000.0, 400.0, None, None]
    assert [row.server_cpu_s for row in seconds] == [0.5, None, 0.25, None]


@pytest.mark.parametrize(("number", "p95_ms"), [(1, 1.0), (19, 19.0), (20, 19.0), (21, 20.0), (100, 95.0)])
def test_p95_is_the_nearest_rank(number: int, p95_ms: float) -> None:
    """p95 of n values is the value of rank 0.95 n, rounded up."""
    rows = [request(101.5, float(n)) for n in range(1, number + 1)]
    assert recording.timeline(RECORDED, rows, [])[1].p95_ms == p95_ms


@pytest.mark.parametrize(("lasted_s", "length"), [(0.2, 1), (4.0, 4), (4.2, 4), (4.7, 5)])
def test_length_of_the_timeline(lasted_s: float, length: int) -> None:
    """A rest of less than half a second is no row of its own; nothing that completed is lost, late or early."""
    recorded = dataclasses.replace(RECORDED, stopped_s=100.0 + lasted_s)
    rows = [request(99.9, 10.0), request(100.1, 10.0), request(107.0, 10.0)]
    seconds = recording.timeline(recorded, rows, [])
    assert len(seconds) == length
    assert sum(row.requests for row in seconds) == 3


def test_users_of_late_seconds() -> None:
    """A second that the recorder did not count has the users of the last one that it did; none counted is none."""
    recorded = dataclasses.replace(RECORDED, users_by_second=(1, 2))
    assert [row.users for row in recording.timeline(recorded, [], [])] == [1, 2, 2, 2]
    assert recording.timeline(dataclasses.replace(RECORDED, users_by_second=()), [], [])[0].users == 0


def test_unknown_fields_of_a_recording_are_passed_over(tmp_path: Path) -> None:
    """A recorder may write more than is read."""
    (tmp_path / "load.json").write_bytes(
        msgspec.json.encode(msgspec.to_builtins(RECORDED) | {"in_flight_age_ms": [1.0]})
    )
    assert recording.read_load(tmp_path) == RECORDED
