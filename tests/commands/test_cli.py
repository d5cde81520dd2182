"""The command lines: the nearest option for a wrong one, and an exit code for each kind of error."""

from __future__ import annotations

import dataclasses
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from scripts.commands import bench, capacity, cli, compare, gate, lock, self_test, status
from scripts.config.errors import (
    EnvironmentBuildError,
    InvalidMeasurementError,
    NotComparableError,
    NothingMeasuredError,
    ServerError,
    SuiteError,
    Terminated,
    UsageError,
    VerificationError,
    did_you_mean,
)
from scripts.config.matrix import ROOT
from scripts.environments import virtualenvs
from scripts.measure.run import CompletedRun
from tests.fakes import synthetic_runs

TARGET = ["--release", "1.12.0", "--engine", "fastapi"]
QUIETER = "repeat this command with --wait-quiet 5m, or close other programs first"


def exit_code(main: Callable[[list[str]], int], monkeypatch: pytest.MonkeyPatch) -> int:
    """What a verb leaves the process with."""
    monkeypatch.setattr(sys, "argv", ["verb"])
    with pytest.raises(SystemExit) as caught:
        cli.run(main)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError, 2),
        (NothingMeasuredError, 3),
        (EnvironmentBuildError, 4),
        (ServerError, 5),
        (VerificationError, 5),
        (InvalidMeasurementError, 6),
        (NotComparableError, 7),
    ],
)
def test_exit_code_of_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[SuiteError], code: int
) -> None:
    """Each kind of error has its exit code; its message and the next step go to standard error."""

    def main(_argv: list[str]) -> NoReturn:
        raise error("it broke", then="mend it")

    assert exit_code(main, monkeypatch) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "error: it broke\n  next: mend it\n")


@pytest.mark.parametrize(("signal", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_exit_code_of_a_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signal: type[BaseException], code: int
) -> None:
    """Ctrl-C and SIGTERM end as a shell expects, and say that nothing is left running."""

    def main(_argv: list[str]) -> NoReturn:
        raise signal

    assert exit_code(main, monkeypatch) == code
    assert "everything that was started has been stopped" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 7])
