"""Explains a difference of two releases: repeats of both under one load, their stacks sampled, in one document.

For the verbs explain and gate. The document is what is kept: no figure of these loads is recorded as a run.
"""

from __future__ import annotations

import math
import secrets
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scripts.config.errors import InvalidMeasurementError, NothingMeasuredError
from scripts.config.matrix import Suite
from scripts.config.whole_files import write_whole
from scripts.host import machine
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import digests, py_spy, round_plan, sampling, session
from scripts.measure.py_spy import PySpy
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.measure.run import Prepared, RunContext
from scripts.measure.sampling import StackSamples
from scripts.records import explanations
from scripts.records.explanations import SCHEMA_VERSION, Explanation, Frame, SampledArm, SampledRun
from scripts.serving import launch

REPEATS = 8  # enough for changes of 2 % of the samples, in three minutes
MOST_REPEATS = 100
_MOST_FAILED = 3  # repeats in a row that cannot be used, before it is given up
_FIRST_ANSWER_S = 3.0  # beside boot and load, of a repeat


@dataclass(kw_only=True, slots=True)
class _Table:
    """Frames and stacks, each once, by their numbers."""

    frames: dict[Frame, int] = field(default_factory=dict)
    stacks: dict[tuple[int, ...], int] = field(default_factory=dict)

    def run(self, found: StackSamples) -> SampledRun:
        """The samples of a run, by the numbers of its stacks."""
        numbered: Counter[int] = Counter()
        for stack, times in found.stacks.items():
            frames = tuple(self.frames.setdefault(frame, len(self.frames)) for frame in stack)
            numbered[self.stacks.setdefault(frames, len(self.stacks))] += times
        return SampledRun(
            requests=found.requests, failed=found.failed, cpu_ms=round(found.cpu_ms, 4), unread=found.unread,
            samples=tuple(sorted(numbered.items())),
        )  # fmt: skip


def expected_s(requested: Campaign, repeats: int) -> float:
    """Estimated wall time of all repeats of all scenarios, without building virtualenvs."""
    return repeats * len(requested.scenarios) * (requested.round_s + _FIRST_ANSWER_S)


def measure(
    suite: Suite, requested: Campaign, options: session.Options, system: System, progress: Progress,
    *, repeats: int = REPEATS, budget_s: float = math.inf, folder: str = explanations.FOLDER,
) -> list[Explanation]:  # fmt: skip
    """Sample each scenario, and write a document of each below the results; `budget_s`: of all, begins now.

    SamplerError, before anything is built, where py-spy cannot sample; InvalidMeasurementError without any repeat.
    """
    ends_s = system.monotonic() + budget_s
    users = requested.profile.users * requested.profile.at_once
    with session.opened(options, users, system, progress) as context:
        tool = py_spy.install(suite, system, progress)
        _try(tool, context)
        prepared = round_plan.prepare(requested, context)
        context.before_first()
        made = []
        for scenario in requested.scenarios:
            made.append(_explained(requested, scenario, context, tool, prepared, repeats, ends_s))
            path = explanations.path(options.results, made[-1].id, folder)
            write_whole(path, explanations.encode(made[-1]))
            progress.detail(f"recorded in {session.shown(path)}")
        return made


def _try(tool: PySpy, context: RunContext) -> None:
    context.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
        env = launch.child_environment({}, Path(folder), context.marker)
        py_spy.require(tool, context.system, env, Path(folder))


def _explained(
    requested: Campaign, scenario: CampaignScenario, context: RunContext, tool: PySpy,
    prepared: Mapping[str, Prepared], repeats: int, ends_s: float,
) -> Explanation:  # fmt: skip
    now, before, table = datetime.now(UTC), machine.describe(), _Table()
    made: list[tuple[SampledRun, SampledRun]] = []
    last: Sequence[StackSamples] = ()
    failed: list[InvalidMeasurementError] = []  # in a row
    longest_s = 0.0
    while len(made) < repeats and context.system.monotonic() + longest_s <= ends_s:
        began = context.system.monotonic()
        left_s = (repeats - len(made)) * (longest_s or requested.round_s + _FIRST_ANSWER_S)
        context.progress.head(f"repeat {len(made) + 1} of {repeats}", min(left_s, ends_s - began))
        try:
            last = _repeat(requested, scenario, context, tool, prepared, len(made) + 1)
            made.append((table.run(last[0]), table.run(last[1])))
            failed = []
        except InvalidMeasurementError as error:
            context.progress.note(f"this repeat does not count: {error.message}")
            failed.append(error)
            if len(failed) == _MOST_FAILED:
                raise
        longest_s = max(longest_s, context.system.monotonic() - began)
    if not made:
        raise failed[-1] if failed else NothingMeasuredError("there was no time", then="repeat this command")
    return Explanation(
        schema_version=SCHEMA_VERSION,
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(timespec="seconds"),
        engine=scenario.engine.name,
        flow=scenario.flow.name,
        profile=requested.profile,
        python=prepared[requested.arms[0].release.version].environment.python,
        machine=before,
        py_spy=tool.version,
        rate_hz=py_spy.RATE_HZ,
        arms=(_arm(requested, scenario, 1, last[0]), _arm(requested, scenario, 2, last[1])),
        frames=tuple(table.frames),
        stacks=tuple(table.stacks),
        repeats=tuple(made),
    )


def _repeat(
    requested: Campaign, scenario: CampaignScenario, context: RunContext, tool: PySpy,
    prepared: Mapping[str, Prepared], number: int,
) -> list[StackSamples]:  # fmt: skip
    """Both arms at once, the baseline first; which of them starts first alternates."""
    specs = requested.round(scenario, "", number)
    names = " and ".join(spec.release for spec in specs)
    context.progress.run(f"[repeat {number}] {names} {scenario.name}")
    sampled = sampling.pair(context, tool, [(spec, prepared[spec.release]) for spec in specs])
    by_arm = {spec.place.arm: one for spec, one in zip(specs, sampled, strict=True) if spec.place is not None}
    found = [by_arm[arm] for arm in sorted(by_arm)]
    context.progress.ran(" and ".join(f"{sum(one.stacks.values())} samples" for one in found))
    return found


def _arm(requested: Campaign, scenario: CampaignScenario, number: int, found: StackSamples) -> SampledArm:
    arm, observed = requested.arms[number - 1], found.served.observed
    [spec] = [one for one in requested.round(scenario, "", 1) if one.place is not None and one.place.arm == number]
    return SampledArm(
        release=arm.release.version,
        digests=digests.of(spec, arm.lock),
        distributions=observed.distributions,
        workers=observed.workers,
        threads=observed.threads,
    )
