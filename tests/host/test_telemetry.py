"""What process trees use, seen of this very process."""

from __future__ import annotations

import os

import pytest

from scripts.host import telemetry


def test_memory_of_each_process() -> None:
    """A sample has the memory of each process, the root first, and together it is that of the tree."""
    sample = telemetry.memory_sample(os.getpid(), 12.5)
    assert sample.at_s == 12.5
    assert sample.sizes[0] > 2**20
    assert sample.total == sum(sample.sizes)
    assert telemetry.memory(os.getpid())[0] == pytest.approx(sample.total, rel=0.2)


def test_memory_of_a_process_that_has_gone() -> None:
    """A process that does not exist has no memory, and is no error."""
    assert telemetry.memory_sample(2**22 + 1, 0.0).sizes == ()
