"""The life cycle of a run, asserted as a log of all that was done, for success and for a failure at each step."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import pytest

from scripts.config.errors import Terminated
from scripts.measure import run
from scripts.measure.run import CompletedRun, RunContext
from scripts.records.storage import HISTOGRAMS_FILE, RUN_ID, read_histograms, read_record, read_timeline
from tests.fakes import run_context, values
from tests.fakes.failures import FAILURES, LOADED, STOPPED
from tests.fakes.system import COMMAND, FakeSystem, Script

DEAD_PORT = Script(ready_s=math.inf, ends_s=2.0, says="[Errno 98] Address already in use\n")


@pytest.fixture
def context(outside: FakeSystem, tmp_path: Path) -> RunContext:
    """A session in a fake outside, with a virtualenv that holds nothing but a server script."""
    values.write_flow(tmp_path / "flow")
    return run_context.session(outside, tmp_path, run_context.prepared(tmp_path))


def made(context: RunContext) -> CompletedRun:
    """Make a run of the example flow."""
    return run.run(context, values.spec(context.scratch.parent / "flow"))


def kept(context: RunContext) -> list[Path]:
    """Everything that lies under results."""
    return sorted(path for path in context.results.rglob("*") if path.is_file())


def test_no_unit_test_starts_a_process() -> None:
    """Tests that are not marked for it cannot start a process, by whatever name."""
    with pytest.raises(pytest.fail.Exception, match="a unit test starts no process"):
        subprocess.run(["true"], check=False)  # noqa: S607 - it does not come to that


def test_success(context: RunContext, outside: FakeSystem) -> None:
    """A good run boots the mock and the server, verifies, loads, collects, and stops all in reverse order."""
    done = made(context)
    assert outside.events == [*LOADED, "GET mock /counts", *STOPPED]
    assert done.record.outcome == "ok"
    assert done.record.reasons == ()
    assert done.error is None


def test_record_of_success(context: RunContext) -> None:
    """What a good run measured lies in three files that read back as they were."""
    done = made(context)
    record = read_record(done.directory)
    assert record == done.record
    assert RUN_ID.fullmatch(record.run_id)
    assert record.observed is not None
    assert record.observed.command == (*COMMAND[:6], "127.0.0.1:PORT", "app")
    assert (record.observed.workers, record.observed.threads, record.observed.promptflow) == (2, 1, "1.12.0")
    assert list(record.phases_s) == ["boot", "verify", "load", "collect", "stop"]
    assert record.measurements is not None
    assert record.measurements.backend.received == 4
    assert record.measurements.backend.stall_max_s == 0.0
    assert read_histograms(done.directory).windows["steady"]["ok"].counts.tolist() == [1, 1]
    assert [row.requests for row in read_timeline(done.directory)] == [1, 0, 1, 1]


def test_server_figures(context: RunContext) -> None:
    """CPU is counted over the steady window only, for the tree and for each worker."""
    measured = made(context).record.measurements
    assert measured is not None
    assert measured.server is not None
    first, last = measured.server.window_s
    assert 1.0 <= first < last <= 4.0
    assert measured.server.cpu_s == pytest.approx((last - first) * 0.02, abs=0.0011)
    assert measured.server.worker_cpu_s == pytest.approx([(last - first) * 0.01] * 2, abs=0.0011)
    assert measured.server.completed == 2
    assert measured.server.workers_at_end == 2


def test_disturbance(context: RunContext) -> None:
    """What else the machine did is its busy time without the servers', the generator's and the harness's own."""
    measured = made(context).record.measurements
    assert measured is not None
    found = measured.disturbance
    assert found.busy_s == pytest.approx(found.window_s * 0.1, abs=0.001)
    assert found.other_s == pytest.approx(found.window_s * (0.1 - 3 * 0.02 - 0.01), abs=0.001)
    assert found.stolen_s == pytest.approx(found.window_s * 0.005, abs=0.001)


def test_mock_alone(context: RunContext, outside: FakeSystem) -> None:
    """A run of the mock alone starts no server, and its record has none."""
    done = run.run(context, values.spec(None))
    assert outside.events == [
        *("start mock", "GET mock /health", "start locust", "under load", "GET mock /counts"),
        *("stop locust", "stop mock"),
    ]
    assert done.record.observed is None
    assert done.record.measurements is not None
    assert done.record.measurements.server is None


