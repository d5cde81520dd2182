"""A measuring session: all runs of a plan in order, on a machine that it has to itself."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from scripts.config import matrix_file
from scripts.config.errors import EnvironmentBuildError, UsageError
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec
from scripts.host import machine, telemetry
from scripts.host.process import System
from scripts.host.progress import Progress, remaining
from scripts.measure import session
from scripts.measure.run import CompletedRun
from tests.fakes import values
from tests.fakes.system import FakeSystem, Script

MATRIX = matrix_file.load()
PLAN = Plan(runs=(values.spec(None), values.spec(None), values.spec(None)))


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> session.Options:
    """A session with a lock, results and a scratch folder of its own."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "lock"))
    return session.Options(results=tmp_path / "results", scratch=tmp_path / "scratch")


def nothing_to_build(_matrix: Suite, _spec: RunSpec, _system: System, _progress: Progress) -> None:
    """The mock alone needs no virtualenv of its own."""


def make(
    options: session.Options, outside: FakeSystem, prepare: session.Prepare = nothing_to_build,
    out: io.StringIO | None = None,
) -> list[CompletedRun]:  # fmt: skip
    """Make all runs of the plan."""
    progress = Progress(outside.monotonic, Console(file=out or io.StringIO()))
    return session.make(MATRIX, PLAN, options, outside, progress, prepare)


def test_every_run_starts_afresh(options: session.Options, outside: FakeSystem) -> None:
    """Each run of a plan starts its own servers, and has its own record."""
    done = make(options, outside)
    assert outside.events.count("start mock") == 3
    assert len({one.directory for one in done}) == 3
    assert {one.record.outcome for one in done} == {"ok"}


def test_one_line_a_run(options: session.Options, outside: FakeSystem) -> None:
    """Before each run a head line says how much is left; after it, one line says what came out, and a failure why."""
    out = io.StringIO()
    outside.scripts["mock"] = [Script(), Script(), Script(ends_s=0.5)]
    make(options, outside, out=out)
    lines = out.getvalue().splitlines()
    left = [remaining(sum(spec.expected_s for spec in PLAN.runs[made:])) for made in range(3)]
    assert [line for line in lines if line.startswith("run ")] == [
        f"run {number} of 3, {time} left" for number, time in enumerate(left, 1)
    ]
    runs = [line for line in lines if line.startswith("[")]
    assert [line.partition(" s  ")[2] for line in runs] == ["3 requests", "3 requests", "failed"]
    assert lines[lines.index(runs[-1]) + 1].startswith("  failed: ")


def test_failed_run_does_not_keep_the_next(options: session.Options, outside: FakeSystem) -> None:
    """A run that fails is recorded, and the runs after it are made."""
    outside.scripts["mock"] = [Script(), Script(ends_s=0.5), Script()]
    assert [one.record.outcome for one in make(options, outside)] == ["ok", "failed", "ok"]


def test_interruption_keeps_what_was_measured(options: session.Options, outside: FakeSystem) -> None:
    """An interrupted session keeps the runs before, and leaves the machine to the next."""
    first = make(options, outside)[0].directory
    outside.raises = {"GET mock /counts": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        make(options, outside)
    assert (first / "record.json").is_file()
    assert len(list(options.results.rglob("record.json"))) == 3
    with machine.exclusive(machine.lock_file()):
        assert all(child.stopped for child in outside.children)


def test_machine_that_is_taken(options: session.Options, outside: FakeSystem) -> None:
    """While another session holds the machine, nothing is built and nothing starts."""
    with machine.exclusive(machine.lock_file()), pytest.raises(UsageError, match="another measurement runs"):
        make(options, outside)
    assert outside.events == []


@pytest.mark.fault
def test_folders_of_killed_sessions(options: session.Options, outside: FakeSystem) -> None:
    """A session removes the folders of runs that a killed session on its lock left, and nothing else in scratch."""
    with machine.exclusive(machine.lock_file()) as marker:
        pass
    folders = {
        "20240101T000000Z-aaaaaa": marker,
        "20240101T000000Z-bbbbbb": "of another lock",
        "20240101T000000Z-cccccc": None,  # its logs were kept
        "mine": marker,
    }
    for name, held_by in folders.items():
        (options.scratch / name / "home").mkdir(parents=True)
        if held_by is not None:
            (options.scratch / name / "unfinished").write_text(held_by, encoding="utf-8")
    make(options, outside)
    assert {path.name for path in options.scratch.iterdir()} == folders.keys() - {"20240101T000000Z-aaaaaa"}


@pytest.mark.fault
@pytest.mark.process
def test_session_on_another_lock_is_left_alone(
    options: session.Options, outside: FakeSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two sessions whose locks have one relative name in two directories end nothing of each other."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", "lock")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    with machine.exclusive(machine.lock_file()) as marker:
        argv = [sys.executable, "-c", "import time; time.sleep(60)"]
        with subprocess.Popen(argv, env={**os.environ, telemetry.MARKER: marker}) as child:
            monkeypatch.chdir(tmp_path / "other")
            make(options, outside)
            assert child.poll() is None
            child.kill()


def test_results_that_cannot_be_kept(options: session.Options, outside: FakeSystem) -> None:
    """Results that cannot be written to are refused before anything is built or started."""
    options.results.write_text("in the way", encoding="utf-8")
    with pytest.raises(UsageError, match="results cannot be written"):
        make(options, outside)
    assert outside.events == []


def test_virtualenv_that_cannot_be_built(options: session.Options, outside: FakeSystem) -> None:
    """A virtualenv that cannot be built ends the session before any run."""

    def fails(_matrix: Suite, _spec: RunSpec, _system: System, _progress: Progress) -> None:
        raise EnvironmentBuildError("no network")

    with pytest.raises(EnvironmentBuildError, match="no network"):
        make(options, outside, fails)
    assert outside.events == []


def test_hopeless_session_is_given_up(options: session.Options, outside: FakeSystem) -> None:
    """The runs after those that are called hopeless are not made."""
    progress = Progress(outside.monotonic, Console(file=io.StringIO()))
    done = session.make(MATRIX, PLAN, options, outside, progress, nothing_to_build, lambda done: len(done) == 2)
    assert len(done) == 2
