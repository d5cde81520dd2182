"""A task: the loads that one machine makes one after the other, such as those of a round.

Where it is made is the business of a pool (`scripts/campaign/pool.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.config.errors import InvalidMeasurementError, SuiteError
from scripts.config.plan import RunSpec
from scripts.measure import round_plan, session
from scripts.measure.run import Prepared, RunContext

MOST_TRIES = 3
_MADE = ("ok", "invalid")  # outcomes of a run that was made to its end


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What one machine makes, and how long it may take."""

    name: str  # e.g. "round 3"
    scenario: str  # what it belongs to, for people
    loads: tuple[tuple[RunSpec, ...], ...]  # the runs of each, which are made at once
    run_s: float  # estimated wall time of a run
    ends_in_s: float | None = None  # no load is repeated that would end later; None: it may take its time
    tries: int = MOST_TRIES  # of a load, while the machine disturbs it


@dataclass(kw_only=True, slots=True)
class Made:
    """What came of a task."""

    runs: list[Run] = field(default_factory=list)  # recorded, oldest first
    disturbed: list[bool] = field(default_factory=list)  # of each load that was made to its end: by the machine
    error: SuiteError | None = None  # why it does not count


def make(context: RunContext, prepared: Mapping[str, Prepared], task: Task) -> Made:
    """Make the loads. A run that fails ends the task: the rest could not be paired."""
    made = Made()
    ends_s = math.inf if task.ends_in_s is None else context.system.monotonic() + task.ends_in_s
    for place, specs in enumerate(task.loads, 1):
        label = f"[{task.name}, {place}/{len(task.loads)}]" if len(task.loads) > 1 else f"[{task.name}]"
        made.error = _load(context, prepared, task, specs, label, ends_s, made)
        if made.error is not None:
            context.progress.note(f"{task.name} of {task.scenario} does not count")
            break
    return made


def _load(
    context: RunContext, prepared: Mapping[str, Prepared], task: Task, specs: tuple[RunSpec, ...], label: str,
    ends_s: float, made: Made,
) -> SuiteError | None:  # fmt: skip
    """Make the runs of one load; return why they do not count.

    What the machine has disturbed is repeated immediately, while there is time: both runs, where two were made at once.
    A run that its server spoilt is not: a candidate that fails now and then must not get more tries than its baseline.
    A valid run whose latencies alone are distrusted counts for all else, where no repetition is better.
    """
    valid_before, in_a_row = False, 0
    for tries in itertools.count(1):
        done = session.together(context, [(spec, prepared[spec.release]) for spec in specs], label)
        runs = [run_reader.read_run(one.directory) for one in done]
        made.runs += runs
        error = next((one.error for one, run in zip(done, runs, strict=True) if run.outcome not in _MADE), None)
        if error is not None:
            return _unless_valid_before(error, context, valid_before=valid_before)
        late = context.system.monotonic() + task.run_s * len(specs) > ends_s
        again = not late and tries < task.tries
        invalid = [run for run in runs if run.outcome == "invalid"]
        disturbed = all(all(run.disturbances) for run in invalid)
        in_a_row = in_a_row + 1 if invalid else 0
        made.disturbed.append(bool(invalid) and disturbed)
        for line in dict.fromkeys(_what_is_wrong(run) for run in runs if run in invalid or (again and run.distrusted)):
            context.progress.note(line)
        if not invalid and not (again and any(run.distrusted for run in runs)):
            return None
        if not disturbed or not again:
            releases = " and ".join(run.record.requested.release for run in invalid)
            reasons = "; ".join(dict.fromkeys(reason for run in invalid for reason in run.reasons))
            error = InvalidMeasurementError(
                f"{in_a_row} run(s) of {releases} in a row are invalid: {reasons}",
                then="repeat this command with --wait-quiet 5m: it goes on where it ended"
                if disturbed
                else "repeat this command with --keep-logs, then read the logs",
            )
            return _unless_valid_before(error, context, valid_before=valid_before)
        valid_before = valid_before or not invalid
        if len(specs) > 1:  # another round, so that only runs of one load are ever paired
            specs = round_plan.repeated(specs)
    raise AssertionError("unreachable")  # the last try returns


def _unless_valid_before(error: SuiteError, context: RunContext, *, valid_before: bool) -> SuiteError | None:
    """Why a load does not count; None where an earlier one of this task does."""
    if not valid_before:
        return error
    context.progress.note(f"no better: {error.message}; the run before it counts, but for its latencies")
    return None


def _what_is_wrong(run: Run) -> str:
    if run.outcome == "invalid":
        return f"invalid: {'; '.join(run.reasons)}"
    return f"made again, because its latencies cannot be trusted: {'; '.join(run.distrusted)}"
