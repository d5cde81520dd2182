"""What was recorded of a load, by one process or by several: then as if one had made all of it. Pure but for reading.

Reads `clock.json` as `locustfiles/distributed.py` writes it; the other files are for `recording` to read. Every request
is kept with its exact time, so distributions of the whole are the sums of those of the parts.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from scripts.config.errors import InvalidMeasurementError
from scripts.config.load_profiles import Generators
from scripts.measure import recording
from scripts.measure.recording import Lag, RecordedLoad, Request
from scripts.records.schema import Failure, LoadProcess

_CLOCK_FILE = "clock.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """How the clock of a process differs from this machine's."""

    offset_s: float  # to be added to its times; 0 on the same machine
    error_s: float  # by how much that may be off


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one of several processes recorded, in its own clock."""

    load: RecordedLoad
    requests: list[Request]
    clock: Clock


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundLoad:
    """What was recorded of a whole load."""

    load: RecordedLoad
    requests: list[Request]  # in order of completion
    processes: tuple[LoadProcess, ...] = ()  # each of several; none: one made all of it


def read(directory: Path, generators: Generators) -> FoundLoad:
    """Read a recording; InvalidMeasurementError when it is not complete."""
    whole = recording.read_load(directory)
    if not generators.several:
        return FoundLoad(load=whole, requests=recording.read_requests(directory))
    return merged(whole, [_part(directory / f"worker-{number}") for number in range(1, generators.number + 1)])


def _part(directory: Path) -> Part:
    try:
        clock = msgspec.json.decode((directory / _CLOCK_FILE).read_bytes(), type=Clock)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidMeasurementError(
            f"a load process left no complete recording ({type(error).__name__})",
            then="repeat this command with --keep-logs, then read locust.log",
        ) from error
    return Part(load=recording.read_load(directory), requests=recording.read_requests(directory), clock=clock)


def merged(whole: RecordedLoad, parts: Sequence[Part]) -> FoundLoad:
    """Several recordings as one. `whole`: of the master, which has locust's own rows and the exceptions.

    The load lasts while all processes make it: it begins with the first, its ramp ends with the last, and it stops with
    the first that stops.
    """
    aligned = [_aligned(part) for part in parts]
    loads = [part.load for part in aligned]
    started_s, stopped_s = min(load.started_s for load in loads), min(load.stopped_s for load in loads)
    ramps = [load.all_users_at_s for load in loads if load.all_users_at_s is not None]
    waits = [load.run_queue_wait_s for load in loads if load.run_queue_wait_s is not None]
    load = replace(
        whole,
        started_s=started_s,
        all_users_at_s=max(ramps) if len(ramps) == len(loads) else None,
        stopped_s=stopped_s,
        users_reached=sum(load.users_reached for load in loads),
        in_flight_at_stop=sum(load.in_flight_at_stop for load in loads),
        failures=_failures(loads),
        lag_ms=Lag(**{name: max(getattr(load.lag_ms, name) for load in loads) for name in ("p50", "p99", "max")}),
        cpu_s=sum(load.cpu_s for load in loads),
        run_queue_wait_s=sum(waits) if len(waits) == len(loads) else None,
        users_by_second=_users(loads, started_s, stopped_s),
    )
    requests = sorted(
        itertools.chain.from_iterable(part.requests for part in aligned), key=lambda request: request.end_s
    )
    return FoundLoad(load=load, requests=requests, processes=tuple(map(_process, parts)))


def _aligned(part: Part) -> Part:
    """The same in this machine's clock. A port of another machine says nothing here: two may have the same."""
    offset_s, load = part.clock.offset_s, part.load
    if part.clock == Clock(offset_s=0.0, error_s=0.0):
        return part
    all_users_at_s = None if load.all_users_at_s is None else load.all_users_at_s + offset_s
    moved = replace(
        load,
        started_s=load.started_s + offset_s,
        all_users_at_s=all_users_at_s,
        stopped_s=load.stopped_s + offset_s,
    )
    requests = [replace(one, start_s=one.start_s + offset_s, port=None) for one in part.requests]
    return replace(part, load=moved, requests=requests)


def _failures(loads: Sequence[RecordedLoad]) -> tuple[Failure, ...]:
    """Those of the same kind and message together."""
    counted = Counter[tuple[str, str]]()
    for failure in itertools.chain.from_iterable(load.failures for load in loads):
        counted[failure.kind, failure.message] += failure.count
    return tuple(
        Failure(kind=kind, message=message, count=count) for (kind, message), count in sorted(counted.items())
    )  # fmt: skip


def _users(loads: Sequence[RecordedLoad], started_s: float, stopped_s: float) -> tuple[int, ...]:
    """Users of all processes in each second of the load."""
    seconds = max(1, round(stopped_s - started_s))
    return tuple(sum(_users_at(load, started_s + second) for load in loads) for second in range(1, seconds + 1))


def _users_at(load: RecordedLoad, at_s: float) -> int:
    """Users of one process, which looks at them after each second of its own; none before it has begun."""
    looks = load.users_by_second[: max(0, round(at_s - load.started_s))]
    return looks[-1] if looks else 0


def _process(part: Part) -> LoadProcess:
    load = part.load
    return LoadProcess(
        users=load.users_reached,
        requests=len(part.requests),
        lag_p50_ms=load.lag_ms.p50,
        lag_p99_ms=load.lag_ms.p99,
        lag_max_ms=load.lag_ms.max,
        cpu_s=load.cpu_s,
        run_queue_wait_s=load.run_queue_wait_s,
        clock_error_s=part.clock.error_s,
    )