def test_exit_code_of_a_verb(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A verb's own return value is the exit code."""
    assert exit_code(lambda _argv: code, monkeypatch) == code


def test_programming_mistakes_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is none of ours keeps its traceback."""

    def main(_argv: list[str]) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["verb"])
    with pytest.raises(ZeroDivisionError):
        cli.run(main)


@pytest.mark.parametrize(
    ("refusal", "reported"),
    [
        (PermissionError(13, "Permission denied", ".scratch/2.0.0.in"), ".scratch/2.0.0.in: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (TimeoutError("bash did not end"), "bash did not end"),
    ],
)
def test_file_or_disk_that_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refusal: OSError, reported: str
) -> None:
    """What the system refuses outside of a run is reported with the file and the system's words, and exit code 3."""

    def main(_argv: list[str]) -> NoReturn:
        raise refusal

    assert exit_code(main, monkeypatch) == 3
    next_step = "give access to it or make room on its disk, then repeat this command"
    assert capsys.readouterr().err == f"error: {reported}\n  next: {next_step}\n"


def test_unknown_log_level(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A LOGLEVEL that does not exist is a usage error with the nearest one, and nothing is done."""
    monkeypatch.setenv("LOGLEVEL", "inf")
    assert exit_code(lambda _argv: pytest.fail("it was called"), monkeypatch) == 2
    assert "LOGLEVEL: unknown level 'INF'; did you mean 'INFO'?" in capsys.readouterr().err


@pytest.mark.parametrize("level", ["", "debug", "ERROR"])
def test_log_levels(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """A LOGLEVEL is taken in any case; an empty one counts as none."""
    monkeypatch.setenv("LOGLEVEL", level)
    assert exit_code(lambda _argv: 0, monkeypatch) == 0


@pytest.mark.process
@pytest.mark.parametrize(
    ("options", "said"), [((), ""), (("--verbose",), "INFO: running sh -c 'true ...\nINFO: starting x: true\n")]
)
def test_verbose_names_the_commands(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """--verbose says on standard error each command that is started, of any verb, and nothing else says it."""
    script = f"""
from pathlib import Path
from scripts.commands import cli
from scripts.host.process import RealSystem

def main(argv):
    cli.parser("any", "x").parse_args(argv)
    RealSystem().run(["sh", "-c", "true\\ntrue"], env={{}}, cwd=Path("."), timeout_s=30)
    RealSystem().start("x", ["true"], env={{}}, cwd=Path("."), log=Path({str(tmp_path / "log")!r})).stop(5)
    return 0

cli.run(main)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, *options], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert (ended.stdout, ended.stderr) == ("", said)


class Terminal(io.StringIO):
    """A stream to a person."""

    def isatty(self) -> bool:
        """It is one."""
        return True


SENTENCE = "In 14 rounds an unchanged candidate often cannot pass what is allowed."
KEPT = f"    server: {'x' * 50}\n| {'y' * 50} |"


def test_plan_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal sentences are wrapped at its width, while commands and tables stay in one line."""
    monkeypatch.setenv("COLUMNS", "40")
    wrapped = "In 14 rounds an unchanged candidate\noften cannot pass what is allowed."
    assert cli.fitted(f"{SENTENCE}\n{KEPT}", Terminal()) == f"{wrapped}\n{KEPT}"
    assert cli.fitted(f"{SENTENCE}\n{KEPT}", io.StringIO()) == f"{SENTENCE}\n{KEPT}"


def test_width_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal without a width has 100 columns."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_stream: os.terminal_size((0, 0)))
    assert cli.columns() == 100


@pytest.mark.process
def test_reader_that_goes_away() -> None:
    """Output into a reader that has gone, as with `| head`, ends quietly."""
    script = "from scripts.commands import cli\ncli.run(lambda _: [print('x' * 100) for _ in range(100000)] and 0)"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.read(10)
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(20) == 141


PROGRESS = """
import time
from scripts.commands import cli
from scripts.host.progress import Progress
def main(argv):
    with Progress(time.monotonic) as progress:
        progress.note("x")
    return 0
cli.run(main)
"""
BENCH = "-m scripts bench --release 1.12.0 --engine fastapi"


@pytest.mark.fault
@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [
        "-m scripts status",
        "-m scripts status --help",
        "-m scripts collate --quiet --results {results}",
        f"{BENCH} --dry-run",
        f"{BENCH} --rounds 0 2>&1",
        f"-c {shlex.quote(PROGRESS)} 2>&1",
    ],
    ids=["status", "help", "collate", "dry-run", "error", "progress"],
)
def test_shell_sees_that_the_reader_went_away(tmp_path: Path, arguments: str) -> None:
    """In a shell, a command whose reader has gone ends with 141 and quietly, whenever its output is written."""
    for run in synthetic_runs.campaign(("1.11.0", "1.12.0"), 4):
        synthetic_runs.write(tmp_path, run.record)
    command = f"{shlex.quote(sys.executable)} {arguments.replace('{results}', str(tmp_path))}"
    line = f"{command} | head -n 0; exit ${{PIPESTATUS[0]}}"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, check=False)  # noqa: S607 - the user's shell
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([*TARGET, "--profil", "smoke"], "unrecognized arguments: --profil smoke; did you mean '--profile'?"),
        ([*TARGET, "--round=3"], "did you mean '--rounds'?"),
        ([*TARGET, "--xyz"], "known: --help, --quiet, --verbose, --profile"),
        ([*TARGET, "--rounds", "three"], "argument --rounds: invalid int value: 'three'"),
        ([*TARGET, "--dry-run", "--install-only"], "not allowed with argument --dry-run"),
        (["--release", "1.12.0"], "name --release and --engine, or --mock"),
        (["--mock", "--release", "1.12.0"], "--mock serves no flow and no release: leave out --release"),
        (["--mock", "--engine", "flask"], "leave out --engine"),
        (["--mock", "--flow", "static_sync", "--python", "3.12"], "leave out --flow, --python"),
    ],
)
def test_wrong_command_line(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    """A wrong option is refused with the nearest one, how to get help, and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        bench.main(argv)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    session = "bench-mock" if "--mock" in argv else "bench-1.12.0-fastapi"
    assert error.endswith(f"  next: nox -s {session} -- --help\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--release", "1.12.9", "--engine", "flask"], "unknown release '1.12.9'; did you mean '1.12.0'"),
        (["--release", "1.12.0", "--engine", "flusk"], "unknown engine 'flusk'; did you mean 'flask'"),
        ([*TARGET, "--profile", "smok"], "unknown profile 'smok'; did you mean 'smoke'"),
        ([*TARGET, "--profile", "count"], "profile count counts work"),
        (["--mock", "--profile", "smok"], "unknown profile 'smok'; did you mean 'smoke'"),
        ([*TARGET, "--flow", "flexasync"], "unknown flow 'flexasync'.*did you mean 'flex_async'"),
        ([*TARGET, "--python", "2.7"], "does not cover Python 2.7"),
        ([*TARGET, "--rounds", "0"], "--rounds 0: from 1 to"),
    ],
)
def test_wrong_choice(argv: list[str], message: str) -> None:
    """A choice that does not exist is refused before anything starts."""
    with pytest.raises(UsageError, match=message):
        bench.main(argv)


