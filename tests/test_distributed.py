"""A load by several processes, for real: locust's master and workers, whose books balance, and what spoils them."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.config.matrix import ROOT
from scripts.host.process import RealSystem
from scripts.measure import loadgen
from scripts.records.storage import RECORD_FILE, read_record
from tests.test_locustfiles import ANSWER_S, FlowServer, outcomes, recorded, served

pytestmark = pytest.mark.e2e

BOOT_ID = "/proc/sys/kernel/random/boot_id"
BODY = b'{"question": "from the master"}'
LONG_S = 60.0  # for anything here to happen


@pytest.fixture
def flow() -> Iterator[FlowServer]:
    """A stand-in for promptflow."""
    with served() as server:
        yield server


@dataclass(kw_only=True, slots=True)
class Load:
    """A master and its workers."""

    at: Path
    port: int
    stack: ExitStack

    def start(
        self, name: str, argv: tuple[str, ...], locustfiles: Path = loadgen.LOCUSTFILES
    ) -> subprocess.Popen[bytes]:
        """Start one of them, with its output in a file of its name."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.at), "PYTHONDONTWRITEBYTECODE": "1"}
        here = [word.replace(str(loadgen.LOCUSTFILES), str(locustfiles)) for word in argv]
        log = self.stack.enter_context((self.at / f"{name}.log").open("wb"))
        started = subprocess.Popen(here, cwd=self.at, env=env, stdout=log, stderr=log)
        self.stack.callback(started.wait)
        self.stack.callback(started.kill)
        return started

    def worker(self, number: int, locustfiles: Path = loadgen.LOCUSTFILES) -> subprocess.Popen[bytes]:
        """Start a worker."""
        argv = loadgen.worker_command("127.0.0.1", self.port, self.at / f"own-{number}")
        return self.start(f"worker-{number}", argv, locustfiles)

    def master(
        self, flow: FlowServer, run_time_s: int, locustfiles: Path = loadgen.LOCUSTFILES
    ) -> subprocess.Popen[bytes]:
        """Start the master of two workers and four users, who wait for 0.1 to 0.2 s."""
        (self.at / "request.json").write_bytes(BODY)
        (self.at / "bench.toml").write_text('answer_in = "answer"\n[answer]\ntype = "static_async"\n', encoding="utf-8")
        (self.at / "recorded").mkdir()
        argv = (
            *(sys.executable, "-m", "locust", "-f", str(loadgen.LOCUSTFILES / loadgen.DISTRIBUTED), "ScoreUser"),
            *("--headless", "--only-summary", "--exit-code-on-error", "0", "--seed", "7", "--users", "4"),
            *("--spawn-rate", "4", "--run-time", f"{run_time_s}s", "--host", f"http://127.0.0.1:{flow.server_port}"),
            *("--wait-min-s", "0.1", "--wait-max-s", "0.2", "--request-file", str(self.at / "request.json")),
            *("--record-to", str(self.at / "recorded"), "--master", "--master-bind-host", "127.0.0.1"),
            *("--master-bind-port", str(self.port), "--expect-workers", "2"),
        )
        return self.start("master", argv, locustfiles)

    def log(self, name: str) -> str:
        """What one of them said."""
        return (self.at / f"{name}.log").read_text(encoding="utf-8")

    def await_users(self, number: int) -> None:
        """Wait until so many users run."""
        until = time.monotonic() + LONG_S
        while loadgen.status(self.at / "recorded" / "progress.csv", 60)[0] < number:
            assert time.monotonic() < until, self.log("master")
            time.sleep(0.1)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Nothing started yet; nothing is left after it."""
    with ExitStack() as stack:
        yield Load(at=tmp_path, port=RealSystem().free_port(), stack=stack)


def copied(at: Path) -> Path:
    """The locustfiles of another checkout, with the flow whose request they read by default."""
    flow = Path("flows") / "static_async"
    shutil.copytree(ROOT / flow, at / flow, ignore=shutil.ignore_patterns("__pycache__"))
    return shutil.copytree(loadgen.LOCUSTFILES, at / "locustfiles", ignore=shutil.ignore_patterns("__pycache__"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """What a load by two workers has left."""

    at: Path  # the master's recording
    bodies: list[bytes]  # that the server was given
    whole: dict[str, Any]
    parts: list[tuple[list[dict[str, str]], dict[str, Any]]]  # of each worker: the request log and the summary

    @property
    def rows(self) -> list[dict[str, str]]:
        """The requests of both."""
        return [row for found, _ in self.parts for row in found]


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    """A load of 3 s by two workers that take each other's clock for foreign."""
    at = tmp_path_factory.mktemp("load")
    foreign = copied(at)
    code = (foreign / loadgen.DISTRIBUTED).read_text(encoding="utf-8")
    assert BOOT_ID in code
    (foreign / loadgen.DISTRIBUTED).write_text(code.replace(BOOT_ID, "/nonexistent"), encoding="utf-8")
    with ExitStack() as stack:
        flow = stack.enter_context(served())
        load = Load(at=at, port=RealSystem().free_port(), stack=stack)
        workers = [load.worker(number, foreign) for number in (1, 2)]
        master = load.master(flow, 3, foreign)
        assert master.wait(LONG_S) == 0, load.log("master")
        assert [worker.wait(LONG_S) for worker in workers] == [0, 0], load.log("worker-1")
        bodies = [*flow.bodies]
    return Gathered(
        at=at / "recorded",
        bodies=bodies,
        whole=json.loads((at / "recorded" / "load.json").read_text(encoding="utf-8")),
        parts=[recorded(at / "recorded" / f"worker-{number}") for number in (1, 2)],
    )


