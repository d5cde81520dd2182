"""The session `bench`, whose release stands after `--`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.commands import bench
from scripts.config import matrix_file
from scripts.config.errors import UsageError

NEWEST = matrix_file.load().releases[-1].version


@pytest.mark.process
@pytest.mark.parametrize(
    ("argv", "runs"),
    [
        (["1.0.0"], ["1.0.0 flask static_sync"]),
        (["v1.12.0", "--engine", "fastapi"], ["1.12.0 fastapi static_async", "1.12.0 fastapi flex_async"]),
        (
            ["latest"],
            [f"{NEWEST} flask static_sync", f"{NEWEST} fastapi static_async", f"{NEWEST} fastapi flex_async"],
        ),
    ],
)
def test_plan(argv: list[str], runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A release is measured on all of its engines, or on the one that is named."""
    assert bench.main([*argv, "--dry-run"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert shown == [f"[{number}/{len(runs)}] {run}: report" for number, run in enumerate(runs, 1)]


@pytest.mark.process
def test_all_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --missing and no release, the plan has what all releases lack, on the engine that is named."""
    argv = ["--missing", "--engine", "fastapi", "--results", str(tmp_path), "--dry-run"]
    assert bench.main(argv) == 0
    shown = [line.split("] ")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    suite = matrix_file.load()
    fastapi = [(one, engine) for one, engine in suite.targets() if engine.name == "fastapi"]
    cells = [
        f"{one.version} fastapi {flow}: report" for one, engine in fastapi for flow in suite.scenario_flows(one, engine)
    ]
    assert shown == cells


@pytest.mark.parametrize("argv", [[], ["--missing", "--flow", "static_async"]])
def test_release_must_be_named(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a release nothing is measured, and the message says what is missing."""
    with pytest.raises(SystemExit) as refused:
        bench.main(argv)
    assert refused.value.code == 2
    assert "RELEASE" in capsys.readouterr().err


def test_unknown_release() -> None:
    """An unknown release is refused with the nearest one."""
    with pytest.raises(UsageError, match=r"unknown release '1\.12\.9'"):
        bench.main(["1.12.9"])
