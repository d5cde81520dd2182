"""When a release was uploaded, as the resolver says."""

from __future__ import annotations

from datetime import date

import pytest

from scripts.config.errors import EnvironmentBuildError, UsageError
from scripts.environments import uploads
from scripts.host.process import Finished
from tests.fakes.system import FakeSystem

LOCK = """\
[[packages]]
name = "promptflow"
version = "1.14.0"
sdist = {{ url = "x", {later} }}
wheels = [{{ url = "y", {first} }}]
"""
LATER, FIRST = "upload-time = 2024-07-27T00:10:00Z", "upload-time = 2024-07-27T01:00:00+02:00"


def told(output: str | None, code: int = 0) -> date | None:
    """The day, where the resolver says this."""
    system = FakeSystem(shell=None if output is None else Finished(code=code, output=output))
    return uploads.uploaded("1.14.0", uv="uv", env={}, system=system)


def test_day_of_the_first_file() -> None:
    """The earliest of all files counts, by the day of UTC."""
    assert told(LOCK.format(later=LATER, first=FIRST)) == date(2024, 7, 26)


@pytest.mark.parametrize("output", [LOCK.format(later="size = 1", first="size = 1"), "", "promptflow==1.14.0"])
def test_index_that_tells_no_day(output: str) -> None:
    """A lock need not have upload times."""
    assert told(output) is None


def test_version_that_the_index_does_not_have() -> None:
    """It is named as such."""
    output = "No solution found\n  cause: Because there is no version of promptflow==1.14.0 and you require it"
    with pytest.raises(UsageError, match=r"the package index has no promptflow 1\.14\.0"):
        told(output, code=1)


@pytest.mark.parametrize(("output", "why"), [("no route to host", "no route to host"), (None, "does not answer")])
def test_index_that_cannot_be_asked(output: str | None, why: str) -> None:
    """The resolver's own words are quoted."""
    with pytest.raises(EnvironmentBuildError, match=why):
        told(output, code=2)
