"""The table of faults in docs/."""

from __future__ import annotations

from pathlib import Path

from tests.faults import page


def test_page_is_up_to_date() -> None:
    """docs/faults.md is what the tests say; `python -m tests.faults.page` writes it again."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_marked_tests_are_listed(tmp_path: Path) -> None:
    """A test is listed when it or its whole module carries the mark, with the sentence of its docstring."""
    one = """import pytest
@pytest.mark.fault
def test_a_full_disk():
    'It ends with 3.'
def test_other():
    'No.'
"""
    two = """import pytest
pytestmark = [pytest.mark.e2e, pytest.mark.fault]
def test_a_taken_port():
    'Another.'
"""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_one.py").write_text(one, encoding="utf-8")
    (folder / "test_two.py").write_text(two, encoding="utf-8")
    found = [(fault.path, fault.fault, fault.happens) for fault in page.faults(folder)]
    assert found == [
        ("tests/test_one.py", "a full disk", "It ends with 3."),
        ("tests/test_two.py", "a taken port", "Another."),
    ]
