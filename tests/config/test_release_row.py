"""The row of a new release in the text of suite.toml."""

from __future__ import annotations

import difflib
from datetime import date

import pytest

from scripts.config import matrix_file, release_row
from scripts.config.errors import UsageError
from scripts.config.matrix import Release
from tests.fakes import suite_file

DAY = date(2024, 7, 26)
ADDED = Release(version="1.14.0", uploaded=DAY, as_of=date(2024, 8, 9))
ROW = ["", "[[release]]", 'version = "{}"', "uploaded = 2024-07-26", "as_of = 2024-08-09"]
SUITE = matrix_file.parse(suite_file.TEXT)


def added(version: str, text: str = suite_file.TEXT) -> tuple[int, list[str]]:
    """How many lines stand before what is new, and these lines; nothing of the text may be gone."""
    row = Release(version=version, uploaded=ADDED.uploaded, as_of=ADDED.as_of)
    edited, suite = release_row.with_row(text, row)
    assert suite.release(version) == row
    changes = difflib.SequenceMatcher(None, text.splitlines(), edited.splitlines(), autojunk=False).get_opcodes()
    (new,) = [change for change in changes if change[0] != "equal"]
    assert new[0] == "insert"
    return new[1], edited.splitlines()[new[3] : new[4]]


@pytest.mark.parametrize(
    ("version", "after"),
    [("1.14.0", "as_of = 2024-07-15"), ("1.12.1", 'reason = "it does not start otherwise"')],
    ids=["the newest", "between others"],
)
def test_row_stands_after_the_release_before(version: str, after: str) -> None:
    """Nothing else changes, and every comment stays."""
    place, lines = added(version)
    assert suite_file.TEXT.splitlines()[place - 1] == after
    assert lines == [line.format(version) for line in ROW]


def test_row_in_the_committed_file() -> None:
    """The project's own suite.toml takes the next release."""
    _, lines = added("99.0.0", matrix_file.read())
    assert sorted(lines) == sorted(line.format("99.0.0") for line in ROW)


def test_row_is_refused_where_it_cannot_be_put_safely() -> None:
    """Where what looks like a row is none, the file stays as it is."""
    lines = ["[[release]]", 'version = "1.13.5"', "", ""]
    text = suite_file.TEXT.replace('reason = "it does', 'reason = """\n' + "\n".join(lines) + "it does").replace(
        'otherwise"\n', 'otherwise"""\n'
    )
    matrix_file.parse(text)
    with pytest.raises(UsageError, match=r"cannot be put into suite\.toml"):
        release_row.with_row(text, ADDED)


@pytest.mark.parametrize(
    ("today", "as_of"),
    [(date(2024, 9, 1), date(2024, 8, 9)), (date(2024, 8, 1), date(2024, 8, 1))],
    ids=["a fortnight later", "earlier than that"],
)
def test_day_of_the_dependencies(today: date, as_of: date) -> None:
    """A fortnight after the upload, but never a day that is not over."""
    assert release_row.release("1.14.0", DAY, today) == Release(version="1.14.0", uploaded=DAY, as_of=as_of)


def test_release_of_today_has_to_wait() -> None:
    """The error says from when on."""
    with pytest.raises(UsageError) as refused:
        release_row.release("1.14.0", DAY, DAY)
    assert refused.value.then == "repeat this command from 2024-07-27 on"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("latest", "'latest' is not a version"),
        ("1.14.0rc1", "1.14.0rc1 is no final release"),
        ("1.14.0+local", r"1.14.0\+local is no final release"),
        ("1.10.0", "1.10.0 is older than 1.11.0, the oldest release"),
    ],
)
def test_versions_that_are_refused(text: str, why: str) -> None:
    """Each for its own reason."""
    with pytest.raises(UsageError, match=why):
        release_row.final_version(SUITE, text)


@pytest.mark.parametrize("text", ["1.14.0", "v1.14.0", "1.14"])
def test_version_is_written_as_typed_by_others(text: str) -> None:
    """A leading v is not part of it."""
    assert release_row.final_version(SUITE, text) == text.removeprefix("v")
