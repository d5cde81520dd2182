"""Makes the runs of a plan that need no order among them: on this machine, or on the workers of a cluster."""

from __future__ import annotations

import contextlib
import functools
import time
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.run import CompletedRun
from scripts.records.schema import Machine

if typing.TYPE_CHECKING:
    from scripts.campaign.coordinator import Coordinator


@dataclass(frozen=True, kw_only=True, slots=True)
class Maker:
    """What makes runs."""

    machine: Callable[[], Machine]  # looks at it; of the kind that all of its machines are
    make: Callable[[Plan], list[CompletedRun]]  # all runs, in order


@contextlib.contextmanager
def opened(
    suite: Suite, specs: Collection[RunSpec], locks: Mapping[str, Lock], options: session.Options, system: System,
    hopeless: Callable[[Sequence[CompletedRun]], bool] = lambda _done: False,
) -> Iterator[Maker]:  # fmt: skip
    """For runs like these. This machine is held only while runs are made, until those so far are `hopeless`."""
    progress = Progress(time.monotonic)
    if options.cluster is None:
        prepare = session.prepare_from(locks)
        yield Maker(
            machine=machine.describe,
            make=lambda plan: session.make(suite, plan, options, system, progress, prepare, hopeless),
        )
        return
    from scripts.campaign import coordinator  # noqa: PLC0415 - what it needs is there for a cluster alone

    with coordinator.opened(specs, locks, options, system, progress) as workers:
        workers.slots()  # waits for the first
        yield Maker(machine=lambda: workers.first.machine, make=functools.partial(_on_workers, workers))


def _on_workers(workers: Coordinator, plan: Plan) -> list[CompletedRun]:
    """As many at a time as there are workers; the error of the first run that was lost, once all others are made."""
    slots = workers.slots()
    workers.progress.head(f"{len(plan.runs)} runs, {slots} at a time", plan.expected_s / slots)

    def make(number: int, spec: RunSpec, _worker: str) -> CompletedRun:
        run, failed = workers.run("", spec, f"{number}/{len(plan.runs)}")
        return CompletedRun(record=run.record, directory=run.directory, scratch=None, error=failed)

    return workers.each([functools.partial(make, number, spec) for number, spec in enumerate(plan.runs, 1)])
