"""From what was asked to the runs to make."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from scripts.config import flows, matrix_file, plan
from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.config.support import Unsupported
from tests.fakes import values

MATRIX = matrix_file.load()
ASKED: dict[str, Any] = {
    "release": "1.12.0",
    "engine": "fastapi",
    "flow_names": (),
    "profile": "report",
    "python": None,
    "rounds": 1,
}


def test_scenarios_are_the_default() -> None:
    """Without a flow, the engine's scenarios are run, on the Python of the tables."""
    runs = plan.make(MATRIX, **ASKED).runs
    assert [(run.release, run.engine, run.flow) for run in runs] == [
        ("1.12.0", "fastapi", "static_async"),
        ("1.12.0", "fastapi", "flex_async"),
    ]
    assert {run.python for run in runs} == {MATRIX.python}


def test_any_flow_on_any_engine() -> None:
    """A flow that is no scenario of the engine can be asked for."""
    runs = plan.make(MATRIX, **ASKED | {"engine": "flask", "flow_names": ["flex_async"]}).runs
    assert [(run.engine, run.flow) for run in runs] == [("flask", "flex_async")]


def test_rounds_and_seeds() -> None:
    """Rounds repeat all flows in order; runs of one round share a seed, and rounds do not."""
    runs = plan.make(MATRIX, **ASKED | {"rounds": 2}).runs
    assert [(run.round, run.flow, run.seed) for run in runs] == [
        *((1, "static_async", 42), (1, "flex_async", 42)),
        *((2, "static_async", 43), (2, "flex_async", 43)),
    ]


def test_expected_time() -> None:
    """The expected time is the load and the overhead of each run, which grows with the workers."""
    chosen = plan.make(MATRIX, **ASKED)
    assert chosen.expected_s == pytest.approx(2 * (60 + 2.2 + 8 * 1.2))
    drained = dataclasses.replace(chosen.runs[0], profile=dataclasses.replace(values.PROFILE, drain_s=5))
    assert drained.expected_s == pytest.approx(4 + 2.2 + values.PROFILE.workers * 1.2)


def test_counting() -> None:
    """Runs of profile count hold how work is counted; others do not."""
    counted, timed = (plan.make(MATRIX, **ASKED | {"profile": profile}).runs[0] for profile in ("count", "report"))
    assert (counted.counting, timed.counting) == (MATRIX.count, None)


def test_the_mock_is_not_counted() -> None:
    """The mock API alone has no release whose work could be counted."""
    with pytest.raises(UsageError, match="work is counted of a release"):
        plan.make_mock(MATRIX, profile="count", rounds=1)


def test_mock() -> None:
    """The mock alone is loaded on the harness's own Python, and has names where a target would be."""
    runs = plan.make_mock(MATRIX, profile="smoke", rounds=2).runs
    assert [(run.release, run.engine, run.flow, run.round) for run in runs] == [
        ("mock", "uvicorn", "mock_api", 1),
        ("mock", "uvicorn", "mock_api", 2),
    ]
    assert runs[0].python == MATRIX.tools.python


def test_own_flow(tmp_path: Path) -> None:
    """Anyone's flow directory can be asked for by its path."""
    mine = values.write_flow(tmp_path / "mine")
    runs = plan.make(MATRIX, **ASKED | {"flow_names": [str(mine)]}).runs
    assert [run.flow for run in runs] == ["mine"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"release": "1.12.00"}, "unknown release '1.12.00'; did you mean '1.12.0'"),
        ({"engine": "flsk"}, "unknown engine 'flsk'; did you mean 'flask'"),
        ({"profile": "reprot"}, "unknown profile 'reprot'; did you mean 'report'"),
        ({"flow_names": ["static_asink"]}, "unknown flow 'static_asink'.*did you mean 'static_async'"),
        ({"python": "3.13"}, "the lock of 1.12.0 does not cover Python 3.13"),
        ({"release": "1.18.5", "python": "3.9"}, "the lock of 1.18.5 does not cover Python 3.9"),
        ({"profile": "duet"}, "profile duet loads two releases at the same time, and this session has one"),
        ({"rounds": 0}, "--rounds 0: from 1 to 1000"),
        ({"rounds": 1001}, "--rounds 1001: from 1 to 1000"),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    """What does not exist is refused, with the nearest that does and the next step."""
    with pytest.raises(UsageError, match=message) as caught:
        plan.make(MATRIX, **ASKED | change)
    assert caught.value.then


