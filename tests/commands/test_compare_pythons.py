"""The compare verb with several Pythons: each release is compared with itself; in a fake outside."""

from __future__ import annotations

import re

import pytest

from scripts.commands import compare
from scripts.config.errors import EnvironmentBuildError, NothingMeasuredError, UsageError
from tests.fakes.stage import DUET, Stage

THREE = ("--python", "3.10", "--python", "3.11", "--python", "3.12")


def plan(stage: Stage, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of a dry run."""
    argv = [*arguments, "--engine", "fastapi", "--flow", str(stage.flow()), "--dry-run"]
    assert compare.main(argv) == 0
    return capsys.readouterr().out.splitlines()


def test_page(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """One release on three Pythons is two comparisons, whose arms, Pythons and command are named."""
    stage.outside.cpu = {"1.12.0+py3.12": (0.9,)}
    assert compare.main(stage.arguments("1.12.0", *THREE, "--rounds", "4")) == 0
    page = capsys.readouterr().out
    assert "# promptflow 1.12.0: Python 3.10, 3.12 against 3.11\n" in page
    assert "**improvement** in CPU per request -10.0 % (fastapi example: 1.12.0+py3.12 against 1.12.0+py3.11)" in page
    assert "## fastapi example: 1.12.0+py3.10 against 1.12.0+py3.11" in page
    (heading,) = [line for line in page.splitlines() if line.startswith("| Engine and flow ")]
    assert re.findall(r"Python [\d.]+", heading) == ["Python 3.11.9", "Python 3.10.9", "Python 3.12.9"]
    assert "Python 3.11.9, 3.10.9 and 3.12.9." in page
    assert "nox -s compare -- 1.12.0 --rounds 4 " in page
    assert "--python 3.11 --python 3.10 --python 3.12 --profile short" in page


def test_records_hold_the_python_of_each_arm(stage: Stage) -> None:
    """All Pythons of a release are of one round, and each record has its own beside the label."""
    assert compare.main(stage.arguments("1.12.0", *THREE, "--rounds", "4")) == 0
    records = stage.records()
    assert len({record.requested.campaign for record in records}) == 1
    assert len({record.requested.round_id for record in records}) == 4
    assert {(one.requested.release, one.requested.python, one.python) for one in records} == {
        (f"1.12.0+py{python}", python, f"{python}.9") for python in ("3.10", "3.11", "3.12")
    }


def test_finished_rounds_are_not_made_again(stage: Stage) -> None:
    """A comparison of Pythons that was interrupted goes on after its last whole round."""
    argv = stage.arguments("1.12.0", "--python", "3.11", "--python", "3.12", "--rounds", "4")
    stage.outside.ends_at_run = 4
    with pytest.raises(KeyboardInterrupt):
        compare.main(argv)
    assert len(stage.records()) == 3
    assert compare.main(argv) == 0
    assert stage.outside.runs == 4 + 6


def test_two_at_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """By default each Python is loaded beside the baseline, and releases are not loaded together."""
    lines = plan(stage, capsys, "1.12.0", "1.18.5", *THREE)
    assert lines[0] == "arm 1: promptflow 1.12.0 on Python 3.11"
    pairs = [line for line in lines if line.startswith("at once: ")]
    assert pairs == [f"at once: arm {first} and arm {first + n}" for first in (1, 4) for n in (1, 2)]
    lines = plan(stage, capsys, "1.12.0", "1.18.5", *THREE, "--sequential")
    groups = [line for line in lines if line.startswith("in turn: ")]
    assert groups == ["in turn: arm 1, arm 2 and arm 3", "in turn: arm 4, arm 5 and arm 6"]


def test_two_at_once_are_two_servers(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The page does not call two Pythons of one release two releases."""
    argv = ["1.12.0", "--python", "3.11", "--python", "3.12", "--profile", DUET.name, "--engine", "fastapi"]
    assert compare.main([*argv, "--flow", str(stage.flow()), "--rounds", "4"]) == 0
    assert stage.outside.runs == 4
    assert "users for each of two servers at the same time" in capsys.readouterr().out


def test_one_python_is_no_arm(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A single Python serves all releases, which keep their names."""
    argv = ["1.12.0", "1.12.0+candidate", "--python", "3.12", "--python", "3.12", "--rounds", "4"]
    assert compare.main(stage.arguments(*argv)) == 0
    assert {(one.requested.release, one.python) for one in stage.records()} == {
        ("1.12.0", "3.12.9"), ("1.12.0+candidate", "3.12.9"),
    }  # fmt: skip
    assert "--python 3.12" in capsys.readouterr().out


def test_missing_python(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named before the first run, the others are measured and shown, and the command ends with its error."""
    stage.outside.missing = ["3.10"]
    with pytest.raises(EnvironmentBuildError, match=r"Python 3\.10 is not installed"):
        compare.main(stage.arguments("1.12.0", *THREE, "--rounds", "4"))
    out, err = capsys.readouterr()
    assert "left out: Python 3.10 is not installed" in err
    assert "## fastapi example: 1.12.0+py3.12 against 1.12.0+py3.11" in out
    assert len(stage.records()) == 8


def test_only_python_is_missing(stage: Stage) -> None:
    """Where nothing is left to compare, nothing is started."""
    stage.outside.missing = ["3.12"]
    with pytest.raises(EnvironmentBuildError, match=r"Python 3\.12 is not installed"):
        compare.main(stage.arguments("1.12.0", "--python", "3.11", "--python", "3.12"))
    assert stage.outside.runs == 0


def test_python_that_the_lock_does_not_cover(stage: Stage) -> None:
    """A plan says so, and ends with the error that the comparison would end with."""
    with pytest.raises(NothingMeasuredError, match=r"lock of 1\.12\.0 does not cover Python 2\.7"):
        compare.main(stage.arguments("1.12.0", *THREE, "--python", "2.7", "--dry-run"))


def test_against_itself_on_several(stage: Stage) -> None:
    """--aa on several Pythons is refused, with a command that works."""
    with pytest.raises(UsageError, match="with itself on one Python, and 3 are named") as caught:
        compare.main(stage.arguments("1.12.0", "--aa", *THREE))
    assert caught.value.then == "nox -s compare -- 1.12.0 --aa --python 3.10"
