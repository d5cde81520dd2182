"""The sessions: named after the matrix, each with a description and its tags."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import nox
import pytest
from nox import registry
from nox.command import CommandFailed

from scripts import __main__ as entry
from scripts.config import matrix, matrix_file
from scripts.config.errors import UsageError
from scripts.config.matrix import ROOT
from tests.fakes.nox_session import FakeSession

MATRIX = matrix_file.load()
VERBS = ("bench", "capacity", "count")  # those that have a session for each target
TARGETS = {matrix.session_name(*target, verb): (verb, *target) for verb in VERBS for target in MATRIX.targets()}
CHECKS = {"lint", "tests"}
OWN = CHECKS | {"cluster", "report"}
ON_TOOLS = {
    "add-release", "collate", "bench", "bench-mock", "capacity", "comment", "compare", "count", "gate",
    "attribute", "campaign", "explain", "explain-trials", "find", "load-worker", "show", "soak", "list", "status",
    "gate-trials", "self-test",
}  # fmt: skip
ON_CLUSTER = {"bench-self", "certificates", "scheduler", "worker"}
FIXED = OWN | ON_TOOLS | ON_CLUSTER | {"tools", "lock"}


def imported() -> Any:  # noqa: ANN401 - a module
    """noxfile.py, read again."""
    spec = importlib.util.spec_from_file_location("noxfile_under_test", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sessions() -> Iterator[Mapping[str, Any]]:
    """The sessions of noxfile.py, by name; what importing it changes in nox is put back."""
    before, path = registry.get(), list(sys.path)
    registry._REGISTRY.clear()
    imported().tools_bin.append(Path("tools/bin"))
    yield registry.get()
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)
    sys.path[:] = path


def test_names(sessions: Mapping[str, Any]) -> None:
    """There is one session of a verb for each release and engine that it has, and the fixed ones; no other."""
    assert set(sessions) == FIXED | set(TARGETS)


def test_descriptions(sessions: Mapping[str, Any]) -> None:
    """Every session has a description of one short line, so that `nox -l` reads as a menu."""
    for name, session in sessions.items():
        described = (session.func.__doc__ or "").strip()
        assert described.endswith("."), name
        assert "\n" not in described, name
        assert len(described) <= 100, name


@pytest.mark.parametrize("name", TARGETS)
def test_target(sessions: Mapping[str, Any], name: str) -> None:
    """A target's session is found by its verb, release and engine, needs the tools, and names its flows."""
    verb, release, engine = TARGETS[name]
    session = sessions[name]
    assert session.tags == [verb, release.version, engine.name]
    assert session.requires == ["tools"]
    flows = MATRIX.scenario_flows(release, engine)
    assert flows
    for word in (release.version, engine.title, *flows):
        assert word in session.func.__doc__


def test_mock_is_benched_with_the_rest(sessions: Mapping[str, Any]) -> None:
    """`nox -t bench` includes the mock alone, the ceiling of everything else."""
    assert sessions["bench-mock"].tags == ["bench"]


@pytest.mark.parametrize("name", sorted(ON_TOOLS))
def test_what_runs_on_the_tools(sessions: Mapping[str, Any], name: str) -> None:
    """A session that calls a verb needs the tools' virtualenv, and has none of its own."""
    assert sessions[name].requires == ["tools"]
    assert sessions[name].venv_backend == "none"


@pytest.mark.parametrize("name", sorted(ON_CLUSTER))
def test_what_runs_on_the_cluster_group(sessions: Mapping[str, Any], name: str) -> None:
    """What a cluster is made of, and what measures one, needs the virtualenv that has Dask."""
    assert sessions[name].requires == ["cluster"]


