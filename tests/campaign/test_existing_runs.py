"""What is measured already: a run counts only where everything that decides its figures is as here and now."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.campaign import existing_runs
from scripts.commands import bench, status
from scripts.config import matrix_file, plan
from scripts.config.errors import UsageError
from scripts.config.plan import Plan, RunSpec
from scripts.environments import locks
from scripts.host import machine
from scripts.measure import digests
from scripts.records import storage
from scripts.records.schema import Machine, RunRecord
from tests.fakes import synthetic_runs

MATRIX = matrix_file.load()
HERE = synthetic_runs.MACHINE


def planned(rounds: int = 1) -> Plan:
    """A bench session of 1.12.0 on FastAPI: two flows."""
    return plan.make(
        MATRIX, release="1.12.0", engine="fastapi", flow_names=(), profile="report", python=None, rounds=rounds
    )


def record(spec: RunSpec) -> RunRecord:
    """A good run of it, made here."""
    assert spec.target is not None
    made = synthetic_runs.record(flow=spec.flow, number=spec.round)
    lock = locks.read(locks.of_release(MATRIX, spec.target.release))
    return dataclasses.replace(made, digests=digests.of(spec, lock))


def missing(results: Path, chosen: Plan, here: Machine = HERE) -> list[tuple[str, int]]:
    """Flow and round of what is missing."""
    return [(spec.flow, spec.round) for spec in existing_runs.missing(MATRIX, chosen.runs, results, here)]


def test_nothing_is_there(tmp_path: Path) -> None:
    """Without records everything is missing."""
    assert missing(tmp_path, planned()) == [("static_async", 1), ("flex_async", 1)]


def test_a_good_run_is_there(tmp_path: Path) -> None:
    """A run as it would be made here is not missing; the other flow, and another round, are."""
    synthetic_runs.write(tmp_path, record(planned().runs[0]))
    assert missing(tmp_path, planned()) == [("flex_async", 1)]
    assert missing(tmp_path, planned(rounds=2)) == [("flex_async", 1), ("static_async", 2), ("flex_async", 2)]


OTHERWISE: dict[str, Callable[[RunRecord], RunRecord]] = {
    "failed": lambda made: dataclasses.replace(made, outcome="failed", measurements=None),
    "lock": lambda made: dataclasses.replace(made, digests=dataclasses.replace(made.digests, lock="9" * 64)),
    "load": lambda made: dataclasses.replace(made, digests=dataclasses.replace(made.digests, profile="9" * 64)),
    "locustfile": lambda made: dataclasses.replace(
        made, digests=dataclasses.replace(made.digests, locustfile="9" * 64)
    ),
    "machine": lambda made: dataclasses.replace(made, machine=dataclasses.replace(made.machine, cores=64)),
    "campaign": lambda made: dataclasses.replace(
        made, requested=dataclasses.replace(made.requested, campaign="c0ffee")
    ),
    "python": lambda made: dataclasses.replace(made, python="3.12.1"),
}


@pytest.mark.parametrize("change", OTHERWISE)
def test_other_conditions_do_not_count(tmp_path: Path, change: str) -> None:
    """A run that failed, or was made from another lock, load, generator, machine or Python, does not count."""
    synthetic_runs.write(tmp_path, OTHERWISE[change](record(planned().runs[0])))
    assert ("static_async", 1) in missing(tmp_path, planned())


def test_an_invalid_run_does_not_count(tmp_path: Path) -> None:
    """A run whose figures must not be believed is made again."""
    made = record(planned().runs[0])
    assert made.measurements is not None
    late = dataclasses.replace(made.measurements.generator, lag_p99_ms=50.0)
    synthetic_runs.write(
        tmp_path, dataclasses.replace(made, measurements=dataclasses.replace(made.measurements, generator=late))
    )
    assert ("static_async", 1) in missing(tmp_path, planned())


def test_a_broken_record_does_not_count(tmp_path: Path) -> None:
    """A record that cannot be read is not there, and keeps no other from being found."""
    broken = synthetic_runs.write(tmp_path, record(planned().runs[0]))
    whole = dataclasses.replace(record(planned().runs[0]), run_id="20250101T000000Z-000001")
    shutil.copytree(broken, (tmp_path / storage.run_path(whole)))
    ((tmp_path / storage.run_path(whole)) / "record.json").write_bytes(storage.encode_record(whole))
    (broken / "record.json").write_text("{", encoding="utf-8")
    assert missing(tmp_path, planned()) == [("flex_async", 1)]


def test_bench_makes_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--missing` with everything there starts nothing, and says so."""
    for spec in planned().runs:
        synthetic_runs.write(tmp_path, record(spec))
    monkeypatch.setattr(machine, "describe", lambda: HERE)
    monkeypatch.setattr(bench, "terminate_as_exception", lambda: None)
    argv = ["--release", "1.12.0", "--engine", "fastapi", "--results", str(tmp_path), "--missing"]
    assert bench.main(argv) == 0
    assert bench.main([*argv, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("nothing is missing") == 2


@pytest.mark.process
def test_dry_run_of_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan of `--missing` is that of the rest."""
    synthetic_runs.write(tmp_path, record(planned().runs[0]))
    monkeypatch.setattr(machine, "describe", lambda: HERE)
    argv = ["--release", "1.12.0", "--engine", "fastapi", "--results", str(tmp_path), "--missing", "--dry-run"]
    assert bench.main(argv) == 0
    out = capsys.readouterr().out
    assert "[1/1] 1.12.0 fastapi flex_async: report" in out
    assert "static_async: report" not in out


def test_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One row a session with what it measures, what is there, and the time for the rest; and the sum of all."""
    synthetic_runs.write(tmp_path, record(planned().runs[0]))
    monkeypatch.setattr(machine, "describe", lambda: HERE)
    assert status.main(["--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("| ")]
    (row,) = [row for row in rows if row[0] == "bench-1.12.0-fastapi"]
    assert row[1:4] == ["static_async, flex_async", "2", "1"]
    assert float(row[4]) == pytest.approx(planned().runs[1].expected_s / 60, abs=0.06)
    work = {row[0]: row[1:3] for row in rows if row[0].startswith("nox -s ")}
    assert [*work] == ["nox -s bench", "nox -s count", "nox -s capacity", "nox -s compare"]
    assert (work["nox -s bench"][1], work["nox -s compare"]) == ("1", ["3", "0"])
    assert len(rows) == 1 + len(MATRIX.targets()) + 1 + len(work)
    assert re.search(r"^1 of \d+ runs of profile report are measured", out, re.MULTILINE)
    assert f"nox -t bench -- --profile report --missing --results {tmp_path}" in out
    assert out.endswith(f" minutes: nox -s campaign -- --results {tmp_path}\n")


def test_status_of_an_unknown_profile(tmp_path: Path) -> None:
    """An unknown profile is refused once, and not repeated in every row."""
    with pytest.raises(UsageError, match="unknown profile 'nope'"):
        status.main(["--results", str(tmp_path), "--profile", "nope"])


def test_status_of_another_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session that cannot be made so is a row with its reason; the command says all that was requested."""
    monkeypatch.setattr(machine, "describe", lambda: HERE)
    assert status.main(["--results", str(tmp_path), "--python", "3.9", "--rounds", "2"]) == 0
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if "bench-1.18.5-fastapi" in line]
    assert "does not cover Python 3.9" in row
    assert "--missing --rounds 2 --python 3.9" in out
