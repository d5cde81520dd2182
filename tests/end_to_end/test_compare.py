"""Real promptflow compared with itself: real rounds, really paired, judged and printed."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from scripts.records.storage import RECORD_FILE, read_record
from tests.end_to_end import verb

pytestmark = [pytest.mark.e2e, pytest.mark.serial]

ROUNDS = 4


def test_release_against_itself(tmp_path: Path) -> None:
    """Four serpentine rounds of 1.12.0 twice are recorded with their places, and told apart from a regression."""
    wanted = ("--engine", "fastapi", "--flow", "static_async", "--profile", "smoke", "--rounds", str(ROUNDS))
    done = verb.call(tmp_path, "compare", "1.12.0", "--aa", *wanted)
    assert done.returncode in (0, 6), done.stdout + done.stderr  # 6: this machine is too busy to be believed
    found = [
        read_record(path.parent) for path in sorted(tmp_path.rglob(RECORD_FILE), key=lambda path: path.parent.name)
    ]
    assert len({record.requested.campaign for record in found}) == 1
    if done.returncode == 0:
        rounds: dict[str, list[int]] = {}
        for record in found:
            rounds.setdefault(record.requested.round_id, []).append(record.requested.arm)
        assert len(rounds) >= ROUNDS
        orders = {tuple(arm for arm, _ in itertools.groupby(arms)) for arms in rounds.values()}
        assert orders == {(1, 2), (2, 1)}  # a disturbed run is made again at once, in its place
        assert "## fastapi static_async: 1.12.0 (again) against 1.12.0" in done.stdout
        assert "| CPU per request (ms)" in done.stdout
    else:
        assert "in a row are invalid" in done.stderr
