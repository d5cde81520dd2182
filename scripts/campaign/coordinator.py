"""The other end of the workers: gets them ready for a session, gives them its tasks, and keeps the records.

A worker that differs in what decides the numbers is refused by name. Whatever a worker answers is checked: only the
files of a run are written, in the place that its record names, and a run that is here already is dropped.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import platform
import secrets
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.campaign import local_workers, messages
from scripts.campaign.messages import Facts, Failure, Hello, Prepare, Ready, Runs
from scripts.campaign.tasks import Made, Task
from scripts.cluster import dask_cluster
from scripts.cluster.dask_cluster import SchedulerLostError, WorkerLostError
from scripts.config.errors import InvalidMeasurementError, NotComparableError, NothingMeasuredError, SuiteError
from scripts.config.plan import RunSpec
from scripts.environments.locks import Lock
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import digests, record_writer
from scripts.measure.session import Options
from scripts.records import conditions, storage
from scripts.records.schema import Machine, RunRecord
from scripts.records.storage import RecordError

WAIT_S = 60.0  # for a first worker, or for another when all have gone
_THREADS = 256  # calls at the same time: one for each worker
_LOOK_S = 1.0  # between two looks at who is connected
_GO_ON = "repeat this command: it goes on where it ended"
Result = TypeVar("Result")
_UNREADABLE = (msgspec.MsgspecError, ImportError, AttributeError, TypeError)  # what another version makes of a call


class Connection(Protocol):
    """The workers that are connected, as `dask_cluster` has them."""

    def workers(self) -> dict[str, str]:
        """The name of each, by its address; SchedulerLostError."""

    def call(self, text: str, workers: Collection[str]) -> str:
        """Let one of these workers answer; WorkerLostError and SchedulerLostError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadyWorker:
    """A worker that can make the tasks of the session."""

    name: str
    machine: Machine
    pythons: Mapping[str, str]  # of its virtualenvs, with patch version, by e.g. "3.11"