@pytest.mark.parametrize("option", [["--cluster", "local:2"], ["--cluster=local:2"]])
@pytest.mark.usefixtures("sessions")
def test_option_that_needs_dask(monkeypatch: pytest.MonkeyPatch, option: list[str]) -> None:
    """Where `--cluster` is typed, sessions run in the virtualenv that has Dask."""
    monkeypatch.setattr(sys, "argv", ["nox", "-s", "compare", "--", *option])
    before = registry.get()
    registry._REGISTRY.clear()
    imported()
    found = {name: registry.get()[name].requires for name in ("compare", "count-1.12.0-fastapi", "worker")}
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)
    assert all(requires == ["cluster"] for requires in found.values())


@pytest.mark.parametrize("name", sorted(OWN | {"tools"}))
def test_own_virtualenvs(sessions: Mapping[str, Any], name: str) -> None:
    """The project's own checks run on the harness's Python, in a virtualenv that is kept."""
    assert (sessions[name].python, sessions[name].reuse_venv) == (MATRIX.tools.python, True)


@pytest.mark.usefixtures("sessions")
def test_plain_nox_runs_the_projects_own_checks() -> None:
    """Plain `nox` checks the project and measures nothing."""
    assert set(nox.options.sessions or ()) == CHECKS


@pytest.mark.parametrize("name", sorted({*ON_TOOLS, *ON_CLUSTER, "lock", *(f"{verb}-1.12.0-flask" for verb in VERBS)}))
def test_verbs_exist(sessions: Mapping[str, Any], name: str) -> None:
    """Every verb that a session calls is a command line of its own."""
    session = FakeSession()
    sessions[name].func(session)
    ((verb, *_),) = session.ran
    assert verb in entry.verbs()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("requested", "options"),
    [
        ({}, ()),
        ({"posargs": ("-h",)}, ("-h",)),
        ({"posargs": ("--flow", "flex_async")}, ("--flow", "flex_async")),
        ({"install_only": True}, ("--install-only",)),
    ],
)
def test_target_calls_its_verb_once(
    sessions: Mapping[str, Any], verb: str, requested: dict[str, Any], options: tuple[str, ...]
) -> None:
    """A target's session is one call of its verb; under `nox --install-only` that only builds the virtualenv."""
    session = FakeSession(**requested)
    sessions[f"{verb}-1.12.0-fastapi"].func(session)
    assert session.ran == [(verb, "--release", "1.12.0", "--engine", "fastapi", *options)]


def test_bench_self_gets_the_python_of_nox(sessions: Mapping[str, Any]) -> None:
    """The suite measures itself with the nox that runs the session."""
    session = FakeSession()
    sessions["bench-self"].func(session)
    assert session.ran == [("bench-self", "--nox-python", sys.executable)]


@pytest.mark.parametrize("requested", [("tools", "collate"), ("cluster", "collate"), ("collate",)])
def test_exit_code_of_a_single_session(sessions: Mapping[str, Any], requested: tuple[str, ...]) -> None:
    """The exit code of the verb reaches the shell when no other session was requested."""
    with pytest.raises(SystemExit) as caught:
        sessions["collate"].func(FakeSession(requested=requested, code=7))
    assert caught.value.code == 7


@pytest.mark.parametrize("requested", [("lock", "tests"), ("tools", "collate", "lint")])
def test_failure_among_others(sessions: Mapping[str, Any], requested: tuple[str, ...]) -> None:
    """A session that fails among others leaves them to run."""
    with pytest.raises(CommandFailed):
        sessions["collate"].func(FakeSession(requested=requested, code=7))


def test_bad_matrix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A suite.toml that cannot be used ends nox with the exit code of a wrong configuration."""

    def refuse() -> NoReturn:
        raise UsageError("suite.toml has 1 problem(s)", then="edit suite.toml")

    monkeypatch.setattr(matrix_file, "load", refuse)
    with pytest.raises(SystemExit) as caught:
        imported()
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: suite.toml has 1 problem(s)\n  next: edit suite.toml\n"


def test_length() -> None:
    """The noxfile stays short: sessions only."""
    assert len((ROOT / "noxfile.py").read_text(encoding="utf-8").splitlines()) <= 180
