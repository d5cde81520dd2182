"""Assembles the measurements of one load: the recording, the servers' CPU and memory, the mock's counts."""

from __future__ import annotations

import bisect
import itertools
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np

from scripts.config.errors import InvalidMeasurementError
from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.host.process import System
from scripts.host.telemetry import MachineSample, MemorySample, TreeSample
from scripts.measure import recording
from scripts.measure.loadgen import Probe, Samples
from scripts.measure.recorded_load import FoundLoad
from scripts.measure.recording import RecordedLoad, Request
from scripts.records.schema import Backend, Disturbance, Histograms, Measurements, Second, Server, SoakSample
from scripts.serving.launch import Booted

_EARLY_S = 1.0  # a load that ends by so much before its run time was ended by something else

Timed = TypeVar("Timed", TreeSample, MachineSample)


@dataclass(frozen=True, kw_only=True, slots=True)
class AssembledRun:
    """Everything of a run's record that the load gave."""

    measurements: Measurements
    histograms: Histograms
    timeline: list[Second]


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """A release's server, verified and ready for load."""

    booted: Booted
    settled_s: float  # start of the process until every worker had started and was idle
    first_answer_s: float  # of the verification
    memory_bytes: int  # before the load


def after_load(
    system: System,
    spec: RunSpec,
    found: FoundLoad,
    samples: Samples,
    mock: Booted,
    live: Live | None,
    recorded_in_all: int | None = None,
) -> AssembledRun:
    """Sample the servers once more before they are stopped, and put that beside what was recorded.

    `recorded_in_all`: the requests of both arms, where two were loaded at once.
    """
    recorded = found.load
    own_wait = spec.target.flow.own_wait_s if spec.target else 0.0
    requests, impossible_times = recording.without_impossible_times(found.requests, own_wait, spec.profile)
    loaded = samples.trees[(live.booted if live else mock).child.name]
    steady_s = recording.steady_from_s(recorded, spec.profile.warm_up_s)
    return AssembledRun(
        measurements=Measurements(
            load=recording.load(recorded, requests, impossible_times),
            generator=recording.generator(recorded, recorded_in_all, found.processes),
            server=_server(recorded, steady_s, requests, samples, live) if live else None,
            backend=_backend(
                system,
                mock,
                window(samples.trees[mock.child.name], recorded, steady_s),
                stall_s(samples.probes[mock.child.name], recorded),
            ),
            disturbance=_disturbance(samples, recorded, steady_s),
            soak=soak(samples.memory.get(live.booted.child.name, ()), recorded, requests, own_wait) if live else (),
        ),
        histograms=recording.histograms(recorded, requests, own_wait, spec.profile.warm_up_s),
        timeline=recording.timeline(recorded, requests, cpu_by_second(loaded, recorded)),
    )


def window(samples: Sequence[Timed], recorded: RecordedLoad, steady_s: float) -> list[Timed]:
    """The samples of the steady window, which begins at `steady_s`; InvalidMeasurementError with fewer than two."""
    inside = [sample for sample in samples if steady_s <= sample.at_s <= recorded.stopped_s]
    if len(inside) < 2:  # noqa: PLR2004 - a difference needs two
        raise _no_window(recorded, steady_s, len(inside))
    return inside


def _no_window(recorded: RecordedLoad, steady_s: float, inside: int) -> InvalidMeasurementError:
    """Why a load has no steady window: it ended early, or with its ramp, or left too little time or too few samples."""
    lasted_s, run_time_s = recorded.stopped_s - recorded.started_s, recorded.options.get("run_time_s", "")
    if run_time_s and lasted_s < float(run_time_s) - _EARLY_S:
        return InvalidMeasurementError(
            f"the load ended after {lasted_s:.1f} s of {run_time_s} s; there is no steady window: "
            "the load generator was ended from outside",
            then="let nothing end the processes of a run, and repeat this command",
        )
    if not recorded.users_reached:
        return InvalidMeasurementError(
            "the load generator was ended from outside before any user had started; there is no steady window",
            then="let nothing end the processes of a run, and repeat this command",
        )
    longer = "give the profile a longer run_time_s or a higher spawn_rate in suite.toml, then repeat this command"
    if recorded.all_users_at_s is None:
        users = recorded.options.get("users", "all")
        return InvalidMeasurementError(
            f"the load ended before its ramp, with {recorded.users_reached} of {users} users; "
            "there is no steady window",
            then=longer,
        )
    return InvalidMeasurementError(
        f"all users had started, and the steady window of {recorded.stopped_s - steady_s:.1f} s has too few samples "
        f"of CPU time: {inside}, and it needs 2",
        then=longer,
    )


def cpu_by_second(samples: Sequence[TreeSample], recorded: RecordedLoad) -> list[float | None]:
    """CPU seconds that the tree used in each second of the load, interpolated between the samples."""
    if not samples:
        return []
    length = max(1, int(recorded.stopped_s - recorded.started_s + 0.5))
    edges = recorded.started_s + np.arange(length + 1)
    at = [sample.at_s for sample in samples]
    total = np.interp(edges, at, [sample.total_cpu_s for sample in samples])
    covered = [at[0] <= begin and end <= at[-1] for begin, end in itertools.pairwise(edges)]
    used = [round(float(value), 3) for value in np.diff(total)]
    return [cpu if inside and cpu >= 0 else None for cpu, inside in zip(used, covered, strict=True)]


