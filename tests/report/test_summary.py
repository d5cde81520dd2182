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


def test_truncated_run_says_so(tmp_path: Path) -> None:
    """Latencies that must not be ranked stand in parentheses, and the reason under the figures."""
    measured = factory.measurements(mean_ms=15600, rps=24.9, number=1480, in_flight=462)
    made = factory.record(engine="flask", flow="static_sync", measured=measured)
    text = summary.of_session(factory.SUITE, [factory.write(tmp_path, made, factory.histograms(1270, 205, 5, 15600))])
    assert "overhead p50 (ms): (" in text
    assert "CPU per request (ms): 6.400" in text
    assert "bound: server-bound\nlatencies not to be ranked: truncated: 462 requests still waited" in text
