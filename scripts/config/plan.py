"""From what was requested to the runs to make. Every choice is checked here, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scripts.config import flows, matrix
from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.config.flows import Flow
from scripts.config.load_profiles import (
    CAPACITY,
    COMPARE,
    COUNT,
    SERVES,
    Counting,
    Generators,
    Profile,
    SearchIdentity,
)
from scripts.config.matrix import MOCK, Engine, Release, Suite
from scripts.config.shards import Shard

# Wall time that a run needs beside its load, on 2 cores: 4.5 s with 2 workers, 11.5 s with 8 (results/self.md).
_OVERHEAD_S, _OVERHEAD_OF_A_WORKER_S = 2.2, 1.2
_OVERHEAD_OF_A_MASTER_S = 3.5  # until several load processes have met, and have sent what they recorded
_START_UP_S = 55.0  # until a server is ready whose instructions are counted from its start
MAX_ROUNDS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is loaded: a release, served by one of its engines, with a flow."""

    release: Release
    engine: Engine
    flow: Flow
    version: str  # what the live server's /version must say; a candidate's release has a label besides


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a run stands in a campaign of interleaved rounds."""

    campaign: str
    round_id: str  # runs of one round are paired
    arm: int  # from 1, the baseline


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """One run to make."""

    target: Target | None  # None: the mock API alone
    profile: Profile
    python: str
    round: int  # from 1
    place: Place | None = None  # in a campaign
    counting: Counting | None = None  # of a run that counts work instead of measuring time
    memory_every_s: float | None = None  # from one sample of memory under load to the next; None: there is none
    search: SearchIdentity | None = None  # of a run of a capacity search
    generators: Generators = field(default_factory=Generators)

    @property
    def release(self) -> str:
        """The release's version, or "mock"."""
        return self.target.release.version if self.target else MOCK

    @property
    def engine(self) -> str:
        """The engine's name, or what serves the mock API."""
        return self.target.engine.name if self.target else "uvicorn"

    @property
    def flow(self) -> str:
        """The flow's name, or the mock API's."""
        return self.target.flow.name if self.target else "mock_api"

    @property
    def cell(self) -> str:
        """What all rounds of it share, and no other run; the name by which a shard has it."""
        return f"{self.profile.name} {self.release} {self.engine} {self.flow}"

    @property
    def seed(self) -> int:
        """Every run of a round draws the same think times and backend waits."""
        return self.profile.seed + self.round - 1

    @property
    def expected_s(self) -> float:
        """Estimated wall time."""
        return self.profile.run_time_s + self.beside_load_s

    @property
    def beside_load_s(self) -> float:
        """Estimated wall time of all that is not load: start, verification, stop."""
        meeting_s = _OVERHEAD_OF_A_MASTER_S if self.generators.several else 0.0
        start_up_s = _START_UP_S if self.counting is not None and self.counting.start_up else 0.0
        return (
            _OVERHEAD_S
            + meeting_s
            + start_up_s
            + _OVERHEAD_OF_A_WORKER_S * (self.profile.workers if self.target else 1)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The runs of one session, in order."""

    runs: tuple[RunSpec, ...]

    @property
    def expected_s(self) -> float:
        """Estimated wall time, without building the virtualenv."""
        return sum(run.expected_s for run in self.runs)

    def of_shard(self, shard: Shard | None) -> Plan:
        """The runs of a shard, each cell whole; without a shard all of them."""
        return self if shard is None else Plan(runs=tuple(run for run in self.runs if shard.holds(run.cell)))


def make(
    suite: Suite,
    *,
    release: str,
    engine: str,
    flow_names: Sequence[str],
    profile: str,
    python: str | None,
    rounds: int,
) -> Plan:
    """The plan of a session of one target; UsageError for what does not exist, NothingMeasuredError when empty."""
    served, serving = suite.release(release), suite.engine(engine)
    if not suite.has_engine(served, serving):
        others = [matrix.session_name(served, other) for other in suite.engines if suite.has_engine(served, other)]
        raise UsageError(
            f"promptflow {served.version} has no {serving.name} engine: it came with {serving.since}",
            then=f"nox -s {others[0]}" if others else "nox -l",
        )
    command = f"nox -s {matrix.session_name(served, serving, profile if profile in (CAPACITY, COUNT) else 'bench')} --"
    chosen = flows.find_all(flow_names or suite.scenario_flows(served, serving))
    _check_flows(suite, chosen, served, serving, command, trying=profile == SERVES)
    load, chosen_python = suite.load(served, profile), served_by(suite, served, python, command)
    _require_alone(load)
    return Plan(
        runs=tuple(
            RunSpec(
                target=Target(release=served, engine=serving, flow=flow, version=served.version),
                profile=load,
                python=chosen_python,
                round=number,
                counting=suite.counting(profile),
                memory_every_s=suite.memory_every_s(profile),
            )
            for number in _rounds(rounds, command)
            for flow in chosen
        )
    )


def of_targets(suite: Suite, targets: Sequence[Target], *, profile: str, python: str | None, rounds: int) -> Plan:
    """The plan of a session of many targets, one round after the other."""
    command = "repeat this command with"
    return Plan(
        runs=tuple(
            RunSpec(
                target=target,
                profile=suite.load(target.release, profile),
                python=served_by(suite, target.release, python, command),
                round=number,
                counting=suite.counting(profile),
                memory_every_s=suite.memory_every_s(profile),
            )
            for number in _rounds(rounds, command)
            for target in targets
        )
    )


def make_mock(suite: Suite, *, profile: str, rounds: int) -> Plan:
    """The same load on the mock API alone."""
    load = suite.profile(profile)
    if profile == COUNT:
        raise UsageError(
            "work is counted of a release, not of the mock API",
            then="nox -l, which has a session for each release that can be counted",
        )
    _require_alone(load)
    return Plan(
        runs=tuple(
            RunSpec(target=None, profile=load, python=suite.tools.python, round=number)
            for number in _rounds(rounds, "nox -s bench-mock --")
        )
    )


def served_by(suite: Suite, release: Release, python: str | None, command: str) -> str:
    """The Python that serves a release, by default that of the tables; UsageError when its lock does not cover it.

    `command`: what `--python` can be added to, as the error suggests.
    """
    covered = suite.line(release).pythons
    chosen = python or suite.python
    if chosen not in covered:
        raise UsageError(
            f"the lock of {release.version} does not cover Python {chosen}; it covers {', '.join(covered)}",
            then=f"{command} --python {suite.python}",
        )
    return chosen


def _require_alone(load: Profile) -> None:
    """UsageError for a profile that loads two releases at once: there is but one here."""
    if load.at_once > 1:
        raise UsageError(
            f"profile {load.name} loads two releases at the same time, and this session has one",
            then=f"repeat this command with --profile {COMPARE}",
        )


def _check_flows(
    suite: Suite, chosen: Sequence[Flow], release: Release, engine: Engine, command: str, *, trying: bool
) -> None:
    """Raise when there is no flow, or one that the release cannot serve.

    `trying`: the session tries whether the release serves a flow, so every flow may be named.
    """
    can_serve = suite.can_serve(release)
    if not chosen:
        raise NothingMeasuredError(
            f"suite.toml has no scenario of {engine.name} that promptflow {release.version} can serve",
            then=f"{command} --flow {can_serve[0]}" if can_serve else "add a [[scenario]] to suite.toml",
        )
    for flow in chosen:
        entry = suite.why_unsupported(release, flow.name) if flow.of_suite else None
        if entry is not None and not trying:
            raise UsageError(
                f"promptflow {release.version} cannot serve {flow.name}: {entry.reason}; "
                f"it serves {', '.join(can_serve) or 'no flow of the suite'}",
                then=f"{command} --flow {can_serve[0]}" if can_serve else "nox -l",
            )


def _rounds(rounds: int, command: str) -> range:
    if not 1 <= rounds <= MAX_ROUNDS:
        raise UsageError(f"--rounds {rounds}: from 1 to {MAX_ROUNDS}", then=f"{command} --rounds 1")
    return range(1, rounds + 1)
