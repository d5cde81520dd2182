"""Two runs under one load, asserted as a log of all that was done: success, an arm that fails, and Ctrl-C."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.config.errors import InvalidMeasurementError, ServerError, SuiteError, VerificationError
from scripts.config.plan import Place, RunSpec
from scripts.host import telemetry
from scripts.measure import run
from scripts.measure.run import CompletedRun, Prepared, RunContext
from scripts.records.schema import Outcome
from scripts.records.storage import RECORD_FILE, read_record
from tests.fakes import run_context, values
from tests.fakes.system import FakeSystem, Script, reply

DUET = dataclasses.replace(values.PROFILE, at_once=2)
BOOTED = ["start mock-2", "GET mock-2 /health", "start mock-1", "GET mock-1 /health"]
READY = [
    event
    for arm in ("2", "1")
    for event in ("run bash", *(f"{what} server-{arm}{path}" for what, path in (
        ("start", ""), ("GET", " /health"), ("GET", " /version"), ("POST", " /score"),
    )))
]  # fmt: skip
STOPPED = ["stop locust", "stop server-1", "stop server-2", "stop mock-1", "stop mock-2"]
LOADED = [*BOOTED, *READY, "start locust", "under load"]


@pytest.fixture
def context(outside: FakeSystem, tmp_path: Path) -> RunContext:
    """A session in a fake outside."""
    return run_context.session(outside, tmp_path, None)


def wanted(tmp_path: Path) -> list[tuple[RunSpec, Prepared]]:
    """The arms of an even round, so the second comes first."""
    spec = dataclasses.replace(values.spec(values.write_flow(tmp_path / "flow")), profile=DUET)
    return [
        (
            dataclasses.replace(spec, place=Place(campaign="c" * 12, round_id="20261116T120000Z-002-abcdef", arm=arm)),
            run_context.prepared(tmp_path, str(arm) * 64),
        )
        for arm in (2, 1)
    ]


def made(context: RunContext) -> list[CompletedRun]:
    """Make both runs."""
    return run.at_once(context, wanted(context.scratch.parent))


def test_success(context: RunContext, outside: FakeSystem) -> None:
    """Both mocks start, then each server is verified before the next starts; one load, and all stops in reverse."""
    done = made(context)
    assert outside.events == [*LOADED, "GET mock-2 /counts", "GET mock-1 /counts", *STOPPED]
    assert [(one.record.outcome, one.error) for one in done] == [("ok", None)] * 2
    assert list(context.scratch.iterdir()) == []


def test_two_records_of_one_round(context: RunContext) -> None:
    """Each arm has a whole record of its own, under one round id, which says how many requests both arms got."""
    done = made(context)
    records = [read_record(one.directory) for one in done]
    assert [record.requested.arm for record in records] == [2, 1]
    assert [record.digests.lock for record in records] == ["2" * 64, "1" * 64]
    assert len({record.requested.round_id for record in records}) == 1
    assert len({record.run_id for record in records}) == 2
    for record in records:
        assert list(record.phases_s) == ["boot", "verify", "load", "collect", "stop"]
        assert record.measurements is not None
        assert record.measurements.load.recorded == 3
        assert record.measurements.generator.recorded_in_all == 6


def test_figures(context: RunContext) -> None:
    """The generator's CPU time is divided by the requests of both arms, and nothing adjusts for the machine's speed."""
    for one in made(context):
        values_of_run = run_reader.read_run(one.directory).values
        assert values_of_run["generator_cpu_per_request_ms"] == pytest.approx(0.25 * 1000 / 6)
        assert values_of_run["speed_covariate_ms"] is None


def test_other_arm_is_no_stranger(context: RunContext) -> None:
    """What both arms' servers and mocks use is none of the other processes' CPU time."""
    for one in made(context):
        measured = one.record.measurements
        assert measured is not None
        found = measured.disturbance
        # Five trees of 20 ms a second and 10 ms of the harness, on a machine that is busy for 100 ms a second.
        assert found.other_s == pytest.approx(found.window_s * (0.1 - 5 * 0.02 - 0.01), abs=0.001)


def test_memory_of_both_is_read_in_the_same_state(
    context: RunContext, outside: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where two servers share pages, neither seems smaller because it started later."""

    def shared(root: int) -> tuple[int, str]:
        assert root
        servers = sum(child.name.startswith("server") for child in outside.children)
        return 240 * 2**20 // servers, "pss"

    monkeypatch.setattr(telemetry, "memory", shared)
    measured = [one.record.measurements for one in made(context)]
    found = [one.server.memory_start_bytes for one in measured if one is not None and one.server is not None]
    assert found == [120 * 2**20] * 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failing:
    """A way in which an arm can fail."""

    scripts: dict[str, list[Script]] = dataclasses.field(default_factory=dict)
    replies: dict[str, object] = dataclasses.field(default_factory=dict)
    arms: list[int]  # whose record there is
    error: type[SuiteError] = ServerError
    outcome: Outcome = "failed"
    reason: str
    stopped: list[str]


