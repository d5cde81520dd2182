"""What a bench session prints when it ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.report.pages import session_summary
from tests.fakes import synthetic_runs


@pytest.mark.parametrize(
    ("requested", "heading"),
    [
        ({}, "## promptflow 1.12.0: FastApi + Async Function Nodes, profile report, ok"),
        ({"flow": "mine"}, "## promptflow 1.12.0: FastAPI + mine, profile report, ok"),
        (
            {"release": "mock", "engine": "uvicorn", "flow": "mock_api"},
            "## The mock API alone, profile report, ok",
        ),
    ],
)
def test_heading(tmp_path: Path, requested: dict[str, str], heading: str) -> None:
    """A run is called in the summary what the pages call it, and the mock alone belongs to no release."""
    directory = synthetic_runs.write(tmp_path, synthetic_runs.record(**requested))  # type: ignore[arg-type]
    assert session_summary.of_session(synthetic_runs.SUITE, [run_reader.read_run(directory)]).splitlines()[0] == heading


def test_truncated_run_says_so(tmp_path: Path) -> None:
    """Latencies that must not be ranked are in parentheses, and the reason is under the figures."""
    measured = synthetic_runs.measurements(mean_ms=15600, rps=24.9, number=1480, in_flight=462)
    made = synthetic_runs.record(engine="flask", flow="static_sync", measured=measured)
    directory = synthetic_runs.write(tmp_path, made, synthetic_runs.histograms(1270, 205, 5, 15600))
    text = session_summary.of_session(synthetic_runs.SUITE, [run_reader.read_run(directory)])
    assert re.search(r"overhead p50 \(ms, lower is better\) +\| +\(", text)
    assert re.search(r"CPU per request \(ms, lower is better\) +\| +6.400 \|", text)
    assert "- bound: server-bound\n- do not rank the latencies: `truncated: 462 requests still waited" in text


def test_run_without_figures_shows_its_reasons(tmp_path: Path) -> None:
    """A failed run has a heading and its reasons, and one blank line before the next run."""
    failed = synthetic_runs.record(outcome="failed", reasons=("it died",))
    directories = [synthetic_runs.write(tmp_path, one) for one in (failed, synthetic_runs.record(number=2))]
    runs = list(map(run_reader.read_run, directories))
    lines = session_summary.of_session(synthetic_runs.SUITE, runs).splitlines()
    assert lines[:4] == [
        "## promptflow 1.12.0: FastApi + Async Function Nodes, profile report, failed", "", "- failed: `it died`", "",
    ]  # fmt: skip
    assert lines[4].startswith("## promptflow 1.12.0")
    assert lines[-1] == "- bound: load-bound"
    assert session_summary.answer(runs) == "2 runs: 1 failed, 1 ok"
    assert session_summary.answer(runs[1:]) == "1 run ok"
