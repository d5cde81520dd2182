"""Several runs at the same time, each in a thread of its own. Only for counts, which load does not move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.config.errors import Terminated
from scripts.config.plan import RunSpec
from scripts.host.process import Child, Finished, Reply, System, shielded
from scripts.measure.run import CompletedRun, RunContext

_UNWIND_S = 2.0  # for runs to end by themselves, before their servers are killed

One = Callable[[RunContext, RunSpec, str], CompletedRun]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoppableSystem:
    """A system that refuses everything once it is told to stop: Python delivers signals to the main thread only."""

    system: System
    stopped: threading.Event

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Child:
        """As `System`."""
        self._heed()
        return self.system.start(name, argv, env=env, cwd=cwd, log=log)

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """As `System`."""
        self._heed()
        found = self.system.run(argv, env=env, cwd=cwd, timeout_s=timeout_s)
        self._heed()
        return found

    def free_port(self) -> int:
        """As `System`."""
        return self.system.free_port()

    def request(self, url: str, *, body: bytes | None = None, timeout_s: float = 5.0) -> Reply | None:
        """As `System`."""
        self._heed()
        found = self.system.request(url, body=body, timeout_s=timeout_s)
        self._heed()
        return found

    def monotonic(self) -> float:
        """As `System`."""
        return self.system.monotonic()

    def sleep(self, seconds: float) -> None:
        """As `System`."""
        self._heed()
        self.system.sleep(seconds)
        self._heed()

    def _heed(self) -> None:
        if self.stopped.is_set():
            raise Terminated


def make(context: RunContext, specs: Sequence[RunSpec], jobs: int, one: One) -> list[CompletedRun]:
    """Make all runs, so many at a time; return them in the order of `specs`.

    A run ends its own servers. What outlives them is ended once, after all runs: a sweep after each would end the
    servers of the others.
    """
    stopped = threading.Event()
    system = StoppableSystem(system=context.system, stopped=stopped)

    def make_one(number: int, spec: RunSpec) -> CompletedRun:
        label = f"[{number}/{len(specs)}]"
        own = replace(
            context, system=system, progress=context.progress.labelled(label), sweep=lambda: "stopped", stopped=stopped
        )
        return one(own, spec, label)

    with ThreadPoolExecutor(jobs) as threads:
        runs = [threads.submit(make_one, number, spec) for number, spec in enumerate(specs, 1)]
        try:
            for run in wait(runs, return_when=FIRST_EXCEPTION).done:
                run.result()  # raises what ended it
            return [run.result() for run in runs]
        finally:
            with shielded():
                stopped.set()
                begun = [run for run in runs if not run.cancel()]  # `wait` would wait for ever for the others
                if wait(begun, timeout=_UNWIND_S).not_done:
                    context.sweep()  # a run that waits for its server's answer
                wait(begun)
                context.sweep()
