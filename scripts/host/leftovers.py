"""Ends what outlives a run or a killed session: processes that carry its marker, and orphans of this process.

A flow may start processes in sessions of their own, which the end of the server's group does not reach.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator

import psutil

from scripts.host.telemetry import MARKER

NOTHING_LEFT = "nothing left running"
UNSEEN = "stopped; processes that left their session cannot be seen on this system"
STUBBORN = "stopped; a process that the run started cannot be ended, and still runs"
_SWEEP_S = 3.0
_GONE_S = 0.2  # for killed processes to be gone, before the next look
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, OSError)


def end_marked(marker: str) -> None:
    """Kill what a killed harness has left: processes of this user that carry its marker.

    Call it only while holding the lock whose marker it is: then no live harness owns such a process.
    """
    for process in _marked(marker):
        with contextlib.suppress(*_GONE):
            process.kill()


def children() -> frozenset[int]:
    """The process ids of this process's children."""
    return frozenset(child.pid for child in psutil.Process().children())


def sweep(marker: str, spared: Collection[int], *, adopts: bool) -> str:
    """Kill all that carries the marker or descends from this process, and say whether nothing is left.

    `spared` are children that are no run's; `adopts` says whether orphans have become children of this process.
    """
    deadline = time.monotonic() + _SWEEP_S
    while found := [*_marked(marker), *_descendants(spared)]:
        if time.monotonic() > deadline:
            return STUBBORN
        for process in found:
            with contextlib.suppress(*_GONE):
                process.kill()
        psutil.wait_procs(found, timeout=_GONE_S)  # also takes the exit codes of own children
    return NOTHING_LEFT if adopts else UNSEEN


def _marked(marker: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(*_GONE):
            if process.pid != os.getpid() and process.environ().get(MARKER) == marker:
                yield process


def _descendants(spared: Collection[int]) -> Iterator[psutil.Process]:
    for child in psutil.Process().children():
        if child.pid not in spared:
            yield child
            with contextlib.suppress(*_GONE):
                yield from child.children(recursive=True)
