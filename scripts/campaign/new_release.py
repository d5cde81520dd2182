"""What a new release needs to be on all pages, and what of it the records have already.

Trial runs say which engine serves which flow. What is served is measured and counted as of every other release. Pairs
with the two releases before it join it to the campaigns over all releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from scripts.analysis.run_reader import Run
from scripts.campaign import existing_rounds, existing_runs, request
from scripts.campaign.existing_runs import Counts
from scripts.campaign.request import Selection
from scripts.campaign.stopping_rule import ROUNDS
from scripts.config import flows, plan
from scripts.config.errors import UsageError
from scripts.config.load_profiles import AT_ONCE, COUNT, REPORT, SERVES
from scripts.config.matrix import Release, Suite
from scripts.config.plan import RunSpec, Target
from scripts.environments import locks
from scripts.environments.candidates import Arm
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import System
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL
from scripts.measure.round_plan import Campaign
from scripts.records.storage import run_directories

_BEFORE = 2  # releases that it is paired with: the one before it, and another by which pairs and campaign are compared
_FINDINGS = ("failed", "verify-failed")  # outcomes of a trial that say that a flow is not served


def _answers(trial: Run) -> bool:
    """Whether it says that a flow is served, or is not; what disturbed its figures does not matter."""
    return trial.record.outcome in ("ok", *_FINDINGS)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRelease:
    """A release that suite.toml has, or is about to have."""

    suite: Suite
    release: Release
    lock: Lock | None  # None: not written yet
    results: Path

    def trials(self) -> list[RunSpec]:
        """A trial run of every engine and flow."""
        return self._runs(SERVES, [(engine.name, flow) for engine in self.suite.engines for flow in self.suite.flows])

    def untried(self) -> list[RunSpec]:
        """The trials without an answer: that a flow is not served is one."""
        return self._missing(self.trials(), _answers)

    def unserved(self) -> list[tuple[str, str]]:
        """Engine and flow of the trials that failed, as their newest records say."""
        if self.lock is None:
            return []
        here = machine.describe()
        tried = {(one.engine, one.flow): one for one in self.trials()}
        answers = {
            pair: existing_runs.newest(one, self.lock, self.results, here, _answers) for pair, one in tried.items()
        }
        return [pair for pair, run in answers.items() if run is not None and run.record.outcome in _FINDINGS]

    def reports(self) -> list[RunSpec]:
        """A run of each scenario that it serves, under the published load."""
        return self._runs(REPORT, self._scenarios())

    def counts(self) -> list[RunSpec]:
        """A count of each scenario that it serves."""
        return self._runs(COUNT, self._scenarios())

    def missing(self, runs: Sequence[RunSpec]) -> list[RunSpec]:
        """The runs that are not there yet."""
        return self._missing(runs, existing_runs.is_ok)

    def campaigns(self, system: System) -> list[Campaign]:
        """The pairs, all of them at once under the profile that joins them to the scenario's campaign."""
        before = [one for one in self.suite.releases if Version(one.version) < Version(self.release.version)][-_BEFORE:]
        arms = [request.resolved(self.suite, one.version, system) for one in before] + [self._arm(system)]
        versions = {arm.release.version for arm in arms}
        groups: dict[tuple[str, str], list[str]] = {}
        for engine, flow in self._scenarios():
            if versions <= {*self.suite.serving(engine, flow)}:
                groups.setdefault((engine, self._profile(engine, flow)), []).append(flow)
        return [
            request.planned(
                self.suite, Selection(engines=(engine,), flows=tuple(flows), profile=profile), arms, neighbours=True
            )
            for (engine, profile), flows in groups.items()
        ]

    def rounds(self, campaigns: Sequence[Campaign], budget_s: float) -> int:
        """So many rounds of the pairs as the budget leaves; UsageError when these are too few for a verdict."""
        alone_s = sum(spec.expected_s for spec in [*self.trials(), *self.reports(), *self.counts()])
        round_s = sum(one.round_s * len(one.scenarios) for one in campaigns)
        fewest = intervals.fewest_rounds(LEVEL)
        if not campaigns or budget_s >= alone_s + ROUNDS * round_s:
            return ROUNDS
        rounds = int((budget_s - alone_s) / round_s)
        if rounds < fewest:
            needed_s = alone_s + fewest * round_s
            raise UsageError(
                f"the budget of {budget_s / 60:.0f} minutes is too short: the runs and the fewest rounds that allow a "
                f"verdict, {fewest}, take {needed_s / 60:.0f}",
                then=f"repeat this command with --budget {needed_s / 60 + 1:.0f}m",
            )
        return rounds

    def made(self, requested: Campaign) -> dict[str, int]:
        """How many rounds of each pair and scenario are recorded, by the name of the series."""
        return existing_rounds.made(self.results, requested, machine.describe())

    def _scenarios(self) -> list[tuple[str, str]]:
        """Engine and flow of those that it serves, as far as is known."""
        unserved = self.unserved()
        return [
            (one.engine, one.flow)
            for one in self.suite.scenarios
            if self.release.version in self.suite.serving(one.engine, one.flow)
            and (one.engine, one.flow) not in unserved
        ]

    def _runs(self, profile: str, pairs: Sequence[tuple[str, str]]) -> list[RunSpec]:
        """One of each engine and flow, of engines that the release has."""
        version, engines = self.release.version, {one.name: one for one in self.suite.engines}
        targets = [
            Target(release=self.release, engine=engines[engine], flow=flows.find(flow), version=version)
            for engine, flow in pairs
            if self.suite.has_engine(self.release, engines[engine])
        ]
        return list(plan.of_targets(self.suite, targets, profile=profile, python=None, rounds=1).runs)

    def _missing(self, runs: Sequence[RunSpec], counts: Counts) -> list[RunSpec]:
        if self.lock is None:
            return list(runs)
        known, here = {self.release.version: self.lock}, machine.describe()
        return existing_runs.missing(self.suite, runs, self.results, here, known, counts)

    def _arm(self, system: System) -> Arm:
        """With an empty lock while there is none: enough for a plan."""
        version = self.release.version
        if self.lock is not None:
            return request.resolved(self.suite, version, system)
        lock = Lock(path=locks.of_release(self.suite, self.release).path, digest="", requirements=())
        return Arm(release=self.release, version=version, lock=lock, about=f"promptflow {version}")

    def _profile(self, engine: str, flow: str) -> str:
        """The counterpart of the profile under which the scenario has most releases."""

        def releases(profile: str) -> int:
            found = run_directories(self.results, profile=profile, scenario=f"{engine}-{flow}")
            return len({directory.parts[-3] for directory in found} & {one.version for one in self.suite.releases})

        return AT_ONCE[max(AT_ONCE, key=releases)]