def test_mock_at_once() -> None:
    """The mock alone is not loaded twice at the same time."""
    with pytest.raises(UsageError, match="two releases at the same time"):
        plan.make_mock(MATRIX, profile="duet", rounds=1)


@pytest.mark.parametrize("rounds", [0, -1, 1001])
def test_mock_rounds(rounds: int) -> None:
    """The mock's rounds have the same bounds."""
    with pytest.raises(UsageError, match="from 1 to 1000"):
        plan.make_mock(MATRIX, profile="smoke", rounds=rounds)


def test_engine_that_the_release_never_had() -> None:
    """An engine that came later is refused with the release it came with."""
    engines = tuple(dataclasses.replace(engine, since="1.18.0") for engine in MATRIX.engines)
    suite = dataclasses.replace(MATRIX, engines=engines)
    with pytest.raises(UsageError, match=r"promptflow 1.12.0 has no fastapi engine: it came with 1.18.0"):
        plan.make(suite, **ASKED)


def test_flow_that_the_release_cannot_serve() -> None:
    """A flow of the suite that the release cannot serve is refused with those that it can."""
    entry = Unsupported(flow="flex_async", before="1.13.0", outcome="failed", reason="it ends")
    suite = dataclasses.replace(MATRIX, unsupported=(entry,))
    with pytest.raises(UsageError, match=r"promptflow 1.12.0 cannot serve flex_async: it ends") as caught:
        plan.make(suite, **ASKED | {"flow_names": ["flex_async"]})
    assert "; it serves static_sync, static_async" in str(caught.value)
    assert caught.value.then == "nox -s bench-1.12.0-fastapi -- --flow static_sync"


def test_workers_and_threads_that_a_release_fixes() -> None:
    """Up to 1.9.0 the server's own command says how many workers and threads; the load is the same."""
    (run, *_) = plan.make(MATRIX, **ASKED | {"release": "1.9.0", "engine": "flask", "flow_names": []}).runs
    requested = MATRIX.profile(str(ASKED["profile"]))
    assert (run.profile.workers, run.profile.threads) == (8, 1)
    assert dataclasses.replace(run.profile, workers=requested.workers, threads=requested.threads) == requested


def test_own_flow_with_a_name_of_the_suite(tmp_path: Path) -> None:
    """A flow directory elsewhere must not bear the name of a flow of the suite: their runs would be mixed."""
    clash = values.write_flow(tmp_path / "static_async")
    with pytest.raises(UsageError, match="'static_async' is the name of a flow of the suite"):
        plan.make(MATRIX, **ASKED | {"flow_names": [str(clash)]})


def test_two_own_flows_of_the_same_name(tmp_path: Path) -> None:
    """Two flow directories of the same name are refused: their runs would be mixed. One twice is not."""
    first, second = (str(values.write_flow(tmp_path / place / "mine")) for place in ("here", "there"))
    with pytest.raises(UsageError, match="two flow directories are called 'mine'"):
        plan.make(MATRIX, **ASKED | {"flow_names": [first, second]})
    assert len(plan.make(MATRIX, **ASKED | {"flow_names": [first, first]}).runs) == 2


def test_engine_without_scenarios() -> None:
    """An engine of which no scenario can be served has nothing to measure, unless a flow is named."""
    suite = dataclasses.replace(MATRIX, scenarios=())
    with pytest.raises(
        NothingMeasuredError, match=r"no scenario of fastapi that promptflow 1.12.0 can serve"
    ) as caught:
        plan.make(suite, **ASKED)
    assert caught.value.then == "add a [[scenario]] to suite.toml"
    assert plan.make(suite, **ASKED | {"flow_names": ["static_sync"]}).runs


def test_flow_of_the_suite_by_path() -> None:
    """The path of a flow of the suite is that flow."""
    runs = plan.make(MATRIX, **ASKED | {"flow_names": [str(flows.FLOWS / "static_sync")]}).runs
    assert [run.flow for run in runs] == ["static_sync"]
