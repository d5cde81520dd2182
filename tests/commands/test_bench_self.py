"""Measuring the suite itself: by the nox that called it, and alone on the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.commands import bench_self
from scripts.config import matrix_file
from scripts.config.errors import SuiteError, UsageError
from scripts.host import machine
from scripts.host.process import Finished
from tests.fakes.system import FakeSystem


def test_listing() -> None:
    """`nox -l` is timed with the Python that it is told of, so nox need not be on the path."""
    system = FakeSystem()
    (row,) = bench_self._listing(system, "py/python")
    assert set(system.commands) == {("py/python", "-m", "nox", "-l")}
    assert row.measured == "0.00 s"


def test_session_is_called_as_a_person_would(tmp_path: Path) -> None:
    """A bench session that fails is quoted, with the command that was called."""
    system = FakeSystem(shell=Finished(code=5, output="it broke"))
    with pytest.raises(SuiteError, match=r"(?s)py/python -m nox -s .* ended with 5:\n    it broke"):
        list(bench_self._session(system, "py/python", tmp_path))


def test_machine_that_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While a measurement holds the machine, nothing is started."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "lock"))
    system = FakeSystem()
    with machine.exclusive(tmp_path / "lock"), pytest.raises(UsageError, match="another measurement runs"):
        bench_self._own_steps(matrix_file.load(), system, "python", tmp_path)
    assert system.events == []


def test_files_that_are_shared_are_counted_once(tmp_path: Path) -> None:
    """Virtualenvs share files by hard links; such a file takes its room once, and another its own."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").write_bytes(b"x" * 100_000)
    alone = bench_self.disk_bytes([tmp_path / "one"])
    assert alone >= 100_000
    (tmp_path / "two" / "link").hardlink_to(tmp_path / "one" / "file")
    assert bench_self.disk_bytes([tmp_path / "one", tmp_path / "two"]) == alone
    (tmp_path / "two" / "copy").write_bytes(b"x" * 100_000)
    assert bench_self.disk_bytes([tmp_path / "one", tmp_path / "two"]) >= 2 * alone
