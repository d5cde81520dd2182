"""Finding valgrind, orders that fail, servers that cannot be counted, and runs side by side."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.config.errors import EnvironmentBuildError, InvalidMeasurementError, ServerError, Terminated
from scripts.config.load_profiles import Counting
from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.host.process import Child, Finished, RealSystem
from scripts.measure import callgrind, counting, digests, side_by_side
from scripts.measure.counting import Counter
from scripts.measure.run import CompletedRun, RunContext
from scripts.measure.side_by_side import StoppableSystem
from scripts.serving.launch import Booted
from tests.fakes import run_context, values
from tests.fakes.system import FakeSystem, Script, reply

ENV = {"HOME": "/home/nobody"}
FAILS = "valgrind: Unknown option: --collect-systime=yes"


class Without(FakeSystem):
    """A system on which a program is not installed."""

    missing = ""

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """As on a system that lacks it."""
        if argv[0] == self.missing:
            raise FileNotFoundError(2, "No such file or directory", argv[0])
        return FakeSystem.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)


@pytest.mark.parametrize(("program", "package"), [("valgrind", "valgrind"), ("setarch", "util-linux")])
def test_missing_programs_are_named_with_their_package(tmp_path: Path, program: str, package: str) -> None:
    """Without valgrind there is exit code 4, and the command that installs it."""
    system = Without()
    system.missing = program
    with pytest.raises(EnvironmentBuildError, match=program) as caught:
        callgrind.require(system, ENV, tmp_path)
    assert caught.value.exit_code == 4
    assert f"apt-get install {package}" in caught.value.then


def test_a_valgrind_that_cannot_count_is_refused(tmp_path: Path) -> None:
    """A valgrind that ends at once, e.g. for an option that it does not know, is quoted; nothing else is started."""
    system = FakeSystem(
        shell=Finished(code=0, output="valgrind-3.10.0"), scripts={"valgrind": [Script(ends_s=0, code=1, says=FAILS)]}
    )
    with pytest.raises(EnvironmentBuildError, match="cannot count here") as caught:
        callgrind.require(system, ENV, tmp_path)
    assert FAILS in caught.value.message
    assert system.events[-1] == "stop valgrind"


@pytest.mark.parametrize("shell", [None, Finished(code=1, output="no such process")])
def test_an_order_that_is_not_carried_out(tmp_path: Path, shell: Finished | None) -> None:
    """A process that does not react, or that vgdb does not find, is an error of the server."""
    with pytest.raises(ServerError):
        callgrind.order(FakeSystem(shell=shell), 7, ("dump",), env=ENV, scratch=tmp_path)


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Of a server with one worker."""
    system = FakeSystem()
    child = system.start("server", ["gunicorn", "-b", "127.0.0.1:40001"], env=ENV, cwd=tmp_path, log=tmp_path / "log")
    monkeypatch.setattr(telemetry, "children", lambda root: (root + 1,))
    booted = Booted(child=child, port=40001, ready_s=1.0, started_s=0.0)
    return Counter(
        system=system, booted=booted, flow=values.flow(tmp_path), env=ENV, folder=tmp_path, worker=child.pid + 1
    )


@pytest.mark.parametrize("workers", [(), (8, 9)])
def test_another_number_of_workers(counter: Counter, monkeypatch: pytest.MonkeyPatch, workers: tuple[int, ...]) -> None:
    """A server that starts none or several workers cannot be counted in one."""
    monkeypatch.setattr(telemetry, "children", lambda _root: workers)
    with pytest.raises(InvalidMeasurementError, match=f"{len(workers)} workers ran"):
        counting.only_worker(counter.booted)


def test_a_worker_that_ended(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker in its place does not go on with the count."""
    monkeypatch.setattr(telemetry, "children", lambda root: (root + 2,))
    with pytest.raises(ServerError, match="the counted worker ended"):
        counter.dump()


def test_a_request_that_fails(counter: Counter) -> None:
    """A count with an answer other than 200 is invalid, and says which request."""
    assert isinstance(counter.system, FakeSystem)
    counter.system.replies["server /score"] = dataclasses.replace(reply({}), status=500, body=b"out of order")
    with pytest.raises(InvalidMeasurementError, match="request 1 failed: HTTP status 500: out of order"):
        counter.request()


def test_what_is_counted_is_in_the_digest(tmp_path: Path) -> None:
    """Other windows are another load; a run that measures time has the digest that it always had."""
    timed = values.spec(values.write_flow(tmp_path / "flow"))
    counted = [
        dataclasses.replace(timed, counting=Counting(warm_up_requests=15, windows=windows, window_requests=5))
        for windows in (10, 11)
    ]
    assert len({digests.of(spec, None).profile for spec in (timed, *counted)}) == 3


def test_start_up_is_not_in_the_digest(tmp_path: Path) -> None:
    """What is counted before the first request moves nothing that comes after, so such runs are of one kind."""
    timed = values.spec(values.write_flow(tmp_path / "flow"))
    counting = Counting(warm_up_requests=15, windows=10, window_requests=5)
    counted = [
        dataclasses.replace(timed, counting=dataclasses.replace(counting, start_up=start_up))
        for start_up in (False, True)
    ]
    assert len({digests.of(spec, None).profile for spec in counted}) == 1


def test_a_stopped_system_does_nothing_more(tmp_path: Path) -> None:
    """A run of another thread ends at its next step, and also after a step that took long."""
    stopped = threading.Event()
    system = StoppableSystem(system=FakeSystem(), stopped=stopped)
    system.sleep(1.0)
    stopped.set()
    steps: list[Callable[[], object]] = [
        lambda: system.sleep(1.0),
        lambda: system.request("http://127.0.0.1:40001/health"),
        lambda: system.run(["true"], env=ENV, cwd=tmp_path, timeout_s=1.0),
        lambda: system.start("server", ["true"], env=ENV, cwd=tmp_path, log=tmp_path / "log"),
    ]
    for step in steps:
        with pytest.raises(Terminated):
            step()


def test_an_interrupted_run_stops_the_others(tmp_path: Path, context: RunContext) -> None:
    """Where one run is interrupted, the others end at their next step, and all that was started is swept."""
    spec, other_waits = values.spec(values.write_flow(tmp_path / "flow")), threading.Event()

    def one(own: RunContext, _spec: RunSpec, label: str) -> CompletedRun:
        if label == "[1/3]":
            other_waits.wait(10)
            raise KeyboardInterrupt
        other_waits.set()
        while True:
            own.system.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        side_by_side.make(context, [spec] * 3, 2, one)


@pytest.mark.process
def test_ctrl_c_ends_the_servers_of_all_runs(tmp_path: Path, context: RunContext) -> None:
    """Ctrl-C reaches the main thread alone; both runs end at once, with what they have started; no other begins."""
    spec = values.spec(values.write_flow(tmp_path / "flow"))
    children: list[Child] = []

    def one(own: RunContext, _spec: RunSpec, label: str) -> CompletedRun:
        with ExitStack() as stack:
            log = tmp_path / label.strip("[]").replace("/", "-")
            child = own.system.start("server", ["sleep", "60"], env=os.environ, cwd=tmp_path, log=log)
            stack.callback(child.stop, 0.4)
            children.append(child)
            if len(children) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            while True:
                own.system.sleep(0.01)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            side_by_side.make(dataclasses.replace(context, system=RealSystem()), [spec] * 3, 2, one)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [child.code() for child in children] == [-signal.SIGTERM, -signal.SIGTERM]


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    """Of a session whose sweeps find nothing."""
    return run_context.session(FakeSystem(), tmp_path, None)