@dataclass(kw_only=True, slots=True, eq=False)
class Coordinator:
    """Gives the tasks of a session to workers."""

    connection: Connection
    url: str  # of the scheduler
    wanted: Prepare
    results: Path
    threads: Executor
    system: System
    progress: Progress
    _connected: set[str] = field(default_factory=set)  # addresses
    _asked: dict[str, Future[ReadyWorker | SuiteError]] = field(default_factory=dict)  # by address
    _ready: dict[str, ReadyWorker] = field(default_factory=dict)  # by address
    _first: ReadyWorker | None = None  # that all others have to be like
    _refused: list[SuiteError] = field(default_factory=list)
    _kind: dict[str, str] | None = None  # of machine, likewise

    @property
    def workers(self) -> list[str]:
        """The addresses of those that can make tasks now."""
        return sorted(self._ready)

    @property
    def first(self) -> ReadyWorker:
        """The worker that was ready first. There is one after `slots`, also when it has gone."""
        if self._first is None:
            raise ValueError("no worker was ready yet")
        return self._first

    def slots(self) -> int:
        """How many workers can make tasks now. Waits for one for a minute; NothingMeasuredError when none comes.

        When all that have come at first are refused, the first reason is raised.
        """
        began = self.system.monotonic()
        while True:
            self._look()
            if not self._ready:  # those that are here first get ready together
                concurrent.futures.wait(self._asked.values())
                self._note_answers()
            if self.workers:
                return len(self.workers)
            nobody_can = self._first is None and bool(self._refused)
            if not self._asked and (nobody_can or self.system.monotonic() - began > WAIT_S):
                raise self._nobody()
            self.system.sleep(_LOOK_S)

    def make(self, task: Task, workers: Sequence[str] = ()) -> Made:
        """Let a worker make the task, and record its runs; `workers`: which may; none: any that can.

        A worker that dies of it or goes has its task made again by another, three times at most.
        """
        began = self.system.monotonic()
        try:
            answer = self._runs(task, list(workers) or self.workers)
        except SuiteError as error:
            return Made(error=error)
        took_s = self.system.monotonic() - began
        self.progress.note(f"[{task.name}] {task.scenario} by {answer.worker}  {took_s:.1f} s  {len(answer.runs)} runs")
        made = Made(disturbed=list(answer.disturbed), error=messages.error(answer.error) if answer.error else None)
        try:
            made.runs = [run for files in answer.runs for run in self._recorded(task, files)]
        except RecordError as error:
            why = f"worker {answer.worker} answered with what is no run of {task.name}: {error}"
            return Made(error=InvalidMeasurementError(why, then=messages.SAME_COMMIT))
        except SuiteError as error:  # no room on the disk
            made.error = error
        return made

    def _runs(self, task: Task, able: Collection[str]) -> Runs:
        """What one of the workers answers; raises why none does."""
        text = messages.encode(messages.make(self.wanted.session, task))
        if not able:  # for Dask that would be any worker
            raise _lost(task, "no worker is left", f"nox -s worker -- {self.url}, on a machine")
        try:
            answer = messages.answer(self.connection.call(text, able))
        except WorkerLostError as error:
            why = "every worker that made it has gone"
            raise _lost(task, why, f"nox -s worker -- {self.url}, on a machine") from error
        except SchedulerLostError as error:
            raise _lost(task, "the scheduler has gone", "nox -s scheduler") from error
        except _UNREADABLE as error:
            why = f"a worker's answer cannot be read: {error}"
            raise NotComparableError(why, then=messages.SAME_COMMIT) from error
        if isinstance(answer, Failure):
            raise messages.error(answer)
        if not isinstance(answer, Runs):
            raise NotComparableError("a worker gave another answer", then=messages.SAME_COMMIT)
        return answer

    def run(self, worker: str, spec: RunSpec, label: str) -> tuple[Run, SuiteError | None]:
        """One run, not repeated; its error, if it failed. `worker`: whose it is; empty: any that can."""
        task = Task(
            name=label,
            scenario=f"{spec.release} {spec.engine} {spec.flow}",
            loads=((spec,),),
            run_s=spec.expected_s,
            tries=1,
        )
        made = self.make(task, [worker] if worker else [])
        if not made.runs:
            raise made.error or InvalidMeasurementError(f"{label} was not made", then=_GO_ON)
        (run,) = made.runs
        return run, made.error if run.record.outcome != "ok" else None

    def each(self, jobs: Sequence[Callable[[str], Result]]) -> list[Result]:
        """Do every job with a worker of its own, given by its address, as many at a time as there are workers.

        The error of the first that failed is raised when all others are done.
        """
        waiting, results, failed = deque(enumerate(jobs)), dict[int, Result](), dict[int, SuiteError]()
        running: dict[Future[Result], tuple[int, str]] = {}
        while waiting or running:
            if waiting:
                self.slots()
            taken = {worker for _, worker in running.values()}
            for worker in self.workers:
                if waiting and worker not in taken:
                    number, job = waiting.popleft()
                    running[self.threads.submit(job, worker)] = (number, worker)
            for future in concurrent.futures.wait(running, _LOOK_S, FIRST_COMPLETED).done:
                number, _ = running.pop(future)
                try:
                    results[number] = future.result()
                except SuiteError as error:
                    failed[number] = error
        if failed:
            raise failed[min(failed)]
        return [results[number] for number in range(len(jobs))]

    def _recorded(self, task: Task, files: Mapping[str, bytes]) -> Iterator[Run]:
        """Write the run unless it is there; RecordError when the task has none like it."""
        record = storage.decode_record(files.get(storage.RECORD_FILE, b""))
        if not any(_is_of(record, spec) for specs in task.loads for spec in specs):
            raise RecordError(f"run {record.run_id} is of something else")
        directory = record_writer.write_received(self.results, record, files)
        if directory is None:
            self.progress.note(f"run {record.run_id} came twice: the second is dropped")
        else:
            yield run_reader.read_run(directory)

    def _nobody(self) -> SuiteError:
        if self._refused and self._first is None:
            return self._refused[0]
        return NothingMeasuredError(
            f"no worker {'has come' if self._first is None else 'is left'} within {WAIT_S:.0f} s",
            then=f"nox -s worker -- {self.url}, on each machine; then {_GO_ON}",
        )

    def _look(self) -> None:
        """Ask those that have come, and note those that have answered or gone."""
        try:
            connected = self.connection.workers()
        except SchedulerLostError as error:
            raise NothingMeasuredError("the scheduler has gone", then=f"nox -s scheduler; then {_GO_ON}") from error
        for address in sorted(self._ready.keys() - connected.keys()):
            self.progress.note(f"worker {self._ready.pop(address).name} has gone; what it was making is made again")
        come = {address: name for address, name in sorted(connected.items()) if address not in self._connected}
        self._connected = set(connected)
        if self._kind is None and come:
            self._kind = self._usual_kind(come)
        for address, name in come.items():
            self._asked[address] = self.threads.submit(self._get_ready, address, name)
        self._note_answers()

    def _note_answers(self) -> None:
        for address in [address for address, asked in self._asked.items() if asked.done()]:
            answer = self._asked.pop(address).result()
            if isinstance(answer, ReadyWorker) and self._first and answer.pythons != self._first.pythons:
                theirs, ours = (", ".join(one.pythons.values()) for one in (answer, self._first))
                why = f"its virtualenvs have Python {theirs}, and those of {self._first.name} {ours}"
                answer = _refusal(answer.name, why)
            if isinstance(answer, SuiteError):
                self._refused.append(answer)
                self.progress.note(str(answer))
            else:
                self._first = self._first or answer
                self._ready[address] = answer
                self.progress.note(f"worker {answer.name} is ready")

    def _usual_kind(self, come: Mapping[str, str]) -> dict[str, str] | None:
        """The kind of machine of most workers that can be used at all; None where none can."""
        found = self.threads.map(self._facts, come.keys(), come.values())
        kinds = [conditions.of_machine(one.machine) for one in found if isinstance(one, Facts)]
        most = Counter(tuple(kind.items()) for kind in kinds).most_common(1)
        return dict(most[0][0]) if most else None

    def _get_ready(self, address: str, name: str) -> ReadyWorker | SuiteError:
        """Ask a worker what it is, and let it build its virtualenvs; why it is refused."""
        facts = self._facts(address, name)
        if isinstance(facts, SuiteError):
            return facts
        kind = conditions.of_machine(facts.machine)
        unlike = [f"{key} {value}" for key, value in kind.items() if self._kind and value != self._kind[key]]
        if unlike:
            return _refusal(name, f"it is another kind of machine than most workers: {', '.join(unlike)}")
        try:
            answer = messages.answer(self.connection.call(messages.encode(self.wanted), [address]))
        except (WorkerLostError, SchedulerLostError, *_UNREADABLE) as error:
            return _refusal(name, f"it did not get ready: {error}")
        if isinstance(answer, Failure):
            return messages.error(answer)
        if not isinstance(answer, Ready):
            return _refusal(name, "it gave another answer")
        return ReadyWorker(name=name, machine=facts.machine, pythons=answer.pythons)

    def _facts(self, address: str, name: str) -> Facts | SuiteError:
        """What a worker is, unless that is why it cannot be used."""
        try:
            facts = messages.answer(self.connection.call(messages.encode(Hello()), [address]))
        except (WorkerLostError, SchedulerLostError) as error:
            return _refusal(name, f"it did not answer: {error}")
        except _UNREADABLE:
            return _refusal(name, "it is of another commit")
        if not isinstance(facts, Facts):
            return _refusal(name, "it gave another answer")
        why = _difference(facts)
        return _refusal(name, why) if why else facts


