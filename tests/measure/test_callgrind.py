"""What a dump of callgrind says, and what stands before a counted command."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.measure import callgrind
from scripts.measure.callgrind import Dump, Valgrind

HEAD = "# callgrind format\nversion: 1\npid: 7\nevents: Ir sysCount sysTime\nsummary: 94000 25 3\n\n"
CALLER = "ob=(5) libpython3.11.so.1.0\nfl=(9) gcmodule.c\nfn=(40) gc_collect_generations\n0 120\n"
YOUNG = "cfn=(41) gc_collect_main\ncalls=4 0 \n0 2155\n0 24\n"
FULL = "fn=(41)\ncfn=(42) _PyFloat_ClearFreeList\ncalls=1 0 \n0 90\ncfn=(43) _PyList_ClearFreeList\ncalls=1 0 \n0 80\n"


def dump(text: str) -> Dump:
    """Read a dump."""
    return callgrind.parsed(text.splitlines())


def test_sums_of_a_dump() -> None:
    """Instructions and system calls stand in its summary."""
    found = dump(HEAD + CALLER)
    assert (found.instructions, found.system_calls, found.collections) == (94000, 25, 0)


def test_zeros_at_the_end_of_a_summary() -> None:
    """Callgrind leaves out the last events of a summary when they are 0."""
    assert dump(HEAD.replace("94000 25 3", "94000")).system_calls == 0


def test_collections_of_several_callers() -> None:
    """Collections are summed over all places that call them, also where only the number of the name is repeated."""
    found = dump(HEAD + CALLER + YOUNG + "fn=(50) gc_collect\ncfn=(41)\ncalls=1 0 \n0 70000\n")
    assert (found.collections, found.collection_instructions, found.full_collections) == (5, 72155, 0)


def test_full_collections() -> None:
    """A full collection empties each free list once, so the lists are not added up."""
    assert dump(HEAD + CALLER + YOUNG + FULL).full_collections == 1


@pytest.mark.parametrize("text", ["", "nothing\n", "events: Ir\nsummary: 5\n", "events: Ir sysCount\n"])
def test_no_dump(text: str) -> None:
    """A file without the sums of both events is no dump."""
    with pytest.raises(ValueError, match="no sums"):
        dump(text)


@pytest.mark.parametrize("from_start", [True, False])
def test_nothing_is_counted_before_an_order_unless_asked_for(tmp_path: Path, *, from_start: bool) -> None:
    """Instrumentation from the start makes a start six times as long."""
    command = Valgrind(version="3.19.0", fixed_layout=True).command(tmp_path, from_start=from_start)
    assert f"--instr-atstart={'yes' if from_start else 'no'}" in command


@pytest.mark.parametrize("fixed_layout", [True, False])
def test_what_is_pinned_is_what_is_done(tmp_path: Path, *, fixed_layout: bool) -> None:
    """The record names the address layout only where the machine let it be fixed."""
    found = Valgrind(version="3.19.0", fixed_layout=fixed_layout)
    assert ("setarch" in found.command(tmp_path)) == fixed_layout
    assert any("address layout" in words for words in found.pinned) == fixed_layout
