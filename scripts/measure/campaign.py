"""A campaign: the same scenarios measured for several arms in interleaved rounds, resumable.

Its identity is a digest over everything that decides its numbers, so what is measured already is found again, and only
then. Odd rounds run the arms forwards and even ones backwards, so that a linear drift of the machine cancels.
Every run has a fresh server; all runs of a round draw the same think times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from scripts.flow import Flow
from scripts.loads import Profile
from scripts.measure import digests, session
from scripts.measure.candidates import Arm
from scripts.measure.runner import Bench, Done, Prepared
from scripts.plan import Place, RunSpec, Target
from scripts.record import Machine, RunRecord
from scripts.record_files import RECORD_FILE, RUNS, RecordError, read_record
from scripts.suite import Engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
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
    scenarios: tuple[Scenario, ...]
    profile: Profile
    python: str
    again: int = 0  # how often the same was asked for afresh

    def identity(self, scenario: Scenario, machine: Machine) -> str:
        """Twelve hexadecimal digits that are the same only where all that decides the numbers is."""
        parts: list[object] = [
            self.python,
            self.again,
            *(getattr(machine, name) for name in ("cpu_model", "cores", "system", "tools_python")),
        ]
        for number, arm in enumerate(self.arms, 1):
            spec = self.spec(scenario, number, arm, Place(campaign="", round_id="", arm=number), 1)
            parts += [arm.release.version, msgspec.to_builtins(digests.of(spec, arm.lock))]
        return hashlib.sha256(msgspec.json.encode([scenario.name, parts])).hexdigest()[:12]

    def spec(self, scenario: Scenario, number: int, arm: Arm, place: Place, round_number: int) -> RunSpec:
        """The run of one arm in one round."""
        target = Target(release=arm.release, engine=scenario.engine, flow=scenario.flow, version=arm.version)
        return RunSpec(
            target=target,
            profile=self.profile,
            python=self.python,
            round=round_number,
            place=replace(place, arm=number),
        )

    def round(self, scenario: Scenario, identity: str, round_number: int) -> list[RunSpec]:
        """The runs of a round in the order in which they are made."""
        round_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{round_number:03}"
        place = Place(campaign=identity, round_id=round_id, arm=0)
        runs = [self.spec(scenario, n, arm, place, round_number) for n, arm in enumerate(self.arms, 1)]
        return runs if round_number % 2 else runs[::-1]

    @property
    def round_s(self) -> float:
        """Estimated wall time of a round of one scenario."""
        return sum(spec.expected_s for spec in self.round(self.scenarios[0], "", 1))


def measured(results: Path, profile: Profile, identity: str) -> list[Path]:
    """Directories of the runs that a campaign has made so far, in order of time; an unreadable one is passed over."""
    found = []
    for path in (results / RUNS.name / profile.name).glob(f"*/*/*/{RECORD_FILE}"):
        record = _record(path.parent)
        if record is not None and record.asked.campaign == identity:
            found.append(path.parent)
    return sorted(found, key=lambda path: path.name)


def whole_rounds(directories: Sequence[Path], arms: int) -> int:
    """How many rounds have a run that is ok of every arm; a round that was cut short is made again, whole."""
    seen: dict[str, set[int]] = {}
    for path in directories:
        record = _record(path)
        if record is not None and record.outcome == "ok":
            seen.setdefault(record.asked.round_id, set()).add(record.asked.arm)
    return sum(len(found) == arms for found in seen.values())


def make_round(bench: Bench, prepared: Mapping[str, Prepared], specs: Sequence[RunSpec], label: str) -> Iterator[Done]:
    """Make the runs of a round, each in its own virtualenv; `prepared` is by the arm's label."""
    for number, spec in enumerate(specs, 1):
        yield session.one(replace(bench, prepared=prepared[spec.release]), spec, f"[{label}, {number}/{len(specs)}]")


def prepare(campaign: Campaign, bench: Bench) -> dict[str, Prepared]:
    """All virtualenvs, before any clock starts."""
    labels = {arm.release.version: arm for arm in campaign.arms}
    return {
        label: session.install(label, arm.lock, campaign.python, bench.system, bench.progress)
        for label, arm in labels.items()
    }


def _record(directory: Path) -> RunRecord | None:
    try:
        return read_record(directory)
    except RecordError:
        return None
