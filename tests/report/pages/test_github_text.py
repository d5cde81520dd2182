"""A report as GitHub takes it."""

from __future__ import annotations

import pytest

from scripts.report.pages import github_text

LONG = "# Gate\n\n**FAIL**: slower.\n" + "| a row of a table, with < and @ |\n" * 5000
MOST_CHARACTERS = 65_536  # of a comment


def test_a_short_page_is_whole() -> None:
    """A page that fits is not touched."""
    assert github_text.fitted("# Gate\n") == "# Gate\n"


def test_a_long_page_keeps_its_first_lines() -> None:
    """Of a long page whole lines are kept, the verdict among them, and the last one says where the rest is."""
    text = github_text.fitted(LONG)
    assert len(text.encode()) < MOST_CHARACTERS
    assert text.startswith("# Gate\n\n**FAIL**: slower.\n| a row")
    first, last = text.splitlines()[-3], text.splitlines()[-1]
    assert first == LONG.splitlines()[-1]
    assert "gate.md" in last


@pytest.mark.parametrize("page", [LONG, "@" * 70_000, "<" * 70_000, "\n@<&" * 15_000, "\ufffd\n" * 40_000])
def test_comments_are_never_too_long(page: str) -> None:
    """What escaping adds is counted, too."""
    for text in (github_text.comment(page, "https://x"), github_text.quoted_comment(page, "https://x")):
        assert len(text.encode()) < MOST_CHARACTERS
        assert "\0" not in text
        assert text.splitlines()[0] == github_text.MARKER