def test_dry_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dry run prints every run with its commands and the time it would take, and builds nothing."""
    monkeypatch.setattr(virtualenvs, "ENVIRONMENTS", tmp_path)
    assert bench.main([*TARGET, "--profile", "smoke", "--rounds", "2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("[1/4] 1.12.0 fastapi static_async: smoke\n")
    for part in ("environment: ", "from locks/1.12.0.txt", "PROMPTFLOW_WORKER_NUM=2", "mock: MIN_WAIT_TIME_SEC=0.2"):
        assert out.count(part) == 4
    assert "locustfiles/score.py" in out
    assert "4 run(s), about 0.6 minutes" in out
    assert list(tmp_path.iterdir()) == []


def test_dry_run_of_the_mock(capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run of the mock alone has no environment and no server."""
    assert bench.main(["--mock", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "locustfiles/mock_api.py" in out
    assert "environment: " not in out
    assert "server: " not in out


def done(
    results: Path, error: SuiteError | None = None, number: int = 1, generator: Mapping[str, Any] | None = None
) -> CompletedRun:
    """A run that was recorded, with these figures of the generator."""
    measured = synthetic_runs.measurements()
    measured = dataclasses.replace(measured, generator=dataclasses.replace(measured.generator, **(generator or {})))
    record = synthetic_runs.record(number=number, measured=measured)
    return CompletedRun(record=record, directory=synthetic_runs.write(results, record), scratch=None, error=error)


def test_verdict_of_a_failed_run(tmp_path: Path) -> None:
    """A session with a failed run ends as that run did, also where a later one went well."""
    with pytest.raises(VerificationError, match="wrong"):
        bench.verdict([done(tmp_path, VerificationError("wrong")), done(tmp_path, number=2)])


@pytest.mark.parametrize(
    ("generator", "reason", "then"),
    [
        ({"exceptions": 1}, "raised 1 exceptions", "repeat this command with --keep-logs, then read the logs"),
        ({"lag_p99_ms": 50.0}, "event loop was late", QUIETER),
        ({"run_queue_wait_s": 30.0}, "waited for a core", QUIETER),
    ],
)
def test_verdict_of_a_run_not_to_be_believed(tmp_path: Path, generator: dict[str, Any], reason: str, then: str) -> None:
    """A run not to be believed ends the session as invalid; only one that was disturbed asks for a quiet machine."""
    with pytest.raises(InvalidMeasurementError, match=reason) as caught:
        bench.verdict([done(tmp_path), done(tmp_path, number=2, generator=generator)])
    assert caught.value.then == then


def test_verdict_of_good_runs(tmp_path: Path) -> None:
    """A session of good runs ends well."""
    assert bench.verdict([done(tmp_path), done(tmp_path, number=2)]) == 0


def test_lock_needs_a_name() -> None:
    """`lock` without a name asks for one."""
    with pytest.raises(UsageError, match="name a release, or tools"):
        lock.main([])


def test_lock_of_all_takes_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name beside --all is refused, before anything is resolved."""
    with pytest.raises(SystemExit):
        lock.main(["1.12.0", "--all"])
    assert "leave out the names, or leave out --all" in capsys.readouterr().err


def test_lock_check(capsys: pytest.CaptureFixture[str]) -> None:
    """`lock --check` looks at every lock and writes nothing."""
    assert lock.main(["--check"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "locks/1.12.0.txt is up to date" in out
    assert "locks/tools.txt is up to date" in out
    assert len(out) == len(list((ROOT / "locks").iterdir()))


def test_lock_of_an_unknown_release() -> None:
    """`lock` refuses a release that is not in suite.toml."""
    with pytest.raises(UsageError, match=r"unknown release '1.12.9'; did you mean '1.12.0'"):
        lock.main(["1.12.9"])


@pytest.mark.parametrize(
    ("word", "legal", "text"),
    [
        ("flsk", ["flask", "fastapi"], "did you mean 'flask'?"),
        ("quart", ["flask", "fastapi"], "known: flask, fastapi"),
        ("flask", [], "known: none"),
    ],
)
def test_did_you_mean(word: str, legal: list[str], text: str) -> None:
    """A word is answered with the nearest legal one, or with all of them when none is near."""
    assert did_you_mean(word, legal) == text


@pytest.mark.parametrize(
    ("main", "argv", "session"),
    [
        (bench.main, ["--release", "1.18.5", "--engine", "flask"], "bench-1.18.5-flask"),
        (bench.main, ["--mock"], "bench-mock"),
        (capacity.main, ["--release", "1.12.0", "--engine", "fastapi"], "capacity-1.12.0-fastapi"),
        (compare.main, [], "compare"),
        (self_test.main, [], "self-test"),
    ],
)
def test_help_names_the_session(
    capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], argv: list[str], session: str
) -> None:
    """Help is that of the nox session, with its options and without those that its name stands for."""
    with pytest.raises(SystemExit) as caught:
        main([*argv, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: nox -s {session} -- [-h] ")
    assert not {"--release", "--mock"} & set(out.split())


def test_help_of_the_gate_names_its_own_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --rounds a gate has a time budget for each flow, and its help says so."""
    with pytest.raises(SystemExit):
        gate.main(["--help"])
    assert "make N rounds of each flow (default: a budget of 5m for each flow)" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(("main", "verb"), [(bench.main, "bench"), (capacity.main, "capacity")])
def test_session_of_another_target(main: Callable[[list[str]], int], verb: str) -> None:
    """A release or engine typed after `--` that differs from the session's is refused; the same again is not."""
    with pytest.raises(UsageError, match=rf"--release 1\.13\.0: nox -s {verb}-1\.12\.0-fastapi has release 1\.12\.0"):
        main([*TARGET, "--release", "1.13.0", "--dry-run"])
    with pytest.raises(UsageError, match="--engine flask: nox"):
        main([*TARGET, "--engine=flask", "--dry-run"])
    with pytest.raises(UsageError, match="unknown flow 'none'"):
        main([*TARGET, "--engine", "fastapi", "--flow", "none"])


@pytest.mark.parametrize("rounds", ["0", "1001"])
def test_status_of_no_rounds(rounds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number of rounds that no session takes is one error, not one for each session."""
    with pytest.raises(SystemExit):
        status.main(["--rounds", rounds])
    assert f"error: --rounds {rounds}: from 1 to 1000" in capsys.readouterr().err


def test_three_disturbed_runs_are_enough(tmp_path: Path) -> None:
    """A bench session is given up after three disturbed runs in a row, and not for what a server did."""
    disturbed = [done(tmp_path, number=number, generator={"lag_p99_ms": 50.0}) for number in (1, 2, 3)]
    assert not bench.hopeless(disturbed[:2])
    assert bench.hopeless(disturbed)
    assert not bench.hopeless([*disturbed[:2], done(tmp_path, number=4)])
    assert not bench.hopeless([*disturbed[:2], done(tmp_path, number=5, generator={"exceptions": 1})])