def soak(
    samples: Sequence[MemorySample], recorded: RecordedLoad, requests: Sequence[Request], own_wait_s: float | None
) -> tuple[SoakSample, ...]:
    """The samples that were taken while the load ran, with the requests, in order of completion, up to each."""
    inside = [sample for sample in samples if recorded.started_s <= sample.at_s <= recorded.stopped_s]
    ends = [request.end_s for request in requests]
    completed = [bisect.bisect_right(ends, sample.at_s) for sample in inside]
    return tuple(
        SoakSample(
            at_s=round(sample.at_s - recorded.started_s, 3),
            requests=last,
            memory_bytes=sample.sizes,
            overhead_p50_ms=_overhead_p50_ms(requests[first:last], own_wait_s),
        )
        for sample, first, last in zip(inside, [0, *completed], completed, strict=False)
    )


def _overhead_p50_ms(requests: Sequence[Request], own_wait_s: float | None) -> float | None:
    found = [one for request in requests if (one := recording.overhead_ms(request, own_wait_s)) is not None]
    return round(statistics.median(found), 3) if found else None


def stall_s(probes: Sequence[Probe], recorded: RecordedLoad) -> float | None:
    """How long the mock API took at most for an answer that needs no wait, while the load ran."""
    under_load = [
        probe.took_s
        for probe in probes
        if probe.sent_s + probe.took_s >= recorded.started_s and probe.sent_s <= recorded.stopped_s
    ]
    return round(max(under_load), 4) if under_load else None


def _server(
    recorded: RecordedLoad, steady_s: float, requests: Sequence[Request], samples: Samples, live: Live
) -> Server:
    child = live.booted.child
    inside = window(samples.trees[child.name], recorded, steady_s)
    first, last = inside[0], inside[-1]
    memory_after, kind = telemetry.memory(child.pid)
    shape = telemetry.shape(child.pid)
    workers = sorted(pid for pid in last.cpu_s if pid != child.pid)
    in_window = [request for request in requests if first.at_s < request.end_s <= last.at_s]
    owners = samples.owners.get(child.name, {})
    served = Counter(owners.get(request.port or 0) for request in in_window if request.outcome == recording.OK)
    firsts = recording.first_answers(requests, owners)
    return Server(
        ready_s=round(live.booted.ready_s, 3),
        settled_s=round(live.settled_s, 3),
        cpu_s=round(sum(cpu - first.cpu_s.get(pid, 0.0) for pid, cpu in last.cpu_s.items()), 3),
        window_s=(round(first.at_s - recorded.started_s, 3), round(last.at_s - recorded.started_s, 3)),
        completed=len(in_window),
        worker_cpu_s=tuple(round(last.cpu_s[pid] - first.cpu_s.get(pid, 0.0), 3) for pid in workers),
        workers_lost=len(first.cpu_s.keys() - last.cpu_s.keys()),
        memory_start_bytes=live.memory_bytes,
        memory_end_bytes=memory_after,
        memory_kind=kind,
        threads_seen=shape.threads,
        first_answer_s=round(live.first_answer_s, 6),
        first_answers_s=tuple(round(firsts[pid], 6) if pid in firsts else None for pid in workers),
        worker_requests=tuple(served[pid] for pid in workers) if any(one.port for one in requests) else (),
        workers_at_end=shape.children,
    )


def _disturbance(samples: Samples, recorded: RecordedLoad, steady_s: float) -> Disturbance:
    """What the rest of the machine did meanwhile: busy time that is neither this process's nor a child's."""
    inside = window(samples.machine, recorded, steady_s)
    first, last = inside[0], inside[-1]
    trees = [window(tree, recorded, steady_s) for tree in samples.trees.values()]
    before, after = samples.clocks
    ours = sum(tree[-1].total_cpu_s - tree[0].total_cpu_s for tree in trees) + last.own_s - first.own_s
    return Disturbance(
        window_s=round(last.at_s - first.at_s, 3),
        cores=os.cpu_count() or 1,
        busy_s=round(last.busy_s - first.busy_s, 3),
        other_s=round(last.busy_s - first.busy_s - ours, 3),
        stolen_s=round(last.stolen_s - first.stolen_s, 3),
        loop_after_ms=telemetry.reference_loop_ms(),
        harness_s=round(last.own_s - first.own_s, 3),
        suspended_s=round(after.suspended_s(before), 3),
        clock_step_s=round(after.step_s(before), 3),
    )


def _backend(system: System, mock: Booted, inside: Sequence[TreeSample], longest_s: float | None) -> Backend:
    reply = system.request(f"{mock.base}/counts")
    try:
        counts = msgspec.json.decode(reply.body if reply else b"", type=dict[str, int])
        received, answered = counts["received"], counts["answered"]
    except (msgspec.DecodeError, KeyError) as error:
        raise InvalidMeasurementError(
            "the mock API did not report its counts", then="repeat this command with --keep-logs, then read mock.log"
        ) from error
    return Backend(
        received=received,
        answered=answered,
        cpu_s=round(inside[-1].total_cpu_s - inside[0].total_cpu_s, 3),
        stall_max_s=longest_s,
    )
