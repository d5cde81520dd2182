"""The matrix: releases, engines, scenarios and load profiles, and which of them go together.

Owns every value type of suite.toml except those of the load profiles.
"""

from __future__ import annotations

import datetime
import typing
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from scripts.config.errors import UsageError, did_you_mean
from scripts.config.load_profiles import COUNT, SOAK, Capacity, Counting, Profile, Soak
from scripts.config.support import Behaviour, Cause, Unsupported

ROOT = Path(__file__).resolve().parent.parent.parent
LATEST = "latest"  # stands for the newest release
MOCK = "mock"  # in place of a release, for runs against the mock API alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One final promptflow release."""

    version: str
    uploaded: datetime.date
    as_of: datetime.date  # dependencies are resolved as of this day
    constraints: tuple[str, ...] = ()  # requirements without which it does not start as of that day
    reason: str = ""  # why there are constraints


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseLine:
    """What holds for every release from `since` on, until a newer line applies."""

    since: str
    pythons: tuple[str, ...]  # what the locks cover, lowest first
    requirements: tuple[str, ...]  # "{version}" stands for the release
    image: tuple[str, ...]  # pins of the release's own image template
    workers: int = 0  # fixed by the release's own server command, whatever is requested; 0: not fixed
    threads: int = 0  # likewise


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """A serving engine of promptflow."""

    name: str
    title: str
    since: str  # the first release that has it


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """An engine and a flow that are reported together."""

    engine: str
    flow: str
    title: str  # the heading of its section in a report


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteCampaign:
    """A comparison of consecutive releases in the same rounds, which belongs to the results."""

    first: str  # release
    last: str
    engine: str
    profile: str
    rounds: int  # of each scenario of the engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What the harness itself runs on."""

    python: str
    as_of: datetime.date


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """All of suite.toml, checked."""

    python: str  # of every committed table
    watched: tuple[str, ...]  # distributions that serve a request beside promptflow
    tools: Tools
    releases: tuple[Release, ...]  # in version order
    lines: tuple[ReleaseLine, ...]  # in version order
    engines: tuple[Engine, ...]
    scenarios: tuple[Scenario, ...]
    campaigns: tuple[SuiteCampaign, ...]
    unsupported: tuple[Unsupported, ...]
    behaviours: tuple[Behaviour, ...]
    causes: tuple[Cause, ...]
    profiles: tuple[Profile, ...]
    capacity: Capacity
    count: Counting
    soak: Soak

    @property
    def flows(self) -> tuple[str, ...]:
        """The flows of all scenarios, each once."""
        return tuple(dict.fromkeys(scenario.flow for scenario in self.scenarios))

    def release(self, version: str) -> Release:
        """The release row, also as v1.12.0 or `latest`; an unknown one is a UsageError."""
        return self.named(version) or _find(self.releases, "version", version, "release")

    def named(self, text: str) -> Release | None:
        """The release that a text names; None for any other text."""
        version = self.releases[-1].version if text == LATEST else text.removeprefix("v")
        return next((release for release in self.releases if release.version == version), None)

    def newest_but(self, version: str) -> str:
        """The version of the newest release that is not this one, for a command that compares the two."""
        return next(release.version for release in reversed(self.releases) if release.version != version)

    @property
    def last_of_minors(self) -> tuple[Release, ...]:
        """The last release of each minor line, in version order."""
        return tuple({Version(release.version).release[:2]: release for release in self.releases}.values())

    def engine(self, name: str) -> Engine:
        """The engine; an unknown one is a UsageError."""
        return _find(self.engines, "name", name, "engine")

    def profile(self, name: str) -> Profile:
        """The load profile; an unknown one is a UsageError."""
        return _find(self.profiles, "name", name, "profile")

    def load(self, release: Release, profile: str) -> Profile:
        """The load profile as the release can be served: with the workers and threads that its own command fixes.

        Work is counted in one worker, which replaces those of the command, so that all releases share one profile.
        """
        requested, line = self.profile(profile), self.line(release)
        if profile == COUNT:
            return requested
        return replace(requested, workers=line.workers or requested.workers, threads=line.threads or requested.threads)

    def counting(self, profile: str) -> Counting | None:
        """How work is counted under a profile; None where time is measured."""
        return self.count if profile == COUNT else None

    def memory_every_s(self, profile: str) -> float | None:
        """How often memory is sampled while a profile loads; None: before and after the load alone."""
        return self.soak.memory_every_s if profile == SOAK else None

    def line(self, release: Release) -> ReleaseLine:
        """The newest release line that is not after the release."""
        return [line for line in self.lines if _is_since(release, line.since)][-1]

    def has_line(self, release: Release) -> bool:
        """Whether any release line applies; one does to every release of suite.toml."""
        return _is_since(release, self.lines[0].since)

    def requirements(self, release: Release) -> tuple[str, ...]:
        """What the release's virtualenv is resolved from."""
        line = self.line(release)
        return (
            *(text.format(version=release.version) for text in line.requirements),
            *line.image,
            *release.constraints,
        )

    def has_engine(self, release: Release, engine: Engine) -> bool:
        """Whether the engine existed in the release."""
        return _is_since(release, engine.since)

    def targets(self) -> list[tuple[Release, Engine]]:
        """Every release with every engine that it has: one nox session each."""
        return [(r, e) for r in self.releases for e in self.engines if self.has_engine(r, e)]

    def scenario_flows(self, release: Release, engine: Engine) -> tuple[str, ...]:
        """The flows of the engine's scenarios that the release can serve."""
        return tuple(
            s.flow for s in self.scenarios if s.engine == engine.name and self.why_unsupported(release, s.flow) is None
        )

    def why_unsupported(self, release: Release, flow: str) -> Unsupported | None:
        """Why the release cannot serve the flow; None when it can, or when nothing is known of the flow."""
        entries = (entry for entry in self.unsupported if entry.flow == flow and not _is_since(release, entry.before))
        return next(entries, None)

    def serving(self, engine: str, flow: str) -> tuple[str, ...]:
        """The versions that have the engine and can serve the flow; none where the engine is unknown."""
        engines = [one for one in self.engines if one.name == engine]
        return tuple(
            release.version
            for release in self.releases
            if any(self.has_engine(release, one) for one in engines) and self.why_unsupported(release, flow) is None
        )

    def can_serve(self, release: Release) -> tuple[str, ...]:
        """The flows of all scenarios that the release can serve."""
        return tuple(flow for flow in self.flows if self.why_unsupported(release, flow) is None)


def _is_since(release: Release, since: str) -> bool:
    """Whether a release is not before `since`; a pre-release counts as the release that it leads to."""
    version = Version(release.version)
    return Version(since) <= max(version, Version(version.base_version))


def session_name(release: Release, engine: Engine, verb: str = "bench") -> str:
    """The nox session of a target."""
    return f"{verb}-{release.version}-{engine.name}"


Row = typing.TypeVar("Row")


def _find(rows: tuple[Row, ...], key: str, wanted: str, what: str) -> Row:
    for row in rows:
        if getattr(row, key) == wanted:
            return row
    names = [str(getattr(row, key)) for row in rows]
    raise UsageError(
        f"unknown {what} {wanted!r}; {did_you_mean(wanted, names)}",
        then="nox -l" if what != "profile" else "repeat this command with another --profile; suite.toml has them all",
    )
