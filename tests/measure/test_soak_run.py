"""Runs whose memory is sampled while they are loaded, in a fake outside."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.measure import run
from scripts.measure.run import CompletedRun, RunContext
from scripts.records.storage import read_record
from tests.fakes import run_context, values
from tests.fakes.system import MEMORY_BYTES, FakeSystem, Script

LONG_S = 60


@pytest.fixture
def context(outside: FakeSystem, tmp_path: Path) -> RunContext:
    """A session in a fake outside."""
    values.write_flow(tmp_path / "flow")
    return run_context.session(outside, tmp_path, run_context.prepared(tmp_path))


def spec(context: RunContext, every_s: float | None = 10.0) -> RunSpec:
    """A minute of load."""
    one = values.spec(context.scratch.parent / "flow")
    return dataclasses.replace(
        one, profile=dataclasses.replace(one.profile, run_time_s=LONG_S), memory_every_s=every_s
    )  # fmt: skip


def made(context: RunContext, every_s: float | None = 10.0) -> CompletedRun:
    """Make the run."""
    return run.run(context, spec(context, every_s))


def test_memory_is_sampled_under_load(context: RunContext) -> None:
    """A minute of load has a sample of each server process every ten seconds, which the record keeps."""
    done = made(context)
    measured = read_record(done.directory).measurements
    assert measured is not None
    assert [round(one.at_s / 10, 1) for one in measured.soak] == pytest.approx([1, 2, 3, 4, 5, 6], abs=0.1)
    assert {one.memory_bytes for one in measured.soak} == {(MEMORY_BYTES // 2, MEMORY_BYTES // 4, MEMORY_BYTES // 4)}
    assert [one.requests for one in measured.soak] == [3] * 6  # all of the fake load come in its first seconds
    assert measured.soak[0].overhead_p50_ms == pytest.approx(10.0)  # of 1255, 1260 and 1270 ms


def test_other_runs_sample_no_memory_under_load(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample stops the server for a moment, so only a soak takes any."""
    monkeypatch.setattr(telemetry, "memory_sample", lambda *_: pytest.fail("it was sampled"))
    measured = made(context, None).record.measurements
    assert measured is not None
    assert measured.soak == ()


def test_server_that_dies_in_the_middle(context: RunContext, outside: FakeSystem) -> None:
    """A server that dies half-way leaves a record with the reason, and nothing that was started is left running."""
    outside.scripts["server"] = [Script(ends_s=30.0, code=-9)]
    record = read_record(made(context).directory)
    assert record.outcome == "failed"
    assert "server was killed by signal 9" in record.reasons[0]
    assert record.measurements is None
    assert all(child.stopped for child in outside.children)


def test_interrupted_soak_leaves_no_record(context: RunContext, outside: FakeSystem) -> None:
    """Ctrl-C ends a soak and all that it started, and leaves no record."""
    outside.raises["under load"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        made(context)
    assert all(child.stopped for child in outside.children)
    assert list(context.results.rglob("record.json")) == []
