"""A worker of a cluster: what it needs to be asked first, and how it stops."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from scripts.campaign import messages
from scripts.campaign.messages import Failure, FlowForm, Prepare
from scripts.campaign.tasks import Task
from scripts.campaign.worker import Worker
from scripts.config.errors import NotComparableError, Terminated
from scripts.environments import candidates
from scripts.environments.locks import Lock
from scripts.measure.round_plan import Campaign
from tests.fakes import workers
from tests.fakes.stage import CANDIDATE, Stage

SESSION = "0123456789ab"


def task(requested: Campaign) -> Task:
    """The first round of a campaign."""
    (series,) = requested.series
    return Task(name="round 1", scenario=series.name, loads=tuple(series.round("0" * 12, 1)), run_s=9.0, ends_in_s=60.0)


def prepare(requested: Campaign) -> Prepare:
    """What its workers have to get ready."""
    targets = [requested.target(requested.scenarios[0], arm) for arm in requested.arms]
    locks: dict[str, Lock] = {arm.release.version: arm.lock for arm in requested.arms}
    specs = requested.round(requested.scenarios[0], "0" * 12, 1)
    return Prepare(
        session=SESSION, users=5, counts=False, keep_logs=False, quiet=None,
        releases=messages.releases(specs, locks), flows=messages.flow_forms(targets),
    )  # fmt: skip


def ask(worker: Worker, request: messages.Request, stopped: threading.Event | None = None) -> messages.Answer:
    """What it answers."""
    return messages.answer(worker.call(messages.encode(request), stopped or threading.Event()))


def test_stopped_worker_stops_its_servers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is stopped under load ends its servers at once, and leaves no record."""
    stopped = threading.Event()
    with workers.started(stage, monkeypatch, 1) as cluster:
        (worker,) = cluster.connected.values()
        requested = cluster.campaign()
        ask(worker, prepare(requested))
        sleep = stage.outside.sleep

        def stop_under_load(seconds: float) -> None:
            if "under load" in stage.outside.events:
                stopped.set()
            sleep(seconds)

        monkeypatch.setattr(type(stage.outside), "sleep", lambda _self, seconds: stop_under_load(seconds))
        with pytest.raises(Terminated):
            ask(worker, messages.make(SESSION, task(requested)), stopped)
    assert all(child.stopped for child in stage.outside.children)
    assert stage.outside.runs == 1
    assert not list(stage.at.rglob("record.json"))


def test_worker_that_was_started_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that knows nothing of a session says so, and makes nothing."""
    with workers.started(stage, monkeypatch, 1) as cluster:
        (worker,) = cluster.connected.values()
        answer = ask(worker, messages.make(SESSION, task(cluster.campaign())))
    assert isinstance(answer, Failure)
    assert str(messages.error(answer)).startswith("worker w1: it was started anew")
    assert stage.outside.runs == 0


def test_candidate_travels_as_files(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate's lock and a flow from elsewhere are written on the worker, and held against their digests."""
    with workers.started(stage, monkeypatch, 1) as cluster:
        (worker,) = cluster.connected.values()
        asked = prepare(cluster.campaign())
        ask(worker, asked)
        folder = stage.at / "worker-1" / SESSION
        assert list(folder.rglob(f"{CANDIDATE}.txt"))
        assert (folder / "flows" / "example" / "request.json").is_file()
        (flow,) = asked.flows
        other = FlowForm(name=flow.name, digest="0" * 64, files=flow.files)
        with pytest.raises(NotComparableError, match="flow example is another one here"):
            messages.flow(other, stage.at)


def test_pythons_of_one_release(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arms that are compared by their Python have the lock of their release, and each its own interpreter."""
    with workers.started(stage, monkeypatch, 1) as cluster:
        (worker,) = cluster.connected.values()
        plain = cluster.campaign(CANDIDATE)
        arms = tuple(candidates.on_python(plain.arms[0], python) for python in ("3.11", "3.12"))
        answer = ask(worker, prepare(dataclasses.replace(plain, arms=arms)))
    assert answer == messages.Ready(pythons={"3.11": "3.11.9", "3.12": "3.12.9"})


def test_virtualenvs_of_one_python_that_differ(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose virtualenvs have two patch versions of one Python says what to remove there."""
    stage.pythons = {CANDIDATE: "3.11.1"}
    with workers.started(stage, monkeypatch, 1) as cluster:
        (worker,) = cluster.connected.values()
        answer = ask(worker, prepare(cluster.campaign()))
    assert isinstance(answer, Failure)
    assert answer.message.startswith("the virtualenvs differ in Python: 1.12.0: 3.11.9, ")
    assert answer.then == "remove those with the older Python from .envs/ there, and start this worker again"


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/../../escaped", "."])
def test_files_stay_below_their_directory(stage: Stage, name: str) -> None:
    """Files that would be written elsewhere are refused before any is written."""
    with pytest.raises(NotComparableError, match="no path below a directory"):
        messages.unpack({"good": b"", name: b""}, stage.at / "below")
    assert not (stage.at / "below").exists()


def test_task_comes_back_from_json(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is the same on both sides but for where its flow lies."""
    with workers.started(stage, monkeypatch, 1) as cluster:
        requested = cluster.campaign()
        asked, sent = prepare(requested), task(requested)
        form = messages.request(messages.encode(messages.make(SESSION, sent)))
        assert isinstance(form, messages.Make)
        known = {one.release.version: one for one in asked.releases}
        flow = requested.scenarios[0].flow
        (worker,) = cluster.connected.values()
        assert messages.task(form, worker._suite, known, {flow.name: flow}) == sent
