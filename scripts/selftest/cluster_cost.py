"""What a cluster costs and gains: three workers in network namespaces, on real runs; and more machines by simulation.

Part of `nox -s bench-self`. Needs root; without it, the rows say so.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from scripts.campaign import local_workers
from scripts.cluster import certificates
from scripts.config.bounded_files import MIB
from scripts.config.cluster_address import PORT
from scripts.config.errors import NothingMeasuredError, SuiteError, quoted
from scripts.config.load_profiles import LOOPBACK, SMOKE
from scripts.config.matrix import ROOT, Suite
from scripts.host import telemetry
from scripts.host.process import Child, System
from scripts.records.schema import RunRecord
from scripts.records.storage import read_record, run_directories
from scripts.selftest import cluster_simulation, namespaces, suite_cost
from scripts.selftest.cluster_session import ENGINE, FLOW, RELEASE, WORKERS, Answered
from scripts.selftest.namespaces import CENTRE, Namespaces
from scripts.selftest.suite_cost import Cost, CostLimit, Figure

RUNS = 9
JOIN_S = 4.0  # from one worker to the next, as people start them: together, they would all boot servers at one moment
QUEUED = 1000
MACHINES = (1, 10, 30, 100)
_WHAT = f"{RUNS} {SMOKE} runs of {RELEASE} by {WORKERS} workers in network namespaces that join {JOIN_S:.0f} s apart"
_TIMEOUT_S, _LOOK_S = 900.0, 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """The same runs by one machine, and shared out."""

    alone_s: float  # from the start of the first run to the end of the last
    shared_s: float
    handling_s: float  # what the coordinator waited beyond a run, median, less what one machine needs between two
    coordinator_bytes: int  # the most memory that it had, with QUEUED runs to give out


def shared(found: Sharing | None) -> Iterator[Cost]:
    """What was measured, beside its limits; one row that says why there is nothing, where there is nothing."""
    if found is None:
        yield Cost(what=_WHAT, figures=(Figure(text=f"not measured: {namespaces.why_not()}"),))
        return
    ratio = found.shared_s / found.alone_s
    text = f"{found.shared_s:.0f} s against {found.alone_s:.0f} s by one machine = {ratio:.2f}"
    yield Cost(what=_WHAT, figures=(Figure(text=text, value=ratio, limit=CostLimit(most=0.5, text="<= 0.5")),))
    limit = CostLimit(most=0.5, text="<= 0.5 s")
    yield Cost(
        what="the cluster's own time for a run: median wait beyond the run, less what one machine needs between two",
        figures=(Figure(text=f"{found.handling_s:.2f} s", value=found.handling_s, limit=limit),),
    )
    size = found.coordinator_bytes
    text, most = f"{size / MIB:.0f} MiB", CostLimit(most=200e6, text="<= 200 MB")
    yield Cost(what=f"coordinator with {QUEUED} queued runs", figures=(Figure(text=text, value=size, limit=most),))


def simulated(suite: Suite, found: Sharing, prepare_s: float) -> Iterator[Cost]:
    """How long the whole matrix takes on more machines.

    `prepare_s`: what each of them needs to build the virtualenvs of all releases.
    """
    for campaign in cluster_simulation.campaigns(suite, ROOT / "results"):
        minutes = [
            cluster_simulation.makespan_s(campaign.rounds_s, number, prepare_s, found.handling_s) / 60
            for number in MACHINES
        ]
        times = [f"{number}: {each:.0f} min" for number, each in zip(MACHINES, minutes, strict=True)]
        what = (
            f"simulated: {len(suite.releases)} releases, {len(suite.scenarios)} scenarios, "
            f"{cluster_simulation.ROUNDS} rounds, {campaign.name} ({len(campaign.rounds_s)} rounds to give out), "
            "by number of machines"
        )
        yield Cost(what=what, figures=(*map(_figure, times), _figure(f"{campaign.bytes / 1e6:.0f} MB of records")))


def _figure(text: str) -> Figure:
    return Figure(text=text)


def measure(system: System, scratch: Path) -> Sharing | None:
    """Make the runs on this machine alone, then by the workers; None where there can be no network namespaces.

    SuiteError when something fails.
    """
    if namespaces.why_not():
        return None
    alone = _alone(system, scratch / "alone")
    answered, records, most = _shared(system, scratch)
    run_s = {record.run_id: _took(record).total_seconds() for record in records}
    alone_s = span_s(alone)
    between_s = (alone_s - sum(_took(record).total_seconds() for record in alone)) / (len(alone) - 1)
    return Sharing(
        alone_s=alone_s,
        shared_s=span_s(records),
        handling_s=statistics.median(one.took_s - run_s[one.run_id] for one in answered) - between_s,
        coordinator_bytes=most,
    )


def span_s(records: Sequence[RunRecord]) -> float:
    """From the start of the first run to the end of the last."""
    begins = [datetime.fromisoformat(record.started_at) for record in records]
    ends = [begin + _took(record) for begin, record in zip(begins, records, strict=True)]
    return (max(ends) - min(begins)).total_seconds()


def _took(record: RunRecord) -> timedelta:
    return timedelta(seconds=sum(record.phases_s.values()))


def _alone(system: System, folder: Path) -> list[RunRecord]:
    target = ("--release", RELEASE, "--engine", ENGINE, "--flow", FLOW)
    found, output = suite_cost.bench(system, folder, *target, "--profile", SMOKE, "--rounds", str(RUNS))
    if len(found) != RUNS:
        raise _failed("the session on this machine alone", output)
    return [read_record(path) for path in found]


def _shared(system: System, scratch: Path) -> tuple[list[Answered], list[RunRecord], int]:
    """Which runs workers have made, their records, and the most memory of the coordinator, in bytes."""
    folder = scratch / "cluster"
    folder.mkdir()
    certificates.make(folder / "certificates", datetime.now(UTC))
    machines = Namespaces(prefix=f"bench-self-{os.getpid()}", number=WORKERS, system=system)
    here = f"tls://{LOOPBACK}:{PORT}"
    with contextlib.ExitStack() as stack:
        stack.callback(machines.remove)
        machines.build()

        def start(name: str, place: int, *argv: str) -> Child:
            command = machines.command(place, [sys.executable, "-m", *argv])
            return local_workers.start(name, command, folder, system, stack)

        options = ("--certificates", str(folder / "certificates"))
        start("scheduler", CENTRE, "scripts", "scheduler", f"tls://0.0.0.0:{PORT}", *options)  # of the namespace
        session = "scripts.selftest.cluster_session"
        results = folder / "results"
        child = start("coordinator", CENTRE, session, here, options[1], str(results), str(QUEUED))
        for place in machines.others:
            start(f"worker-{place}", place, "scripts", "worker", f"tls://{machines.centre_of(place)}:{PORT}", *options)
            system.sleep(JOIN_S)
        answered, most = _watched(system, child)
    by_id = {record.run_id: record for record in map(read_record, run_directories(results))}
    return answered, [by_id[one.run_id] for one in answered], most


def _watched(system: System, child: Child) -> tuple[list[Answered], int]:
    """The first answers that the coordinator got, and the most memory that it had until then."""
    ends, most = system.monotonic() + _TIMEOUT_S, 0
    while len(answered := _answered(child)) < RUNS:
        if child.code() is not None or system.monotonic() > ends:
            raise _failed("the coordinator", child.log.read_text(encoding="utf-8", errors="replace"))
        most = max(most, telemetry.memory(child.pid)[0])
        system.sleep(_LOOK_S)
    return answered[:RUNS], most


def _answered(child: Child) -> list[Answered]:
    lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [msgspec.json.decode(line, type=Answered) for line in lines if line.startswith("{") and line.endswith("}")]


def _failed(what: str, output: str) -> SuiteError:
    return NothingMeasuredError(f"{what} made too few runs:\n{quoted(output)}", then="nox -s bench-self")
