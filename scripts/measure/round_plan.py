"""A campaign: the same scenarios measured for several arms in interleaved rounds, resumable.

Under a profile that loads two arms at once, a campaign of more arms becomes pairs of them, each a campaign of its own.
Where Pythons are compared, each release is a campaign of its own.

Its identity is a digest over everything that decides its numbers. So a repetition reuses what is measured already, if
nothing has changed since. Odd rounds run the arms forwards and even ones backwards, so that a linear drift of the
machine cancels. Every run has a fresh server; all runs of a round draw the same think times.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from scripts.config.errors import NotComparableError
from scripts.config.flows import Flow
from scripts.config.load_profiles import Counting, Profile
from scripts.config.matrix import Engine
from scripts.config.plan import Place, RunSpec, Target
from scripts.environments.candidates import Arm
from scripts.measure import digests, session
from scripts.measure.run import Prepared, RunContext
from scripts.records.schema import Machine

_GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignScenario:
    """What every arm serves."""

    engine: Engine
    flow: Flow

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.engine.name} {self.flow.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """What is compared with what."""

    arms: tuple[Arm, ...]  # the first is the baseline
    scenarios: tuple[CampaignScenario, ...]
    profile: Profile
    python: str  # e.g. "3.11"; of arms that have none of their own
    counting: Counting | None = None  # of runs that count work instead of measuring time
    again: int = 0  # how many campaigns of the same identity came before
    groups: tuple[tuple[int, ...], ...] = ()  # arms from 0 that share their rounds, the baseline first; none: all do

    @property
    def series(self) -> tuple[Series, ...]:
        """What has rounds of its own: each scenario, of each group of arms where there are several."""
        campaigns = [replace(self, arms=tuple(self.arms[arm] for arm in group), groups=()) for group in self.groups]
        return tuple(
            Series(campaign=campaign, scenario=scenario, named=len(campaigns) > 1)
            for scenario in self.scenarios
            for campaign in campaigns or [self]
        )

    def python_of(self, arm: Arm) -> str:
        """By which Python it is served, e.g. "3.11"."""
        return arm.python or self.python

    @property
    def pythons(self) -> dict[str, str]:
        """The same of every arm, by label."""
        return {arm.release.version: self.python_of(arm) for arm in self.arms}

    def identity(self, scenario: CampaignScenario, machine: Machine, pythons: Mapping[str, str]) -> str:
        """Twelve hexadecimal digits that are the same only where all that decides the numbers is.

        `pythons` are those of the virtualenvs with their patch versions, by e.g. "3.11". Memory counts in GiB, as in
        tables: a kernel update moves it by a few MiB.
        """
        parts: list[object] = [
            ", ".join(dict.fromkeys(pythons[self.python_of(arm)] for arm in self.arms)),
            self.again,
            round(machine.memory_bytes / _GIB),
            *(getattr(machine, name) for name in ("cpu_model", "cores", "system", "tools_python")),
        ]
        for number, arm in enumerate(self.arms, 1):
            spec = self.spec(scenario, number, arm, Place(campaign="", round_id="", arm=number), 1)
            parts += [arm.release.version, msgspec.to_builtins(digests.of(spec, arm.lock))]
        return hashlib.sha256(msgspec.json.encode([scenario.name, parts])).hexdigest()[:12]

    def target(self, scenario: CampaignScenario, arm: Arm) -> Target:
        """What is served of an arm."""
        return Target(release=arm.release, engine=scenario.engine, flow=scenario.flow, version=arm.version)

    def spec(self, scenario: CampaignScenario, number: int, arm: Arm, place: Place, round_number: int) -> RunSpec:
        """The run of one arm in one round."""
        return RunSpec(
            target=self.target(scenario, arm),
            profile=self.profile,
            python=self.python_of(arm),
            round=round_number,
            place=replace(place, arm=number),
            counting=self.counting,
        )

    def round(self, scenario: CampaignScenario, identity: str, round_number: int) -> list[RunSpec]:
        """The runs of a round in the order in which they are made; a round that is made again has another id."""
        place = Place(campaign=identity, round_id=_round_id(round_number), arm=0)
        runs = [self.spec(scenario, n, arm, place, round_number) for n, arm in enumerate(self.arms, 1)]
        return runs if round_number % 2 else runs[::-1]

    @property
    def round_s(self) -> float:
        """Estimated wall time of a round of one scenario, of all groups of arms."""
        if self.groups:
            return sum(one.campaign.round_s for one in self.series) / len(self.scenarios)
        specs = self.round(self.scenarios[0], "", 1)
        return sum(spec.beside_load_s for spec in specs) + self.load_s

    @property
    def load_s(self) -> float:
        """How much of that is load."""
        if self.groups:
            return sum(one.campaign.load_s for one in self.series) / len(self.scenarios)
        return float(self.profile.run_time_s * math.ceil(len(self.arms) / self.profile.at_once))


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """The rounds of one scenario, and of one group of arms where there are several."""

    campaign: Campaign
    scenario: CampaignScenario
    named: bool  # whether the arms belong to the name, because there are several groups

    @property
    def name(self) -> str:
        """As people write it; no two of a campaign have the same."""
        return f"{self.scenario.name} of {' and '.join(self.releases)}" if self.named else self.scenario.name

    @property
    def releases(self) -> tuple[str, ...]:
        """The labels of the arms, the baseline first."""
        return tuple(arm.release.version for arm in self.campaign.arms)

    def identity(self, machine: Machine, pythons: Mapping[str, str]) -> str:
        """Of its campaign; see there."""
        return self.campaign.identity(self.scenario, machine, pythons)

    def round(self, identity: str, number: int) -> list[tuple[RunSpec, ...]]:
        """The runs of a round, those together that are made at once."""
        specs, at_once = self.campaign.round(self.scenario, identity, number), self.campaign.profile.at_once
        return [tuple(specs[place : place + at_once]) for place in range(0, len(specs), at_once)]


def repeated(specs: Sequence[RunSpec]) -> tuple[RunSpec, ...]:
    """The same runs of a campaign under another round id."""
    round_id = _round_id(specs[0].round)
    return tuple(replace(spec, place=replace(spec.place, round_id=round_id)) for spec in specs if spec.place)


def _round_id(number: int) -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{number:03}-{secrets.token_hex(3)}"


def prepare(campaign: Campaign, context: RunContext) -> dict[str, Prepared]:
    """All virtualenvs by label, before any clock starts; NotComparableError as in `patch_versions`."""
    labels = {arm.release.version: arm for arm in campaign.arms}
    prepared = {
        label: session.install(label, arm.lock, campaign.python_of(arm), context.system, context.progress)
        for label, arm in labels.items()
    }
    patch_versions(campaign.pythons, prepared)
    return prepared


def patch_versions(
    requested: Mapping[str, str], prepared: Mapping[str, Prepared], then: str = ", then repeat this command"
) -> dict[str, str]:
    """The Pythons of virtualenvs with their patch versions, by e.g. "3.11"; both mappings are by label.

    NotComparableError where those of one Python differ; `then`: what to do besides removing one of them.
    """
    found: dict[str, dict[str, str]] = {}
    for label, python in requested.items():
        found.setdefault(python, {})[label] = prepared[label].environment.python
    for of_labels in found.values():
        if len(set(of_labels.values())) > 1:
            listed = ", ".join(f"{label}: {python}" for label, python in of_labels.items())
            raise NotComparableError(
                f"the virtualenvs differ in Python: {listed}",
                then=f"remove those with the older Python from .envs/{then}",
            )
    return {python: next(iter(of_labels.values())) for python, of_labels in found.items()}