def test_books_balance_over_all_workers(gathered: Gathered) -> None:
    """Every request that the server was given is recorded by a worker, or counted as cut off at the stop."""
    cut_off = sum(one["in_flight_at_stop"] for _, one in gathered.parts)
    assert len(gathered.rows) + cut_off == len(gathered.bodies) > 20


def test_workers_ask_what_the_master_was_told_to(gathered: Gathered) -> None:
    """The body of the requests, and what a good answer is, need be only where the master is."""
    assert set(gathered.bodies) == {BODY}
    assert set(outcomes(gathered.rows)) == {"ok", "wrong_answer", "status"}


def test_each_worker_records_its_part(gathered: Gathered) -> None:
    """Each has half of the users, for as long as the load lasts."""
    for _, one in gathered.parts:
        assert (one["users_reached"], one["exceptions"]) == (2, 0)
        assert one["started_s"] <= one["all_users_at_s"] < one["started_s"] + 1
        assert 2.9 < one["stopped_s"] - one["started_s"] < 3.5


def test_locusts_rows_are_of_all_requests(gathered: Gathered) -> None:
    """No report of a worker is lost at the end: locust counts as many requests and failures as were recorded."""
    total = gathered.whole["locust_rows"][-1]
    failed = sum(number for outcome, number in outcomes(gathered.rows).items() if outcome != "ok")
    assert (total["request_count"], total["failure_count"]) == (len(gathered.rows), failed)
    assert failed > 0
    assert (gathered.whole["options"]["users"], gathered.whole["options"]["run_time_s"]) == ("4", "3")


def test_clocks_differ_by_no_more_than_is_stated(gathered: Gathered) -> None:
    """Workers that do not know that they share the master's clock find it out, within the error that they state."""
    for number in (1, 2):
        clock = json.loads((gathered.at / f"worker-{number}" / "clock.json").read_text(encoding="utf-8"))
        assert abs(clock["offset_s"]) <= clock["error_s"] < ANSWER_S
        assert clock["error_s"] > 0


def test_think_times_are_those_of_one_process(gathered: Gathered) -> None:
    """User k of all workers draws what user k of a single process draws."""
    assert {row["user"] for row in gathered.rows} == {"0", "1", "2", "3"}
    for user in range(4):
        draws = random.Random(f"7-{user}")  # noqa: S311 - the user draws the same
        _, *later = (row for row in gathered.rows if row["user"] == str(user))
        assert len(later) > 2
        for row in later:
            assert 0 <= float(row["idle_s"]) - draws.uniform(0.1, 0.2) < 0.1


def test_progress_is_of_all_workers(gathered: Gathered) -> None:
    """Whoever watches the progress sees the users and requests of all workers together."""
    with (gathered.at / "progress.csv").open(encoding="utf-8", newline="") as stream:
        last = list(csv.DictReader(stream))[-1]
    assert last["users"] == "4"
    assert 0 < int(last["requests"]) <= len(gathered.rows)


