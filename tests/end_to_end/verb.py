"""Calls a verb as nox does, for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts.config.matrix import ROOT

_LONGEST_S = 900


def call(results: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """The verb with its options, and a lock of its own, so that a measurement elsewhere does not forbid it."""
    env = {**os.environ, "PROMPTFLOW_SERVE_BENCH_LOCK": str(results.with_name(f"{results.name}.lock"))}
    command = [sys.executable, "-m", "scripts", *argv, "--results", str(results)]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )  # fmt: skip
