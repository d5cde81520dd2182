"""From what locust's recorder wrote to what a record holds: counts, distributions, a timeline. Pure but for reading.

Reads `load.json` and `requests.csv` as `locustfiles/recorder.py` writes them.
"""

from __future__ import annotations

import csv
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np

from scripts.config.errors import InvalidMeasurementError
from scripts.config.flows import CLOCK_SLACK_S
from scripts.config.load_profiles import Profile
from scripts.records import histogram_codec
from scripts.records.schema import (
    Failure,
    Generator,
    HistogramCounts,
    Histograms,
    Load,
    LoadProcess,
    LocustRow,
    Second,
    Window,
)

# 4 are 0.1 ms at 1.25 s. Overheads are a hundredth of that, and 3 are 0.01 ms at 10 ms in a third of the file.
_DIGITS = {"ok": 4, "failed": 4, "overhead": 3, "backend_call": 3}
_LOAD_FILE, _REQUESTS_FILE = "load.json", "requests.csv"
OK = "ok"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One recorded request; the other columns of the request log are not read."""

    start_s: float  # monotonic
    response_time_ms: float
    outcome: str  # "ok", or the kind of failure
    backend_s: float | None  # what the backend waits, by request
    node_s: float | None  # the backend call as the flow saw it
    port: int | None  # the local one of its connection

    @property
    def end_s(self) -> float:
        """When it completed, monotonic."""
        return self.start_s + self.response_time_ms / 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Lag:
    """How late the generator's event loop woke a sleeper."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedLoad:
    """`load.json`."""

    locust: str
    user_class: str
    options: dict[str, str]
    started_s: float  # monotonic, like all times here
    all_users_at_s: float | None
    stopped_s: float
    users_reached: int
    in_flight_at_stop: int
    failures: tuple[Failure, ...]
    locust_rows: tuple[LocustRow, ...]
    lag_ms: Lag
    cpu_s: float
    run_queue_wait_s: float | None
    exceptions: int
    users_by_second: tuple[int, ...]


def read_load(directory: Path) -> RecordedLoad:
    """Read `load.json`; InvalidMeasurementError when the recording is not complete."""
    try:
        return msgspec.json.decode((directory / _LOAD_FILE).read_bytes(), type=RecordedLoad)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidMeasurementError(
            f"the load generator left no complete recording ({type(error).__name__})",
            then="repeat this command with --keep-logs, then read locust.log",
        ) from error


def read_requests(directory: Path) -> list[Request]:
    """Read `requests.csv`, in order of completion."""
    try:
        with (directory / _REQUESTS_FILE).open(encoding="utf-8", newline="") as stream:
            rows = [{key: value or None for key, value in row.items()} for row in csv.DictReader(stream)]
        requests = msgspec.convert(rows, type=list[Request], strict=False)
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.ValidationError) as error:
        raise InvalidMeasurementError(
            f"the request log cannot be read: {error}",
            then="repeat this command with --keep-logs, then read locust.log",
        ) from error
    return sorted(requests, key=lambda request: request.end_s)


def without_impossible_times(
    requests: Sequence[Request], own_wait_s: float | None, profile: Profile
) -> tuple[list[Request], int]:
    """The same requests, but without times in an answer that cannot be; and how many answers had such times.

    A flow writes its answer itself, so what it says of the backend is held against what is known without it. The
    1070 committed runs overstep these bounds by 0.4 ms at most.
    """
    checked = [
        request if _is_possible(request, own_wait_s, profile) else replace(request, backend_s=None, node_s=None)
        for request in requests
    ]
    return checked, sum(after is not before for after, before in zip(checked, requests, strict=True))


def _is_possible(request: Request, own_wait_s: float | None, profile: Profile) -> bool:
    """Whether the backend can have waited for so long, and its call have taken so long.

    Only a flow that declares its own wait is known to ask the backend once. False for NaN, too.
    """
    took_s, shortest_s, longest_s = request.response_time_ms / 1000, profile.backend_wait_min_s, math.inf
    if own_wait_s is not None:
        longest_s = min(profile.backend_wait_max_s, took_s - own_wait_s)
    if request.backend_s is not None:
        if not shortest_s - CLOCK_SLACK_S <= request.backend_s <= longest_s + CLOCK_SLACK_S:
            return False
        shortest_s = request.backend_s
    return request.node_s is None or shortest_s - CLOCK_SLACK_S <= request.node_s <= took_s + CLOCK_SLACK_S


def load(recorded: RecordedLoad, requests: Sequence[Request], impossible_times: int) -> Load:
    """What the load generator saw, on the timeline's clock."""
    return Load(
        started_s=0.0,
        all_users_at_s=_since(recorded.started_s, recorded.all_users_at_s),
        stopped_s=round(recorded.stopped_s - recorded.started_s, 6),
        users_reached=recorded.users_reached,
        recorded=len(requests),
        in_flight_at_stop=recorded.in_flight_at_stop,
        failures=recorded.failures,
        locust_rows=recorded.locust_rows,
        impossible_times=impossible_times,
    )


