"""Measuring the suite itself: by the nox that called it, and alone on the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.commands import bench_self
from scripts.config import matrix_file
from scripts.config.errors import RegressionError, SuiteError, UsageError
from scripts.host import machine
from scripts.host.process import Finished
from scripts.selftest import suite_cost
from scripts.selftest.suite_cost import Cost, CostLimit, Figure
from tests.fakes import synthetic_runs, values
from tests.fakes.system import FakeSystem


def test_listing() -> None:
    """`nox -l` is timed with the Python that it is given, so nox need not be on the path."""
    system = FakeSystem()
    (row,) = suite_cost.listing(system, "py/python")
    assert set(system.commands) == {("py/python", "-m", "nox", "-l")}
    assert row.measured == "0.00 s"


def test_session_is_called_as_a_person_would(tmp_path: Path) -> None:
    """A bench session that fails is quoted, with the command that was called."""
    system = FakeSystem(shell=Finished(code=5, output="it broke"))
    with pytest.raises(SuiteError, match=r"(?s)py/python -m nox -s .* ended with 5:\n    it broke"):
        list(suite_cost.session(system, "py/python", tmp_path))


def test_machine_that_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While a measurement holds the machine, nothing is started."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "lock"))
    system = FakeSystem()
    with machine.exclusive(tmp_path / "lock"), pytest.raises(UsageError, match="another measurement runs"):
        bench_self.own_steps(matrix_file.load(), system, "python", tmp_path)
    assert system.events == []


def test_files_that_are_shared_are_counted_once(tmp_path: Path) -> None:
    """Virtualenvs share files by hard links; such a file takes its room once, and another its own."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").write_bytes(b"x" * 100_000)
    alone = suite_cost.disk_bytes([tmp_path / "one"])
    assert alone >= 100_000
    (tmp_path / "two" / "link").hardlink_to(tmp_path / "one" / "file")
    assert suite_cost.disk_bytes([tmp_path / "one", tmp_path / "two"]) == alone
    (tmp_path / "two" / "copy").write_bytes(b"x" * 100_000)
    assert suite_cost.disk_bytes([tmp_path / "one", tmp_path / "two"]) >= 2 * alone


def row(value: float) -> Cost:
    """A figure beside a limit of 10."""
    limit = CostLimit(most=10.0, text="<= 10 s")
    return Cost(what="collate", figures=(Figure(text=f"{value:.1f} s", value=value, limit=limit),))


def test_a_figure_that_exceeds_its_limit_fails() -> None:
    """10.9 s beside "<= 10 s" ends with 8, and the page says so first."""
    with pytest.raises(
        RegressionError, match=r"1 figure\(s\) exceed their limit:\n  - collate: 10.9 s; wanted <= 10 s"
    ):
        bench_self.verdict([row(10.9), row(9.0)])
    text = bench_self.page([row(10.9), row(9.0)], values.MACHINE, "2026-11-24", 14.25).decode()
    assert "**1 of 2 rows miss a limit**: collate." in text
    assert "ms before and 14.2 ms after" in text
    assert [line.split("|")[4].strip() for line in text.splitlines() if line.startswith("| collate")] == [
        "**no**",
        "yes",
    ]


def test_figures_within_their_limits_pass() -> None:
    """At its limit a figure is met, and one without a limit always is."""
    rows = [row(10.0), Cost(what="boot", figures=(Figure(text="8 s"),))]
    assert bench_self.verdict(rows) == 0
    assert "Every figure is within its limit." in bench_self.page(rows, values.MACHINE, "2026-11-24", 14.25).decode()


def test_copies_are_campaigns_of_their_own(tmp_path: Path) -> None:
    """Records that are copied again have other run ids and campaigns, and read like the first."""
    for number in (1, 2):
        synthetic_runs.write(tmp_path / "committed", synthetic_runs.record(number=number))
    suite_cost.copies(tmp_path / "committed", tmp_path / "copied", 5)
    found = run_reader.read(tmp_path / "copied")
    assert (len(found.runs), found.skipped) == (5, ())
    assert len({run.record.run_id for run in found.runs}) == 5
