"""What makes the tasks of a campaign: this machine, or the workers of a cluster. Nothing else knows which."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from scripts.campaign import tasks
from scripts.campaign.tasks import Made, Task
from scripts.host import machine
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import round_plan, session
from scripts.measure.round_plan import Campaign
from scripts.records.schema import Machine

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Where tasks are made; give its executor `make` and a task."""

    executor: Executor
    make: Callable[[Task], Made]
    slots: Callable[[], int]  # tasks at a time, at least 1; SuiteError when there is nobody left to make any
    machine: Machine  # of the kind that all of its machines are
    pythons: Mapping[str, str]  # of the virtualenvs, with patch version, by e.g. "3.11"


class AtOnce(Executor):
    """Makes each task when it is submitted, in this thread; what it raises, `submit` does."""

    def submit(
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """The result, as a future that is done."""
        future: Future[Result] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextlib.contextmanager
def opened(requested: Campaign, options: session.Options, system: System, progress: Progress) -> Iterator[Pool]:
    """Hold this machine, or connect to the cluster of the options, with the virtualenvs of all arms built."""
    if options.cluster is not None:
        from scripts.campaign import coordinator  # noqa: PLC0415 - what it needs is there for a cluster alone

        specs = [spec for scenario in requested.scenarios for spec in requested.round(scenario, "", 1)]
        locks = {arm.release.version: arm.lock for arm in requested.arms}
        with coordinator.opened(specs, locks, options, system, progress) as workers:
            workers.slots()  # waits for the first
            yield Pool(
                executor=workers.threads,
                make=workers.make,
                slots=workers.slots,
                machine=workers.first.machine,
                pythons=workers.first.pythons,
            )
        return
    counts, users = requested.counting is not None, requested.profile.users * requested.profile.at_once
    with session.opened(options, users, system, progress, counts=counts) as context:
        prepared = round_plan.prepare(requested, context)
        yield Pool(
            executor=AtOnce(),
            make=functools.partial(tasks.make, context, prepared),
            slots=lambda: 1,
            machine=machine.describe(),
            pythons=round_plan.patch_versions(requested.pythons, prepared),
        )
