"""The load: locust as a child with a clean environment, watched together with the servers that it loads."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.config.bounded_files import MIB
from scripts.config.errors import InvalidMeasurementError
from scripts.config.flows import REQUEST_FILE
from scripts.config.matrix import ROOT
from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.host.process import Child, System
from scripts.host.progress import Progress
from scripts.host.telemetry import Clocks, MachineSample, MemorySample, TreeSample
from scripts.serving.launch import Booted
from scripts.serving.server_command import last_lines, require_alive

LOCUSTFILES = ROOT / "locustfiles"
DUET = "duet.py"  # the locustfile of two loads at once
DISTRIBUTED = "distributed.py"  # the locustfile of a load by several processes
WORKERS_PORT = 5557  # locust's own: where workers that were started elsewhere find their master
REFUSED = 22  # exit code of a worker that the master did not let in, as distributed.py has it
_HALVES = ("first", "second")  # where it records what each of its hosts was asked, as duet.py names them
_FAILED_FILE = "failed.txt"  # where a master says why its load is not whole, as distributed.py names it
PROGRESS_FILE = "progress.csv"
_POLL_S = 0.1
_RATE_ROWS = 6  # the rate shown is over the last five seconds
_SAMPLE_S = 1.0
_PROBE_S = 0.3  # a probe costs 0.8 ms here and 0.6 ms in the mock
_PROBE_TIMEOUT_S = 1.0  # beyond it, how long the mock stood still does not matter
_LATE_S = 60.0  # beyond run time and drain: start of locust, and writing what it recorded
_JOIN_S, _JOIN_FROM_ELSEWHERE_S = 60, 120  # for all workers to be there
_LEAVE_ALONE = "let nothing end the processes of a run, and repeat this command"
_DELIVERY_S = 60.0  # for the recordings of several processes to arrive, as distributed.py has it


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A question to the mock API that needs no wait: it takes as long as the mock's event loop stands still."""

    sent_s: float  # monotonic
    took_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """CPU time, sampled once a second while the load ran, and how soon the mock API answered meanwhile."""

    trees: dict[str, list[TreeSample]]  # of each server and of locust, by its name
    machine: list[MachineSample]
    owners: dict[str, dict[int, int]]  # of each loaded server: which process holds the connection to a client's port
    clocks: tuple[Clocks, Clocks]  # before the load, and after it
    probes: dict[str, list[Probe]]  # of each mock API
    memory: dict[str, list[MemorySample]]  # of each loaded server, where it is sampled under load; else empty


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A server under load, and what it asks."""

    server: Booted  # the mock API itself where it is loaded alone
    mock: Booted

    @property
    def children(self) -> dict[str, Child]:
        """Its processes by name."""
        return {child.name: child for child in (self.server.child, self.mock.child)}


@dataclass(kw_only=True, slots=True)
class _MemoryWatch:
    """Samples the memory of servers, as often as a run wants it."""

    servers: Sequence[Child]
    every_s: float  # math.inf: never
    due_s: float
    samples: dict[str, list[MemorySample]] = field(default_factory=dict)

    def look(self, system: System) -> None:
        """Take a sample of each server if it is time."""
        if self.every_s == math.inf or system.monotonic() < self.due_s:
            return
        self.due_s += self.every_s
        for server in self.servers:
            sample = telemetry.memory_sample(server.pid, system.monotonic())
            self.samples.setdefault(server.name, []).append(sample)

    @property
    def text(self) -> str:
        """What was seen last, for the line about the load; empty where nothing is sampled."""
        last = [samples[-1].total for samples in self.samples.values()]
        return f", {sum(last) / MIB:.0f} MiB" if last else ""


def locustfile(spec: RunSpec) -> Path:
    """The locustfile of a run."""
    if spec.profile.at_once > 1:
        return LOCUSTFILES / DUET
    if spec.generators.several:
        return LOCUSTFILES / DISTRIBUTED
    return LOCUSTFILES / ("mock_api.py" if spec.target is None else "score.py")


def recordings(spec: RunSpec, into: Path) -> list[Path]:
    """Where the recording of each host is, in the order of the hosts."""
    return [into / half for half in _HALVES] if spec.profile.at_once > 1 else [into]


def command(
    spec: RunSpec, ports: Sequence[int | str], record_to: Path | str, workers_port: int | str = WORKERS_PORT
) -> tuple[str, ...]:
    """Locust's command line; a port for each arm that is loaded.

    `workers_port`: where the master of several processes waits for them.
    """
    profile, arms = spec.profile, len(ports)
    hosts = [f"http://{spec.generators.address}:{port}" for port in ports]
    argv = [
        *(sys.executable, "-m", "locust", "-f", str(locustfile(spec)), "--headless", "--only-summary"),
        *("--host", hosts[0], "--users", f"{profile.users * arms}"),
        *("--spawn-rate", f"{profile.spawn_rate * arms}", "--run-time", f"{profile.run_time_s}s"),
        *("--exit-code-on-error", "0", "--wait-min-s", f"{profile.wait_min_s}"),
        *("--wait-max-s", f"{profile.wait_max_s}", "--seed", f"{spec.seed}", "--record-to", str(record_to)),
    ]
    for second in hosts[1:]:
        argv += ["--second-host", second]
    if profile.drain_s:
        argv += ["--stop-timeout", f"{profile.drain_s}"]
    if spec.target is not None:
        argv += ["--request-file", str(spec.target.flow.path / REQUEST_FILE)]
    if spec.generators.several:
        argv += _master_options(spec, workers_port)
    return tuple(argv)


def _master_options(spec: RunSpec, port: int | str) -> list[str]:
    """What makes locust the master of several processes, and which of the users of distributed.py they are."""
    generators = spec.generators
    return [
        *("--master", "--master-bind-host", generators.address, "--master-bind-port", str(port)),
        *("--expect-workers", str(generators.number), "--expect-workers-max-wait", f"{_join_s(spec)}"),
        "MockApiUser" if spec.target is None else "ScoreUser",
    ]


def worker_command(master: str, port: int | str, record_to: Path | str) -> tuple[str, ...]:
    """The command line of one of several processes, which its master tells what to load."""
    return (
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILES / DISTRIBUTED), "--worker"),
        *("--master-host", master, "--master-port", str(port)),
        *("--exit-code-on-error", "0", "--record-to", str(record_to)),
    )


def _join_s(spec: RunSpec) -> int:
    return _JOIN_FROM_ELSEWHERE_S if spec.generators.workers else _JOIN_S


def watch(
    system: System,
    spec: RunSpec,
    generator: Sequence[Child],
    arms: Sequence[Loaded],
    record_to: Path,
    progress: Progress,
) -> Samples:
    """Wait for the load's end, sampling the servers; an error as soon as one of them or locust has died.

    `generator`: locust, and after it the workers on this machine where several processes make the load.
    """
    profile, (locust, *workers) = spec.profile, generator
    servers = [child for arm in arms for child in arm.children.values()]
    late_s = _LATE_S + (_join_s(spec) + _DELIVERY_S if spec.generators.several else 0.0)
    deadline = system.monotonic() + profile.run_time_s + profile.drain_s + late_s
    trees: dict[str, list[TreeSample]] = {child.name: [] for child in (*servers, *generator)}
    machine: list[MachineSample] = []
    owners: dict[str, dict[int, int]] = {}
    before = telemetry.clocks()
    probes: dict[str, list[Probe]] = {arm.mock.child.name: [] for arm in arms}
    next_probe = next_sample = system.monotonic()
    memory = _MemoryWatch(
        servers=[arm.server.child for arm in arms], every_s=spec.memory_every_s or math.inf, due_s=next_sample
    )
    ramping = True
    while locust.code() is None:
        for server in servers:
            require_alive(server)
        _require_whole(workers)
        if system.monotonic() > deadline:
            raise InvalidMeasurementError(
                f"locust did not end within {late_s:g} s of its run time", then=f"see {locust.log}"
            )
        if system.monotonic() >= next_sample:
            next_sample += _SAMPLE_S
            _sample(system, (*servers, *generator), trees, machine)
            users, text = status(record_to / PROGRESS_FILE, profile.run_time_s)
            if not users and (elsewhere := spec.generators.workers):
                text = f"waits for {elsewhere} load workers at {spec.generators.address}:{WORKERS_PORT}"
            if ramping and users >= profile.users * len(arms):
                ramping = False
                owners = _owners(arms)
                progress.done(f"{users} users")
                progress.phase("load")
            progress.update(f"{text}{memory.text}")
        memory.look(system)
        if system.monotonic() >= next_probe:
            next_probe = system.monotonic() + _PROBE_S
            for arm in arms:
                probes[arm.mock.child.name].append(_probe(system, arm.mock.base))
        system.sleep(_POLL_S)
    _require_good_end(spec, locust, record_to)
    _sample(system, servers, trees, machine)  # so that the last second is covered
    return Samples(
        trees=trees, machine=machine, owners=owners, clocks=(before, telemetry.clocks()), probes=probes,
        memory=memory.samples,
    )  # fmt: skip


def _require_whole(workers: Sequence[Child]) -> None:
    """InvalidMeasurementError as soon as a worker has died. One that ends well may have been told to."""
    for number, worker in enumerate(workers, 1):
        if code := worker.code():
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise InvalidMeasurementError(
                f"the load generator is not whole: load process {number} of {len(workers)} {how}; its last lines:\n"
                f"{last_lines(worker.log)}",
                then=_LEAVE_ALONE,
            )


def _require_good_end(spec: RunSpec, locust: Child, record_to: Path) -> None:
    """InvalidMeasurementError unless locust has ended well."""
    code = locust.code() or 0
    if code < 0:
        raise InvalidMeasurementError(
            f"the load generator was ended from outside: locust was killed by signal {-code}", then=_LEAVE_ALONE
        )
    if (record_to / _FAILED_FILE).is_file():
        why = (record_to / _FAILED_FILE).read_text(encoding="utf-8").strip()
        raise InvalidMeasurementError(f"the load generator is not whole: {why}", then=_LEAVE_ALONE)
    if code:
        start = f"start nox -s load-worker -- {spec.generators.address} elsewhere, then repeat this command; "
        raise InvalidMeasurementError(
            f"locust ended with exit code {code}; its last lines:\n{last_lines(locust.log)}",
            then=f"{start if spec.generators.workers else ''}see {locust.log}",
        )


def _owners(arms: Sequence[Loaded]) -> dict[str, dict[int, int]]:
    """Who holds which connection, by server; ask once, because it costs as much as ten requests.

    Two servers are kept apart: a client may have the same port on connections to both.
    """
    return {arm.server.child.name: telemetry.owners(arm.server.child.pid) for arm in arms}


def _probe(system: System, backend: str) -> Probe:
    sent_s = system.monotonic()
    system.request(f"{backend}/health", timeout_s=_PROBE_TIMEOUT_S)
    return Probe(sent_s=sent_s, took_s=system.monotonic() - sent_s)


def _sample(
    system: System, children: Sequence[Child], trees: dict[str, list[TreeSample]], machine: list[MachineSample]
) -> None:
    for child in children:
        trees[child.name].append(telemetry.sample(child.pid, system.monotonic()))
    machine.append(telemetry.machine_sample(system.monotonic()))


def status(progress: Path, run_time_s: int) -> tuple[int, str]:
    """Users, and one line about the load now, from the recorder's last rows."""
    try:
        with progress.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))[-_RATE_ROWS:]
        last, before = rows[-1], rows[0]
        seconds = float(last["t_s"]) - float(before["t_s"])
        rate = (int(last["requests"]) - int(before["requests"])) / seconds if seconds else 0.0
        left = max(0.0, run_time_s - float(last["t_s"]))
        failed = int(last["failures"])
        p95 = f"p95 {float(last['p95_ms']):.0f} ms" if last["p95_ms"] else "p95 -"
    except (OSError, ValueError, KeyError, IndexError, TypeError):  # not there yet, or a row half written
        return 0, "locust starts"
    failures = f", {failed} failed" if failed else ""
    return int(last["users"]), f"{last['users']} users, {rate:.1f} rps, {p95}{failures}, {left:.0f} s left"
