"""The options that say which processes make a load: what they mean, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.commands import bench, load_options
from scripts.config import matrix_file
from scripts.config.errors import UsageError
from scripts.config.load_profiles import Generators
from scripts.host import machine
from tests.fakes import values

TARGET = ["--release", "1.12.0", "--engine", "flask"]
SUITE = matrix_file.load()


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "describe", lambda: values.MACHINE)


def planned(*options: str, argv: tuple[str, ...] = ("--mock",)) -> str:
    """What a dry run of the mock alone says."""
    args = bench._arguments([*argv, *options])
    return bench._describe(SUITE, load_options.applied(bench._plan(SUITE, args), args))


@pytest.mark.parametrize(
    ("options", "generators"),
    [
        ([], Generators()),
        (["--load-processes", "1"], Generators()),
        (["--load-processes", "4"], Generators(processes=4)),
        (["--load-workers", "2"], Generators(workers=2)),
        (["--load-workers", "1", "--bind", "192.0.2.7"], Generators(workers=1, address="192.0.2.7")),
    ],
)
def test_generators(options: list[str], generators: Generators) -> None:
    """Each run of the plan is made by the processes that were asked for; by default by one, on loopback."""
    args = bench._arguments(["--mock", *options])
    made = load_options.applied(bench._plan(SUITE, args), args)
    assert {run.generators for run in made.runs} == {generators}


def test_users() -> None:
    """Other users than the profile's start in the same time, and their runs are in no report."""
    args = bench._arguments(["--mock", "--users", "2500"])
    (run,) = load_options.applied(bench._plan(SUITE, args), args).runs
    usual = SUITE.profile("report")
    assert (run.profile.users, run.profile.reported) == (2500, False)
    assert run.profile.ramp_s == usual.ramp_s
    assert usual.reported


def test_dry_run_shows_the_commands() -> None:
    """The plan says how master and workers are started."""
    text = planned("--users", "2500", "--load-processes", "4")
    assert "--master --master-bind-host 127.0.0.1" in text
    assert "4 load processes: " in text
    assert "--worker --master-host 127.0.0.1" in text
    elsewhere = planned("--load-workers", "2", "--bind", "192.0.2.7")
    assert "2 load workers, elsewhere: nox -s load-worker -- 192.0.2.7" in elsewhere
    assert "--master-bind-host 192.0.2.7" in elsewhere
    assert "--master" not in planned()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bind", "192.0.2.7"], "--bind 192.0.2.7 is for processes of other machines"),
        (["--users", "3", "--load-processes", "4"], "3 users cannot be shared out to 4 processes"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, options: list[str], message: str) -> None:
    """Options that contradict each other are refused with what to type instead."""
    with pytest.raises(UsageError, match=message):
        bench.main([*TARGET, *options, "--dry-run", "--results", str(tmp_path)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--load-processes", "0"], "0 is not a number from 1 to 64"),
        (["--load-processes", "many"], "many is not a number from 1 to 64"),
        (["--load-workers", "65"], "65 is not a number from 1 to 64"),
        (["--users", "0"], "0 is not a number from 1 to 100000"),
        (["--load-workers", "2", "--load-processes", "2"], "not allowed with argument"),
        (["--load-workers", "2", "--bind", "0.0.0.0"], "0.0.0.0 is no address of one machine"),  # noqa: S104 - refused
        (["--load-workers", "2", "--bind", "224.0.0.1"], "224.0.0.1 is no address of one machine"),
        (["--load-workers", "2", "--bind", "*"], "'*' is not an IPv4 address"),
        (["--load-workers", "2", "--bind", "localhost"], "'localhost' is not an IPv4 address"),
    ],
)
def test_wrong_options(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    """A wrong number or address is refused; the master never listens on all addresses of a machine."""
    with pytest.raises(SystemExit) as end:
        bench.main([*TARGET, *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
