"""A run that counts, in a fake outside: what is started, what is recorded, and how it ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.config.errors import Terminated
from scripts.config.load_profiles import Counting
from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.measure import callgrind
from scripts.measure.callgrind import Dump, Valgrind
from scripts.measure.run import CompletedRun, RunContext, run
from scripts.records.schema import CountedWindow
from scripts.records.storage import read_record
from scripts.serving.launch import Limits
from tests.fakes import run_context, values
from tests.fakes.system import FakeSystem, Script, reply

COUNTING = Counting(warm_up_requests=3, windows=5, window_requests=2)
DUMP = Dump(instructions=4000, system_calls=20, collections=2, full_collections=1, collection_instructions=900)


@pytest.fixture
def context(tmp_path: Path, outside: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """A session with a release whose own command has 2 workers, and one starts; every dump says the same."""
    values.write_flow(tmp_path / "flow")
    outside.scripts["server"] = [Script(workers=1)]
    outside.replies["mock /counts"] = reply({"received": 13, "answered": 13})
    monkeypatch.setattr(telemetry, "children", lambda root: (root + 1,))
    monkeypatch.setattr(callgrind, "order", lambda *_args, **_options: None)
    monkeypatch.setattr(callgrind, "dump", lambda *_args, **_options: DUMP)
    return dataclasses.replace(
        run_context.session(outside, tmp_path, run_context.prepared(tmp_path)),
        valgrind=Valgrind(version="3.19.0", fixed_layout=True),
    )


def made(context: RunContext) -> CompletedRun:
    """Make the run."""
    spec: RunSpec = dataclasses.replace(values.spec(context.scratch.parent / "flow"), counting=COUNTING)
    return run(context, spec)


def test_record(context: RunContext) -> None:
    """A count has its windows in the record and no measurements; it is read back as it was written."""
    done = made(context)
    assert done.error is None
    counts = done.record.counts
    assert counts is not None
    assert counts.windows == 5 * (
        CountedWindow(
            requests=2, instructions=4000, system_calls=20, full_collections=1, collection_instructions=900
        ),
    )  # fmt: skip
    assert (counts.warm_up_requests, counts.first_request_instructions, counts.backend_received) == (3, 4000, 13)
    assert done.record.measurements is None
    assert read_record(done.directory) == done.record


def test_start_up(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is asked for, both processes of the server are counted from their start, and never switched on later."""
    monkeypatch.setattr(callgrind, "dump_all", lambda _system, pids, **_options: 9_000_000 * len(pids))
    monkeypatch.setattr(callgrind, "order", lambda _system, _pid, words, **_options: pytest.fail(f"ordered {words}"))
    spec = dataclasses.replace(
        values.spec(context.scratch.parent / "flow"), counting=dataclasses.replace(COUNTING, start_up=True)
    )
    counts = run(context, spec).record.counts
    assert counts is not None
    assert (counts.start_up_instructions, counts.first_request_instructions) == (18_000_000, 4000)


def test_server(context: RunContext, outside: FakeSystem) -> None:
    """The release's own command runs under valgrind with one worker; the record shows it without valgrind."""
    done = made(context)
    server = next(child for child in outside.children if child.name == "server")
    assert server.argv[:3] == ("setarch", "-R", "valgrind")
    assert server.argv[server.argv.index("-w") + 1] == "1"
    assert done.record.observed is not None
    command = done.record.observed.command
    assert (command[0], command[command.index("-w") + 1]) == ("gunicorn", "1")


def test_requests(context: RunContext, outside: FakeSystem) -> None:
    """Every request is sent once, the verification among them, and no load generator starts."""
    made(context)
    assert outside.events.count("POST server /score") == 3 + 5 * 2
    assert "start locust" not in outside.events


@pytest.mark.parametrize(
    ("workers", "outcome", "reason"), [((), "invalid", "0 workers ran"), ((7, 8), "invalid", "2 workers ran")]
)
def test_other_workers(
    context: RunContext, monkeypatch: pytest.MonkeyPatch, workers: tuple[int, ...], outcome: str, reason: str
) -> None:
    """A server with another number of workers leaves a record with the reason, and no counts."""
    monkeypatch.setattr(telemetry, "children", lambda _root: workers)
    record = made(context).record
    assert record.outcome == outcome
    assert reason in record.reasons[0]
    assert record.counts is None


def test_a_server_that_is_too_slow(context: RunContext, outside: FakeSystem) -> None:
    """A server that needs longer than its time-out under valgrind is a record that says so."""
    outside.scripts["server"] = [Script(workers=1, ready_s=60.0)]
    record = made(context).record
    assert record.outcome == "failed"
    assert "never became ready" in record.reasons[0]


def test_an_interrupted_count_leaves_no_record(context: RunContext) -> None:
    """A failure that comes because another thread has ended the servers is no failure of the release."""
    context.stopped.set()
    with pytest.raises(Terminated):
        made(dataclasses.replace(context, limits=Limits(boot_s=0.0, verify_s=0.0)))
    assert not list(context.results.rglob("record.json"))