@pytest.mark.fault
def test_a_worker_that_is_lost_ends_the_load(load: Load, flow: FlowServer) -> None:
    """The master notices within seconds, says which one it was, and hands its users to nobody."""
    first, second = load.worker(1), load.worker(2)
    master = load.master(flow, 50)
    load.await_users(4)
    first.send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert master.wait(LONG_S) == 21, load.log("master")
    assert time.monotonic() - began < 15
    why = (load.at / "recorded" / "failed.txt").read_text(encoding="utf-8")
    assert why in ("worker 1 of 2 was lost under load\n", "worker 2 of 2 was lost under load\n")
    assert not (load.at / "recorded" / "load.json").exists()
    assert second.wait(LONG_S) == 0


def test_a_worker_with_other_locustfiles_is_refused(tmp_path: Path, load: Load, flow: FlowServer) -> None:
    """It is told why and ends; the master waits on for others, and has sent nothing."""
    other = copied(tmp_path)
    with (other / "score.py").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    master = load.master(flow, 3)
    worker = load.worker(1, other)
    assert worker.wait(LONG_S) == loadgen.REFUSED, load.log("worker-1")
    assert "the master refused this worker: its locustfiles differ" in load.log("worker-1")
    assert "refused a worker: its locustfiles differ" in load.log("master")
    assert master.poll() is None
    assert flow.bodies == []


def bench(results: Path, *argv: str) -> subprocess.Popen[str]:
    """A session with a lock of its own."""
    results.mkdir()
    env = {**os.environ, "PROMPTFLOW_SERVE_BENCH_LOCK": str(results / "lock")}
    command = [sys.executable, "-m", "scripts", "bench", *argv, "--profile", "smoke", "--results", str(results)]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_run_of_promptflow_by_two_processes(tmp_path: Path) -> None:
    """A whole run is one record: its users and requests are those of both processes, and the backend's books agree."""
    target = ("--release", "1.12.0", "--engine", "fastapi", "--flow", "static_async", "--load-processes", "2")
    with bench(tmp_path / "results", *target) as session:
        out, _ = session.communicate(timeout=300)
    assert session.returncode in (0, 6), out  # 6: this machine is too busy for the generator
    (path,) = (tmp_path / "results").rglob(RECORD_FILE)
    record = read_record(path.parent)
    assert (record.outcome, record.requested.load_processes) == ("ok", 2), record.reasons
    assert record.measurements is not None
    measured = record.measurements
    assert measured.load.users_reached == 10
    assert [one.users for one in measured.generator.processes] == [5, 5]
    assert sum(one.requests for one in measured.generator.processes) == measured.load.recorded > 0
    assert [one.clock_error_s for one in measured.generator.processes] == [0.0, 0.0]
    failed = sum(failure.count for failure in measured.load.failures)
    given = 1 + measured.load.recorded - failed
    assert given <= measured.backend.received <= given + failed + measured.load.in_flight_at_stop
    assert measured.load.locust_rows[-1].request_count == measured.load.recorded


@pytest.mark.fault
def test_a_process_that_is_killed_ends_the_run(tmp_path: Path) -> None:
    """A session whose load loses a process under load is invalid, names it, and leaves nothing running."""
    session = bench(tmp_path / "results", "--mock", "--load-processes", "2")
    workers: list[psutil.Process] = []
    until = time.monotonic() + LONG_S
    while len(workers) < 2 and time.monotonic() < until:
        time.sleep(0.2)
        found = psutil.Process(session.pid).children(recursive=True)
        workers = [one for one in found if "--worker" in one.cmdline()]
    time.sleep(2.5)  # until the load runs; it lasts 5 s
    workers[0].kill()
    out, _ = session.communicate(timeout=LONG_S)
    assert session.returncode == 6, out
    assert "was killed by signal 9" in out
    (path,) = (tmp_path / "results").rglob(RECORD_FILE)
    record = read_record(path.parent)
    assert record.outcome == "invalid"
    assert "the load generator is not whole: load process" in record.reasons[0]
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers)
