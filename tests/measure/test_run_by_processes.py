"""The life cycle of a run whose load several processes make, here or elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.config.load_profiles import Generators
from scripts.config.plan import RunSpec
from scripts.measure import loadgen, run
from scripts.measure.run import RunContext
from scripts.records.storage import read_histograms, read_record
from tests.fakes import run_context, values
from tests.fakes.system import FakeSystem, Script, _option

TWO = Generators(processes=2)
ADDRESS = "192.0.2.7"
ELSEWHERE = Generators(workers=3, address=ADDRESS)


@pytest.fixture
def context(outside: FakeSystem, tmp_path: Path) -> RunContext:
    """A session in a fake outside, with a virtualenv that holds nothing but a server script."""
    values.write_flow(tmp_path / "flow")
    return run_context.session(outside, tmp_path, run_context.prepared(tmp_path))


def spec(context: RunContext, generators: Generators, *, mock: bool = False) -> RunSpec:
    """A run of the example flow, or of the mock alone."""
    made = values.spec(None if mock else context.scratch.parent / "flow")
    return dataclasses.replace(made, generators=generators)


def test_processes_start_after_their_master_and_stop_before_it(context: RunContext, outside: FakeSystem) -> None:
    """Each process is a child with a name and a log of its own."""
    run.run(context, spec(context, TWO))
    events = outside.events
    assert events[events.index("start locust") :] == [
        *("start locust", "start locust-1", "start locust-2", "under load", "GET mock /counts"),
        *("stop locust-2", "stop locust-1", "stop locust", "stop server", "stop mock"),
    ]


def test_master_and_workers_meet_on_loopback(context: RunContext, outside: FakeSystem) -> None:
    """The master listens on loopback alone, at a port of this run, and every worker goes there."""
    run.run(context, spec(context, TWO))
    master, *workers = (child.argv for child in outside.children if child.name.startswith("locust"))
    assert _option(master, "--master-bind-host") == "127.0.0.1"
    assert _option(master, "--expect-workers") == "2"
    assert master[-1] == "ScoreUser"
    port = _option(master, "--master-bind-port")
    assert {(_option(argv, "--master-host"), _option(argv, "--master-port")) for argv in workers} == {
        ("127.0.0.1", port)
    }
    assert len({_option(argv, "--record-to") for argv in (master, *workers)}) == 3


def test_record(context: RunContext) -> None:
    """One record holds the requests of all processes, how many there were, and how fit each was."""
    done = run.run(context, spec(context, TWO))
    assert done.error is None
    record = read_record(done.directory)
    assert (record.requested.load_processes, record.requested.load_workers) == (2, 0)
    assert record.measurements is not None
    assert record.measurements.load.recorded == 6
    assert [one.requests for one in record.measurements.generator.processes] == [3, 3]
    assert read_histograms(done.directory).windows["steady"]["ok"].counts.tolist() == [2, 2]


def test_record_of_one_process(context: RunContext) -> None:
    """A load by one process is recorded as ever."""
    record = run.run(context, spec(context, Generators())).record
    assert (record.requested.load_processes, record.requested.load_workers) == (1, 0)
    assert record.measurements is not None
    assert record.measurements.generator.processes == ()


def test_the_harness_sees_the_cpu_time_of_all(context: RunContext) -> None:
    """What the processes of the load use is not taken for that of other programs."""
    measured = run.run(context, spec(context, TWO)).record.measurements
    assert measured is not None
    found = measured.disturbance
    assert found.other_s == pytest.approx(found.window_s * (0.1 - 5 * 0.02 - 0.01), abs=0.0011)


def test_workers_from_elsewhere_are_waited_for(context: RunContext, outside: FakeSystem) -> None:
    """No worker is started here; master and loaded server listen at the address that was named, and at no other."""
    done = run.run(context, spec(context, ELSEWHERE))
    assert done.error is None
    children = {child.name: child.argv for child in outside.children}
    assert [*children] == ["mock", "server", "locust"]
    assert _option(children["locust"], "--master-bind-host") == ADDRESS
    assert _option(children["locust"], "--master-bind-port") == str(loadgen.WORKERS_PORT)
    assert _option(children["locust"], "--host").startswith(f"http://{ADDRESS}:")
    assert _option(children["server"], "-b").startswith(f"{ADDRESS}:")
    assert _option(children["mock"], "--host") == "127.0.0.1"
    assert (done.record.requested.load_processes, done.record.requested.load_workers) == (3, 3)


def test_no_record_names_an_address(context: RunContext) -> None:
    """Where the server listened is private."""
    done = run.run(context, spec(context, ELSEWHERE))
    assert done.record.observed is not None
    assert "ADDRESS:PORT" in done.record.observed.command
    assert ADDRESS not in (done.directory / "record.json").read_text(encoding="utf-8")


def test_the_mock_alone_is_loaded_from_elsewhere(context: RunContext, outside: FakeSystem) -> None:
    """Where the mock API is what is loaded, it listens at the address."""
    run.run(context, spec(context, ELSEWHERE, mock=True))
    children = {child.name: child.argv for child in outside.children}
    assert _option(children["mock"], "--host") == ADDRESS
    assert children["locust"][-1] == "MockApiUser"


@pytest.mark.parametrize(
    ("script", "how"),
    [
        (Script(ends_s=2.0, code=-9), "load process 2 of 2 was killed by signal 9"),
        (Script(ends_s=2.0, code=1, says="no memory\n"), "load process 2 of 2 ended with exit code 1"),
    ],
)
def test_a_process_that_dies(context: RunContext, outside: FakeSystem, script: Script, how: str) -> None:
    """A run whose load has lost a process ends at once as invalid, names the process, and leaves nothing running."""
    outside.scripts["locust-2"] = [script]
    done = run.run(context, spec(context, TWO))
    assert done.record.outcome == "invalid"
    assert f"the load generator is not whole: {how}" in done.record.reasons[0]
    assert outside.now < 100 + 10
    assert outside.events[-5:] == ["stop locust-2", "stop locust-1", "stop locust", "stop server", "stop mock"]


def test_a_process_elsewhere_that_is_lost(context: RunContext, outside: FakeSystem) -> None:
    """What the master says of a worker that it has lost is the reason."""
    outside.lost = "worker 2 of 3 was lost under load"
    outside.scripts["locust"] = [Script(ends_s=3.0, code=21)]
    done = run.run(context, spec(context, ELSEWHERE))
    assert done.record.outcome == "invalid"
    assert done.record.reasons == ("the load generator is not whole: worker 2 of 3 was lost under load",)


def test_a_session_that_nobody_joins(context: RunContext, outside: FakeSystem) -> None:
    """Without the workers that it waits for a run is invalid, and says how one is started."""
    outside.scripts["locust"] = [Script(ends_s=3.0, code=1, says="Gave up waiting for workers to connect\n")]
    done = run.run(context, spec(context, ELSEWHERE))
    assert done.record.outcome == "invalid"
    assert done.error is not None
    assert f"nox -s load-worker -- {ADDRESS}" in done.error.then
