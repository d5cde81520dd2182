"""Which release is compared on which Pythons, and what is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import pytest

from scripts.campaign import python_arms
from scripts.campaign.python_arms import PythonArms
from scripts.config import matrix_file
from scripts.config.errors import EnvironmentBuildError, NothingMeasuredError
from scripts.config.matrix import Suite
from tests.fakes.stage import arm

SUITE = matrix_file.load()
OLD = dataclasses.replace(SUITE, lines=tuple(dataclasses.replace(one, pythons=("3.11", "3.12")) for one in SUITE.lines))


def of(
    pythons: Sequence[str], releases: Sequence[str] = ("1.12.0",), *, missing: Collection[str] = (),
    suite: Suite = SUITE,
) -> PythonArms:  # fmt: skip
    """The arms on a machine that lacks some Pythons."""

    def why(python: str) -> EnvironmentBuildError | None:
        error = EnvironmentBuildError(f"Python {python} is not installed", then=f"uv python install {python}")
        return error if python in missing else None

    return python_arms.of(suite, [arm(one) for one in releases], pythons, why)


def labels(found: PythonArms) -> list[str]:
    """Of its arms."""
    return [one.release.version for one in found.arms]


def test_each_release_on_each_python() -> None:
    """The arms of a release are together, the Python of the tables first, each with its Python and its words."""
    found = of(["3.10", "3.11", "3.12", "3.10"], ["1.12.0", "1.18.5", "1.12.0"])
    pythons = ["3.11", "3.10", "3.12"]
    assert labels(found) == [f"{one}+py{python}" for one in ("1.12.0", "1.18.5") for python in pythons]
    assert [one.python for one in found.arms] == pythons * 2
    assert found.arms[1].about == "promptflow 1.12.0 on Python 3.10"
    assert {one.version for one in found.arms[:3]} == {"1.12.0"}
    found.require_all()


def test_first_python_is_the_baseline_without_that_of_the_tables() -> None:
    """Where the Python of the tables is not among them, the order is as typed."""
    assert labels(of(["3.12", "3.10"])) == ["1.12.0+py3.12", "1.12.0+py3.10"]


def test_missing_python_is_named_and_the_others_go_on() -> None:
    """It is named once, with the command that installs it, and raised at the end."""
    found = of(["3.11", "3.10", "3.12"], ["1.12.0", "1.18.5"], missing=["3.10"])
    assert labels(found) == [f"{one}+py{python}" for one in ("1.12.0", "1.18.5") for python in ("3.11", "3.12")]
    assert len(found.left_out) == 1
    with pytest.raises(EnvironmentBuildError, match=r"Python 3\.10 is not installed") as caught:
        found.require_all()
    assert caught.value.then == "uv python install 3.10"


def test_python_that_a_lock_does_not_cover() -> None:
    """It is left out of that release, is not looked for on the machine, and the next command works."""
    found = of(["3.11", "3.10", "3.12"], missing=["3.10"], suite=OLD)
    assert labels(found) == ["1.12.0+py3.11", "1.12.0+py3.12"]
    with pytest.raises(NothingMeasuredError, match=r"lock of 1\.12\.0 does not cover Python 3\.10") as caught:
        found.require_all()
    assert caught.value.then == "repeat this command without --python 3.10"


@pytest.mark.parametrize(("missing", "suite"), [(["3.12"], SUITE), ([], OLD)])
def test_nothing_to_compare(missing: list[str], suite: Suite) -> None:
    """A release that is left with one Python has nothing to be compared with."""
    other = "3.12" if missing else "3.10"
    with pytest.raises((EnvironmentBuildError, NothingMeasuredError), match=rf"Python {other}"):
        of(["3.11", other], missing=missing, suite=suite)