FAILURES = {
    "first server dies": Failing(
        scripts={"server-2": [Script(ready_s=math.inf, ends_s=0.5)]},
        arms=[2],
        reason="server-2 ended with exit code 1",
        stopped=["stop server-2", "stop mock-1", "stop mock-2"],
    ),
    "second server dies": Failing(
        scripts={"server-1": [Script(ready_s=math.inf, ends_s=0.5)]},
        arms=[1],
        reason="server-1 ended with exit code 1",
        stopped=["stop server-1", "stop server-2", "stop mock-1", "stop mock-2"],
    ),
    "second mock dies": Failing(
        scripts={"mock-1": [Script(ready_s=math.inf, ends_s=0.5)]},
        arms=[1],
        reason="mock-1 ended with exit code 1",
        stopped=["stop mock-1", "stop mock-2"],
    ),
    "second says another version": Failing(
        replies={"server-1 /version": reply({"version": "1.11.0"})},
        arms=[1],
        error=VerificationError,
        outcome="verify-failed",
        reason="says that it is promptflow 1.11.0, not 1.12.0",
        stopped=STOPPED[1:],
    ),
    "server dies under load": Failing(
        scripts={"server-1": [Script(ends_s=4.0, code=-9)]},
        arms=[1],
        reason="server-1 was killed by signal 9",
        stopped=STOPPED,
    ),
    "locust fails": Failing(
        scripts={"locust": [Script(ends_s=1.5, code=2)]},
        arms=[2, 1],
        error=InvalidMeasurementError,
        outcome="invalid",
        reason="locust ended with exit code 2",
        stopped=STOPPED,
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure(context: RunContext, outside: FakeSystem, name: str) -> None:
    """Only the arm that fails has a record, which says why; both have one where the load fails; all is stopped."""
    failing = FAILURES[name]
    outside.scripts, outside.replies = failing.scripts, failing.replies  # type: ignore[assignment]
    done = made(context)
    assert [one.record.requested.arm for one in done] == failing.arms
    for one in done:
        assert type(one.error) is failing.error
        assert one.record.outcome == failing.outcome
        assert failing.reason in one.record.reasons[0]
        assert one.scratch is not None
    assert outside.events[-len(failing.stopped) :] == failing.stopped
    assert len(list(context.results.rglob(RECORD_FILE))) == len(failing.arms)
    assert len(list(context.scratch.iterdir())) == len(failing.arms)


MOMENTS = [*BOOTED, *READY, "start locust", "under load", "GET mock-2 /counts", "GET mock-1 /counts"]


@pytest.mark.parametrize("moment", dict.fromkeys(MOMENTS))
def test_interrupted(context: RunContext, outside: FakeSystem, moment: str) -> None:
    """Ctrl-C at any moment ends all that was started, last first, and leaves neither records nor logs."""
    outside.raises[moment] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        made(context)
    stopped = [event.removeprefix("stop ") for event in outside.events if event.startswith("stop ")]
    assert stopped == [child.name for child in reversed(outside.children)]
    assert [path for path in context.results.rglob("*") if path.is_file()] == []
    assert list(context.scratch.iterdir()) == []
