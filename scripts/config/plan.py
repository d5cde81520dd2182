"""From what was asked to the runs to make: every choice is checked here, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.config import flows
from scripts.config.errors import NothingMeasuredError, UsageError, did_you_mean
from scripts.config.flows import Flow
from scripts.config.load_profiles import SERVES, Profile
from scripts.config.matrix import MOCK, Engine, Release, Suite

# Wall time that a run needs beside its load, on 2 cores: 4.5 s with 2 workers, 11.5 s with 8 (results/self.md).
_OVERHEAD_S, _OVERHEAD_OF_A_WORKER_S = 2.2, 1.2
MAX_ROUNDS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is loaded: a release, served by one of its engines, with a flow."""

    release: Release
    engine: Engine
    flow: Flow
    version: str  # what the live server must say that it is; a candidate's release has a label beside it


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a run stands in a campaign of interleaved rounds."""

    campaign: str
    round_id: str  # only runs of one round are compared with each other
    arm: int  # from 1, the baseline; what tells it from the others of its round


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """One run to make."""

    target: Target | None  # None: the mock API alone
    profile: Profile
    python: str
    round: int  # from 1
    place: Place | None = None  # in a campaign

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
    def seed(self) -> int:
        """Every run of a round draws the same think times and backend waits."""
        return self.profile.seed + self.round - 1

    @property
    def expected_s(self) -> float:
        """Estimated wall time."""
        workers = self.profile.workers if self.target else 1
        return self.profile.run_time_s + _OVERHEAD_S + _OVERHEAD_OF_A_WORKER_S * workers


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The runs of one session, in order."""

    runs: tuple[RunSpec, ...]

    @property
    def expected_s(self) -> float:
        """Estimated wall time, without building the virtualenv."""
        return sum(run.expected_s for run in self.runs)


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
    """The plan of a bench session; UsageError when it asks for what does not exist, NothingMeasuredError when empty."""
    served, serving = suite.release(release), suite.engine(engine)
    if not suite.has_engine(served, serving):
        raise UsageError(
            f"promptflow {served.version} has no {serving.name} engine: it came with {serving.since}",
            then=f"nox -s bench-{served.version}-flask, or a release from {serving.since} on",
        )
    chosen = flows.find_all(flow_names or suite.scenario_flows(served, serving))
    _check_flows(suite, chosen, served, serving, trying=profile == SERVES)
    load, chosen_python = suite.load(served, profile), _python(suite, served, python)
    return Plan(
        runs=tuple(
            RunSpec(
                target=Target(release=served, engine=serving, flow=flow, version=served.version),
                profile=load,
                python=chosen_python,
                round=number,
            )
            for number in _rounds(rounds)
            for flow in chosen
        )
    )


def make_mock(suite: Suite, *, profile: str, rounds: int) -> Plan:
    """The same load on the mock API alone."""
    load = suite.profile(profile)
    return Plan(
        runs=tuple(
            RunSpec(target=None, profile=load, python=suite.tools.python, round=number) for number in _rounds(rounds)
        )
    )


def _check_flows(suite: Suite, chosen: Sequence[Flow], release: Release, engine: Engine, *, trying: bool) -> None:
    """Raise when there is no flow, one that the release cannot serve, or two whose records could not be told apart.

    `trying`: whether it serves a flow is what is asked.
    """
    can_serve = ", ".join(suite.can_serve(release))
    if not chosen:
        raise NothingMeasuredError(
            f"suite.toml has no scenario of {engine.name} that promptflow {release.version} can serve",
            then="--flow with a flow of flows/ or one of yours, or add a [[scenario]]",
        )
    for flow in chosen:
        entry = suite.why_unsupported(release, flow.name) if flow.of_suite else None
        if entry is not None and not trying:
            raise UsageError(
                f"promptflow {release.version} cannot serve {flow.name}: {entry.reason}",
                then=f"--flow with one of {can_serve}",
            )


def _python(suite: Suite, release: Release, python: str | None) -> str:
    covered = suite.line(release).pythons
    if python is not None and python not in covered:
        raise UsageError(
            f"the lock of {release.version} does not cover Python {python}; {did_you_mean(python, covered)}",
            then=f"--python with one of {', '.join(covered)}",
        )
    return python or suite.python


def _rounds(rounds: int) -> range:
    if not 1 <= rounds <= MAX_ROUNDS:
        raise UsageError(f"--rounds {rounds}: from 1 to {MAX_ROUNDS}", then="--rounds 1")
    return range(1, rounds + 1)
