"""The action with a real gate: real promptflow under real valgrind, as a fine candidate and as a slower one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.config.matrix import ROOT
from tests.fakes.action_runner import NOX, REPORT, Runner

FASTER, SLOWER = "1.12.0", "1.15.1"  # by 4 % of the instructions
FLOW = "flex_async"
COUNTS = Path(
    "runs/count", SLOWER, f"fastapi-{FLOW}"
)  # committed: they tell the noise, and spare a machine like theirs
MOST_BYTES = 64_000
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("valgrind") is None and os.environ.get("CI") != "true",
        reason="valgrind is not installed: apt-get install valgrind",
    ),
]

# Every session is called as nox would, in the virtualenv of the tests.
CALLED = """#!/usr/bin/env bash
cd {root} || exit
verb=$4
shift 5
exec {python} -m scripts "$verb" "$@"
"""


def changes() -> str:
    """What git sees of the checkout."""
    argv = ["git", "status", "--porcelain"]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_fine_candidate_and_a_slower_one(tmp_path: Path) -> None:
    """Each has its verdict, exit code, summary and reports, and nothing of the workspace or the checkout changes."""
    runner = Runner(
        at=tmp_path, skipped=("Install nox",), env={"PROMPTFLOW_SERVE_BENCH_LOCK": str(tmp_path / "machine.lock")}
    )
    nox, report = runner.temporary / NOX / "bin" / "nox", runner.temporary / REPORT
    nox.parent.mkdir(parents=True)
    nox.write_text(CALLED.format(root=shlex.quote(str(ROOT)), python=shlex.quote(sys.executable)), encoding="utf-8")
    nox.chmod(0o755)
    shutil.copytree(ROOT / "results" / COUNTS, report / "results" / COUNTS)
    inputs = {"engines": "fastapi", "flows": FLOW, "thresholds": "instructions_per_request=+0.5%"}
    before = changes()

    fine = runner.run(baseline=SLOWER, candidate=FASTER, **inputs)
    assert (fine.code, fine.outputs["verdict"]) == (0, "PASS"), fine.log
    assert fine.summary == (report / "gate.md").read_text(encoding="utf-8")
    assert f"**PASS**: none of 1 metrics is worse than allowed (fastapi {FLOW}: {FASTER}" in fine.summary
    measures = json.loads((report / "bmf.json").read_text(encoding="utf-8"))
    assert all("instructions_per_request" in one for one in measures.values())
    assert {name.split("/")[0] for name in measures} == {SLOWER, FASTER}
    assert {path.name for path in report.iterdir()} == {"bmf.json", "gate.md", "junit.xml", "report.html", "results"}

    runner.skipped = (*runner.skipped, "Report")  # it would take the same records
    slow = runner.run(baseline=FASTER, candidate=SLOWER, **inputs)
    assert (slow.code, slow.outputs["verdict"]) == (8, "FAIL"), slow.log
    assert slow.summary.startswith(fine.summary)
    assert f"**FAIL**: fastapi {FLOW}" in slow.summary
    assert len(slow.summary.encode()) < MOST_BYTES
    assert 'failures="1"' in (report / "junit.xml").read_text(encoding="utf-8")

    assert list(runner.workspace.iterdir()) == []
    assert changes() == before
