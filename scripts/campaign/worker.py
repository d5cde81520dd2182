"""A worker of a cluster: makes the tasks of coordinators, one at a time, on a machine that it holds all the while."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.campaign import messages, tasks
from scripts.campaign.messages import (
    Answer,
    Facts,
    Files,
    Hello,
    Make,
    Prepare,
    Ready,
    ReleaseForm,
    Request,
    Runs,
)
from scripts.config.errors import NotComparableError, NothingMeasuredError, SuiteError
from scripts.config.flows import Flow
from scripts.config.matrix import Suite
from scripts.host import machine
from scripts.host.quiet import Quiet
from scripts.measure import digests, round_plan, session
from scripts.measure.run import Prepared, RunContext
from scripts.measure.side_by_side import StoppableSystem


@dataclass(frozen=True, kw_only=True, slots=True)
class _Session:
    """What a coordinator has asked to get ready."""

    context: RunContext
    prepared: Mapping[str, Prepared]  # by label
    releases: Mapping[str, ReleaseForm]  # likewise
    flows: Mapping[str, Flow]  # by name
    quiet: Quiet | None


class Worker:
    """Answers requests.

    Its context has a results directory of its own, out of which every run is sent; what it receives lies in `folder`.
    """

    def __init__(self, name: str, suite: Suite, context: RunContext, folder: Path) -> None:
        self.name = name
        self._suite = suite
        self._context = context
        self._folder = folder
        self._sessions: dict[str, _Session] = {}
        self._looked: set[str] = set()  # sessions before whose first run the machine was quiet

    def call(self, text: str, stopped: threading.Event) -> str:
        """The answer to a request; `Terminated` soon after `stopped` is set."""
        answer: Answer
        try:
            answer = self._answer(messages.request(text), stopped)
        except SuiteError as error:
            answer = messages.failure(error, self.name)
        except OSError as error:
            answer = messages.failure(
                NothingMeasuredError(f"the system refused: {error}", then="see what that machine lacks"), self.name
            )
        return messages.encode(answer)

    def abort(self) -> None:
        """End every process of the run that is being made."""
        self._context.sweep()

    def _answer(self, request: Request, stopped: threading.Event) -> Answer:
        if isinstance(request, Hello):
            return Facts(code=digests.of_checkout(), tools=digests.of_tools(), machine=machine.describe())
        context = replace(
            self._context, system=StoppableSystem(system=self._context.system, stopped=stopped), stopped=stopped
        )
        if isinstance(request, Prepare):
            return self._prepare(request, context)
        return self._make(request, context)

    def _prepare(self, request: Prepare, context: RunContext) -> Answer:
        machine.raise_open_files(request.users)
        into = self._folder / request.session
        flows = {form.name: messages.flow(form, into / "flows") for form in request.flows}
        locks = {
            form.release.version: messages.lock(self._suite, form, into / "locks" / form.lock)
            for form in request.releases
        }
        pythons = {form.release.version: form.python for form in request.releases}
        prepared = {
            label: session.install(label, lock, pythons[label], context.system, context.progress)
            for label, lock in locks.items()
        }
        valgrind = session.valgrind(context.system, context.scratch, context.marker) if request.counts else None
        self._sessions[request.session] = _Session(
            context=replace(self._context, keep_logs=request.keep_logs, valgrind=valgrind),
            prepared=prepared,
            releases={form.release.version: form for form in request.releases},
            flows=flows,
            quiet=request.quiet,
        )
        found = round_plan.patch_versions(pythons, prepared, then=" there, and start this worker again")
        return Ready(pythons=found)

    def _make(self, request: Make, context: RunContext) -> Answer:
        known = self._sessions.get(request.session)
        if known is None:
            raise NotComparableError("it was started anew meanwhile", then="repeat this command")
        task = messages.task(request, self._suite, known.releases, known.flows)
        run_context = replace(
            known.context,
            system=context.system,
            stopped=context.stopped,
            before_first=functools.partial(self._look, request.session, known.quiet, context),
        )
        made = tasks.make(run_context, known.prepared, task)
        runs: list[Files] = []
        for run in made.runs:
            runs.append({path.name: path.read_bytes() for path in sorted(run.directory.iterdir())})
            shutil.rmtree(run.directory)
        return Runs(
            worker=self.name,
            runs=tuple(runs),
            disturbed=tuple(made.disturbed),
            error=messages.failure(made.error) if made.error is not None else None,
        )

    def _look(self, session_id: str, wanted: Quiet | None, context: RunContext) -> None:
        """Raise unless the machine is as quiet as wanted, before the first run of a session."""
        if session_id not in self._looked:
            session.look(wanted, context.system, context.progress)
            self._looked.add(session_id)
