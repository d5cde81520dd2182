"""What a bench session prints when it ends: the headings."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.report import summary
from tests.report import factory


@pytest.mark.parametrize(
    ("asked", "heading"),
    [
        ({}, "## promptflow 1.12.0: FastApi + Async Function Nodes, profile report, ok"),
        ({"flow": "mine"}, "## promptflow 1.12.0: FastAPI + mine, profile report, ok"),
        (
            {"release": "mock", "engine": "uvicorn", "flow": "mock_api"},
            "## The mock API alone, profile report, ok",
        ),
    ],
)
def test_heading(tmp_path: Path, asked: dict[str, str], heading: str) -> None:
    """A run is called in the summary what the pages call it, and the mock alone belongs to no release."""
    directory = factory.write(tmp_path, factory.record(**asked))  # type: ignore[arg-type]
    assert summary.of_session(factory.SUITE, [directory]).splitlines()[0] == heading