@contextlib.contextmanager
def opened(
    specs: Collection[RunSpec], locks: Mapping[str, Lock], options: Options, system: System, progress: Progress
) -> Iterator[Coordinator]:
    """Connect to the cluster of the options, or start one here, for runs of these releases and flows."""
    if options.cluster is None:
        raise ValueError("there is no cluster")
    record_writer.require_writable(options.results)
    with contextlib.ExitStack() as stack:
        stack.enter_context(progress)
        address = options.cluster
        if address.local:
            address = stack.enter_context(local_workers.started(address.local, options.scratch, system))
        threads = stack.enter_context(ThreadPoolExecutor(_THREADS))
        connection = stack.enter_context(dask_cluster.connected(address))  # closed first, which ends what threads do
        yield Coordinator(
            connection=connection, url=address.url, wanted=_wanted(specs, locks, options), results=options.results,
            threads=threads, system=system, progress=progress,
        )  # fmt: skip


def _wanted(specs: Collection[RunSpec], locks: Mapping[str, Lock], options: Options) -> Prepare:
    targets = [spec.target for spec in specs if spec.target is not None]
    first = next(iter(specs))
    return Prepare(
        session=secrets.token_hex(6),
        users=max(spec.profile.users * spec.profile.at_once for spec in specs),
        counts=first.counting is not None,
        keep_logs=options.keep_logs,
        quiet=options.quiet,
        releases=messages.releases(specs, locks),
        flows=messages.flow_forms(targets),
    )


def _is_of(record: RunRecord, spec: RunSpec) -> bool:
    """Whether the run is what was asked for, but for the id of its round."""
    found = record.requested
    place = (spec.place.campaign, spec.place.arm) if spec.place else ("", 0)
    return (found.release, found.engine, found.flow, found.profile, found.round, found.search, place) == (
        spec.release, spec.engine, spec.flow, spec.profile, spec.round, spec.search, (found.campaign, found.arm),
    )  # fmt: skip


def _difference(facts: Facts) -> str:
    """In what a worker differs from this machine that no worker may; empty: in nothing."""
    if facts.code != digests.of_checkout():
        return "it is of another commit, or one of both checkouts has changes"
    if facts.tools != digests.of_tools():
        return "its tools are of another lock"
    theirs, ours = facts.machine.tools_python, platform.python_version()
    return "" if theirs == ours else f"its tools have Python {theirs}, and those here {ours}"


def _refusal(name: str, why: str) -> SuiteError:
    return NotComparableError(f"worker {name} is refused: {why}", then=messages.SAME_COMMIT)


def _lost(task: Task, why: str, then: str) -> SuiteError:
    return InvalidMeasurementError(f"{task.name} of {task.scenario} is lost: {why}", then=f"{then}; then {_GO_ON}")
