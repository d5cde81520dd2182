"""All cores of the machine, for work that needs no other process: reading records, drawing pictures."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from scripts.config.concurrency import Map, Result, Task, serial
from scripts.host import machine

_FEWEST_TASKS = 8  # fewer are done here: starting a process costs more than it saves
_ALLOCATIONS = 50_000  # between two garbage collections: at Python's 700 they take a fifth of drawing a picture
_CHUNKS_OF_A_CORE = 8  # so that no core waits long for the last one


@contextlib.contextmanager
def spread() -> Iterator[Map]:
    """A `map` over as many processes as this one may use cores; they end with the context."""
    cores = machine.cores()
    if cores == 1:
        yield serial
        return
    with ProcessPoolExecutor(cores, initializer=gc.set_threshold, initargs=(_ALLOCATIONS,)) as pool:

        def over_cores(function: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterable[Result]:
            if len(tasks) < _FEWEST_TASKS:
                return map(function, tasks)
            return pool.map(function, tasks, chunksize=max(1, len(tasks) // (cores * _CHUNKS_OF_A_CORE)))

        yield over_cores