def generator(
    recorded: RecordedLoad, recorded_in_all: int | None = None, processes: tuple[LoadProcess, ...] = ()
) -> Generator:
    """How fit the generator was; `recorded_in_all`: its requests, where it loaded two arms at once."""
    return Generator(
        locust=recorded.locust,
        user_class=recorded.user_class,
        options=recorded.options,
        lag_p50_ms=recorded.lag_ms.p50,
        lag_p99_ms=recorded.lag_ms.p99,
        lag_max_ms=recorded.lag_ms.max,
        cpu_s=recorded.cpu_s,
        run_queue_wait_s=recorded.run_queue_wait_s,
        exceptions=recorded.exceptions,
        recorded_in_all=recorded_in_all,
        processes=processes,
    )


def overhead_ms(request: Request, own_wait_s: float | None) -> float | None:
    """What promptflow, gunicorn and the loopback add to a success; None where flow or answer do not tell the waits."""
    if own_wait_s is None or request.backend_s is None or request.outcome != OK:
        return None
    return request.response_time_ms - (own_wait_s + request.backend_s) * 1000


def histograms(
    recorded: RecordedLoad, requests: Iterable[Request], own_wait_s: float | None, warm_up_s: float
) -> Histograms:
    """Distributions of each window: `ok`, `failed`, and of successes that report it `overhead` and `backend_call`.

    backend_call = the call as the flow saw it - the backend's wait: the part of the overhead around the call.
    """
    values: dict[Window, dict[str, list[float]]] = {window: defaultdict(list) for window in get_args(Window)}
    for request in requests:
        kinds = values[_window(recorded, request, warm_up_s)]
        if request.outcome != OK:
            kinds["failed"].append(request.response_time_ms)
            continue
        kinds["ok"].append(request.response_time_ms)
        if (beyond_ms := overhead_ms(request, own_wait_s)) is not None:
            kinds["overhead"].append(beyond_ms)
        if request.node_s is not None and request.backend_s is not None:
            kinds["backend_call"].append((request.node_s - request.backend_s) * 1000)
    return Histograms(
        windows={
            window: {kind: counts(ms, _DIGITS[kind]) for kind, ms in kinds.items()} for window, kinds in values.items()
        },
    )


def steady_from_s(recorded: RecordedLoad, warm_up_s: float) -> float:
    """When the steady window begins, monotonic; at the stop when not all users ever started."""
    begin = recorded.stopped_s if recorded.all_users_at_s is None else recorded.all_users_at_s + warm_up_s
    return min(begin, recorded.stopped_s)


def _window(recorded: RecordedLoad, request: Request, warm_up_s: float) -> Window:
    if recorded.all_users_at_s is None or request.end_s < steady_from_s(recorded, warm_up_s):
        return "ramp"
    return "steady" if request.end_s <= recorded.stopped_s else "drain"


def counts(values_ms: Sequence[float], digits: int) -> HistogramCounts:
    """An HdrHistogram of times. What is below one microsecond is in its first bucket."""
    micros = [round(value * 1000) for value in values_ms]
    lowest = histogram_codec.buckets(digits).get_lowest_equivalent_value
    buckets = Counter(lowest(min(max(value, 1), histogram_codec.LONGEST_US)) for value in micros)
    values = sorted(buckets)
    return HistogramCounts(
        values_us=np.array(values, dtype=np.int64),
        counts=np.array([buckets[value] for value in values], dtype=np.int64),
        total_us=sum(micros),
        max_us=max(micros, default=0),
        min_us=min(micros, default=0),
        significant_digits=digits,
    )


def first_answers(requests: Iterable[Request], owners: Mapping[int, int]) -> dict[int, float]:
    """Response time in seconds of the first request that each worker was sent, by process id.

    `owners`: which worker holds a connection, by its client's port. A kept-alive connection stays with its worker.
    """
    first: dict[int, Request] = {}
    for request in sorted(requests, key=lambda request: request.start_s):
        worker = owners.get(request.port or 0)
        if request.outcome == OK and worker is not None:
            first.setdefault(worker, request)
    return {worker: request.response_time_ms / 1000 for worker, request in first.items()}


def timeline(recorded: RecordedLoad, requests: Iterable[Request], server_cpu: Sequence[float | None]) -> list[Second]:
    """One row for each full or last second of the load."""
    length = max(1, int(recorded.stopped_s - recorded.started_s + 0.5))
    done: list[list[Request]] = [[] for _ in range(length)]
    for request in requests:
        second = int(request.end_s - recorded.started_s)
        done[min(max(second, 0), length - 1)].append(request)
    return [
        _second(
            number,
            completed,
            recorded.users_by_second[min(number, len(recorded.users_by_second) - 1)] if recorded.users_by_second else 0,
            server_cpu[number] if number < len(server_cpu) else None,
        )
        for number, completed in enumerate(done)
    ]


def _second(number: int, completed: Sequence[Request], users: int, server_cpu_s: float | None) -> Second:
    good = sorted(request.response_time_ms for request in completed if request.outcome == OK)
    return Second(
        second=number,
        users=users,
        requests=len(completed),
        failures=len(completed) - len(good),
        p50_ms=round(statistics.median(good), 3) if good else None,
        p95_ms=round(good[max(0, -(-len(good) * 95 // 100) - 1)], 3) if good else None,
        server_cpu_s=server_cpu_s,
    )


def _since(start_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else round(at_s - start_s, 6)
