"""What the tests of faults share: a world of their own, emptied of processes when the test ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A flow, a fake release that behaves well, and an earlier record."""
    made = World(at=tmp_path)
    made.build()
    yield made
    for process in (*made.processes(), *made.strays()):
        with contextlib.suppress(psutil.Error):
            process.kill()
