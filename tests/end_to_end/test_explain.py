"""Real promptflow under a real py-spy: one repeat of a release against itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.analysis import stacks
from scripts.config.matrix import ROOT
from scripts.records import explanations
from scripts.records.explanations import Explanation
from tests.end_to_end import verb

RELEASE = "1.18.5"
pytestmark = pytest.mark.e2e


def test_release_against_itself(tmp_path: Path) -> None:
    """Both servers are sampled at their requests, and no path of this machine is kept; one repeat claims nothing."""
    wanted = ("--engine", "fastapi", "--flow", "static_async", "--repeats", "1")
    done = verb.call(tmp_path, "explain", RELEASE, RELEASE, *wanted)
    assert done.returncode == 6, done.stdout + done.stderr
    assert "no claim: an interval needs 4 repeats, and this has 1" in done.stdout
    ((file, found),) = explanations.found(tmp_path)
    assert isinstance(found, Explanation), found
    assert file.with_name(f"{found.id}.md").is_file()
    for run in found.repeats[0]:
        assert run.requests > 50
        assert run.total > 200
        assert 1 < run.cpu_ms < 100
    modules = {frame.module for frame in found.frames}
    assert not [module for module in modules if module.startswith("/") or str(ROOT) in module]
    parts = {stacks.part(found.stack(number)) for number in range(len(found.stacks))}
    assert {"promptflow.core", "promptflow.executor"} <= parts
    assert any(module.startswith("flow/") for module in modules)
