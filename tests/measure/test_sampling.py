"""A load whose stacks are sampled, in a fake outside: what is started, what is counted, and how it ends."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from scripts.config.errors import InvalidMeasurementError, ServerError, VerificationError
from scripts.host import telemetry
from scripts.measure import py_spy, recording, sampling
from scripts.measure.py_spy import PySpy
from scripts.measure.run import Prepared, RunContext
from scripts.measure.sampling import StackSamples
from tests.fakes import run_context, sampled, values
from tests.fakes.stage import DUET
from tests.fakes.system import FakeSystem, Script, reply

TOOL = PySpy(path=Path("/somewhere/py-spy"), version="0.4.3")
SAMPLES = Counter({sampled.STACKS[0]: 7, sampled.STACKS[1]: 5})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A session, and a release that is sampled against itself."""

    context: RunContext
    outside: FakeSystem
    prepared: Prepared
    flow: Path

    def pair(self) -> tuple[StackSamples, ...]:
        """Sample both."""
        spec = dataclasses.replace(values.spec(self.flow), profile=DUET)
        return sampling.pair(self.context, TOOL, [(spec, self.prepared)] * 2)


@pytest.fixture
def stage(tmp_path: Path, outside: FakeSystem, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Servers whose launchers become a py-spy that ends 30 s after their start."""
    for arm in (1, 2):
        outside.scripts[f"server-arm-{arm}"] = [Script(ends_s=30.0, code=0)]
    monkeypatch.setattr(telemetry, "children", lambda _root: ())
    monkeypatch.setattr(py_spy, "begin", lambda folder: outside.events.append(f"begin {folder.name}"))
    monkeypatch.setattr(py_spy, "has_begun", lambda _folder: True)
    monkeypatch.setattr(py_spy, "result", lambda _folder, _flow: (SAMPLES, 0))
    prepared = run_context.prepared(tmp_path)
    context = run_context.session(outside, tmp_path, prepared)
    return Stage(context=context, outside=outside, prepared=prepared, flow=values.write_flow(tmp_path / "flow"))


def test_both_are_sampled_under_one_load(stage: Stage) -> None:
    """Two servers and one generator are started; sampling begins under its load, and everything is stopped."""
    stage.pair()
    events = stage.outside.events
    started = [event for event in events if event.startswith("start ")]
    assert started == [
        "start mock-arm-1", "start server-arm-1", "start mock-arm-2", "start server-arm-2", "start locust",
    ]  # fmt: skip
    assert events.index("start locust") < events.index("begin arm-1") < events.index("begin arm-2")
    assert {event for event in events if event.startswith("stop ")} == {f"stop {one[6:]}" for one in started}


def test_what_is_told(stage: Stage) -> None:
    """Of each server there are its stacks, the requests that ended meanwhile, and its CPU time."""
    first, second = stage.pair()
    assert (first.stacks, first.failed, first.unread) == (SAMPLES, 0, 0)
    assert first.requests == second.requests == 1
    assert first.cpu_ms > 0
    assert first.served.observed.promptflow == values.RELEASE.version


def test_the_server_is_started_by_the_launcher(stage: Stage) -> None:
    """The release's own command stands behind the launcher and py-spy's command."""
    stage.pair()
    argv = next(child.argv for child in stage.outside.children if child.name == "server-arm-1")
    assert argv.index(str(TOOL.path)) < argv.index("--") < argv.index("-w")


def test_nothing_is_left(stage: Stage) -> None:
    """The folder of a load that could be used is removed."""
    stage.pair()
    assert not list(stage.context.scratch.iterdir())


def test_a_server_that_does_not_verify(stage: Stage) -> None:
    """A wrong answer ends it before any load, and its logs are kept."""
    stage.outside.replies["server-arm-2 /score"] = dataclasses.replace(reply({}), status=500)
    with pytest.raises(VerificationError):
        stage.pair()
    assert "start locust" not in stage.outside.events
    assert list(stage.context.scratch.rglob("server-arm-2.log"))


def test_a_server_that_dies_under_load(stage: Stage) -> None:
    """A server that ends before it is sampled is an error of the server."""
    stage.outside.scripts["server-arm-1"] = [Script(ends_s=3.0, code=1, says="Killed\n")]
    with pytest.raises(ServerError, match="Killed"):
        stage.pair()


def loaded_s(stage: Stage) -> float:
    """When the load began."""
    return next(child.started_s for child in stage.outside.children if child.name == "locust")


@pytest.mark.parametrize("failed", [1, 3])
def test_requests_that_fail(stage: Stage, monkeypatch: pytest.MonkeyPatch, failed: int) -> None:
    """A load with more than 1 % of failed requests explains nothing."""
    outcomes = ["status"] * failed + ["ok"] * (20 - failed)
    monkeypatch.setattr(
        recording, "read_requests",
        lambda _directory: [
            values.request(loaded_s(stage) + 1, 100.0),
            *(values.request(stage.outside.now - 10, 100.0, outcome) for outcome in outcomes),
        ],
    )  # fmt: skip
    with pytest.raises(InvalidMeasurementError, match=f"{failed} of 20 requests"):
        stage.pair()


def test_samples_that_cannot_be_taken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a tenth of samples that py-spy could not take is too many."""
    monkeypatch.setattr(py_spy, "result", lambda _folder, _flow: (SAMPLES, 2))
    with pytest.raises(InvalidMeasurementError, match="2 of 14 samples"):
        stage.pair()


def test_a_py_spy_that_never_begins(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for for ever, and the error says where the logs are."""
    monkeypatch.setattr(py_spy, "has_begun", lambda _folder: False)
    with pytest.raises(InvalidMeasurementError, match="py-spy's first sample") as caught:
        stage.pair()
    assert "see the logs in" in caught.value.then