def test_scratch_goes_after_success(context: RunContext) -> None:
    """A good run leaves nothing in the scratch folder; a failed one leaves its logs and says where."""
    assert made(context).scratch is None
    assert list(context.scratch.iterdir()) == []


@pytest.mark.parametrize("name", FAILURES)
def test_failure(context: RunContext, outside: FakeSystem, name: str) -> None:
    """A run that fails at any step stops what it had started, in reverse order, and is recorded with the reason."""
    failing = FAILURES[name]
    for key, value in failing.outside.items():
        setattr(outside, key, value)
    done = made(context)
    assert outside.events == failing.events
    assert type(done.error) is failing.error
    assert done.record.outcome == failing.outcome
    assert failing.reason in done.record.reasons[0]
    assert read_record(done.directory) == done.record
    assert not (done.directory / HISTOGRAMS_FILE).exists()


@pytest.mark.parametrize("name", FAILURES)
def test_reasons_are_public(context: RunContext, outside: FakeSystem, name: str) -> None:
    """No reason in a record says where on this machine something lies; the message to the user does."""
    for key, value in FAILURES[name].outside.items():
        setattr(outside, key, value)
    done = made(context)
    assert not re.search(r"(?<!\w)/(?!(?:health|version)\b)\w+", done.record.reasons[0])
    assert str(context.scratch) not in (done.directory / "record.json").read_text(encoding="utf-8")
    assert done.scratch is not None
    assert (done.scratch / "mock.log").is_file()


MOMENTS = [
    *("start mock", "GET mock /health", "run bash", "start server", "GET server /health", "GET server /version"),
    *("POST server /score", "start locust", "under load", "GET mock /counts"),
]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("signal", [KeyboardInterrupt, Terminated])
def test_interrupted(context: RunContext, outside: FakeSystem, moment: str, signal: type[BaseException]) -> None:
    """Ctrl-C or SIGTERM at any moment ends all that was started, last first, leaves no record, and goes on outwards."""
    outside.raises[moment] = signal()
    with pytest.raises(signal):
        made(context)
    stopped = [event.removeprefix("stop ") for event in outside.events if event.startswith("stop ")]
    assert stopped == [child.name for child in reversed(outside.children)]
    assert outside.events[outside.events.index(moment) + 1 :] == [f"stop {name}" for name in stopped]
    assert kept(context) == []


def test_interrupted_run_leaves_the_earlier_ones(context: RunContext, outside: FakeSystem) -> None:
    """What an earlier run recorded stays as it is, byte for byte, when a later one is interrupted."""
    made(context)
    before = {path: path.read_bytes() for path in kept(context)}
    outside.raises["POST server /score"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        made(context)
    assert len(before) == 3
    assert {path: path.read_bytes() for path in kept(context)} == before


@pytest.mark.parametrize("stranger", [False, True])
@pytest.mark.parametrize("name", ["mock", "server"])
def test_port_taken(context: RunContext, outside: FakeSystem, name: str, *, stranger: bool) -> None:
    """A port that is taken before the bind is answered by another one, even where a stranger answers on it."""
    taken = Script(ready_s=math.inf, ends_s=2.0, says=DEAD_PORT.says, stranger=stranger)
    outside.scripts[name] = [taken, Script()]
    done = made(context)
    first, second = (child for child in outside.children if child.name == name)
    assert first.argv != second.argv
    assert done.record.outcome == "ok"
    assert outside.events.count(f"stop {name}") == 2


def test_no_port_at_all(context: RunContext, outside: FakeSystem) -> None:
    """When three ports in a row are taken, the run fails and says so."""
    outside.scripts["server"] = [DEAD_PORT]
    done = made(context)
    assert [event for event in outside.events if event == "start server"] == ["start server"] * 3
    assert "Address already in use" in done.record.reasons[0]


def test_ignored_sigterm(context: RunContext, outside: FakeSystem) -> None:
    """A server that ignores SIGTERM is killed after a grace, the mock is stopped after it, and the run counts."""
    outside.scripts["server"] = [Script(ignores_sigterm=True)]
    done = made(context)
    assert outside.events[-4:] == ["stop locust", "stop server", "kill server", "stop mock"]
    assert done.record.outcome == "ok"


def test_no_steady_window(context: RunContext, outside: FakeSystem) -> None:
    """A load whose users never all started has no steady window, so it is invalid."""
    outside.ramp_ends = False
    done = made(context)
    assert done.record.outcome == "invalid"
    assert "the load ended before its ramp, with 2 of 2 users; there is no steady window" in done.record.reasons[0]
