"""Counts the work of arms, as many processes of each as wanted, for the verbs gate, attribute and find.

A count does not move with the load or the speed of a machine. So it needs no round and no campaign: counts that are
recorded already, under the same conditions, are used like new ones, and all cores count at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.campaign import existing_runs, plan_runs
from scripts.config.errors import InvalidMeasurementError, SuiteError
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments.candidates import Arm
from scripts.host import machine
from scripts.host.process import System
from scripts.inference import counted, gate_defaults
from scripts.inference.counted import ProcessNoise
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import BASELINE, PairedRounds, Round
from scripts.measure import session
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.records.schema import Machine
from scripts.records.storage import run_directories

METRIC = gate_defaults.INSTRUCTIONS
_ENOUGH = 4  # degrees of freedom, from which on a scenario's own noise is used, and not that of all


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedArms:
    """The counts of one scenario."""

    paired: PairedRounds  # by number of the process; no campaign, and no round that machines shared
    metric: str  # name of the counted metric
    noise: ProcessNoise | None  # of a process; None where no release has two counts yet

    def values(self, arm: int) -> list[float]:
        """The counts of an arm, from 1."""
        return [value for run in self.paired.runs(arm) if (value := run.values[self.metric]) is not None]

    @property
    def known_noise(self) -> ProcessNoise | None:
        """Of a process; that of these arms where no other release tells it, None with one process of each."""
        return self.noise or counted.process_noise([self.values(arm) for arm in self.paired.arms])

    def change(self, baseline: int, candidate: int) -> Interval | None:
        """From one arm to another, as log ratio; None where the noise is not known."""
        known = self.known_noise
        return counted.difference(self.values(baseline), self.values(candidate), known) if known else None


def measure(
    suite: Suite, requested: Campaign, processes: int, options: session.Options, system: System, metric: str = METRIC,
    noise_of: Path | None = None,
) -> list[CountedArms]:  # fmt: skip
    """Count what is not recorded yet; ValgrindError without a valgrind that counts.

    `noise_of`: the results directory whose counts tell the noise of a process, if not the one that is written.

    InvalidMeasurementError, or why a server failed, when an arm has no valid count.
    """
    locks = {arm.release.version: arm.lock for arm in requested.arms}
    wanted = [
        _spec(requested, scenario, arm, number)
        for number in range(1, processes + 1)
        for scenario in requested.scenarios
        for arm in requested.arms
    ]
    counting = replace(options, jobs=machine.cores(), quiet=None)
    with plan_runs.opened(suite, wanted, locks, counting, system) as maker:
        here = maker.machine()
        missing = existing_runs.missing(suite, wanted, options.results, here, locks)
        if missing:
            _make(maker, missing)
        return recorded(requested, processes, options.results, metric, noise_of, here)


def recorded(
    requested: Campaign, processes: int, results: Path, metric: str = METRIC, noise_of: Path | None = None,
    here: Machine | None = None,
) -> list[CountedArms]:  # fmt: skip
    """The same of what is recorded, which counts nothing; `here`: the machine of whose kind it is, else this one."""
    found = here or machine.describe()
    return [
        CountedArms(
            paired=_paired(requested, scenario, processes, results, found),
            metric=metric,
            noise=noise(noise_of or results, scenario, metric),
        )
        for scenario in requested.scenarios
    ]


def expected_s(requested: Campaign, processes: int) -> float:
    """Estimated wall time on all cores, if nothing is recorded."""
    spec = _spec(requested, requested.scenarios[0], requested.arms[0], 1)
    runs = processes * len(requested.scenarios) * len(requested.arms)
    return -(-runs // machine.cores()) * spec.expected_s


def _spec(requested: Campaign, scenario: CampaignScenario, arm: Arm, number: int) -> RunSpec:
    return RunSpec(
        target=requested.target(scenario, arm),
        profile=requested.profile,
        python=requested.python_of(arm),
        round=number,
        counting=requested.counting,
    )


def _make(maker: plan_runs.Maker, specs: list[RunSpec]) -> None:
    """Make the runs; the error of the first that failed."""
    done = maker.make(Plan(runs=tuple(specs)))
    errors: list[SuiteError] = [run.error for run in done if run.error is not None]
    if errors:
        raise errors[0]


def _paired(
    requested: Campaign, scenario: CampaignScenario, processes: int, results: Path, here: Machine
) -> PairedRounds:  # fmt: skip
    whole = []
    for number in range(1, processes + 1):
        runs = {}
        for place, arm in enumerate(requested.arms, BASELINE):
            run = existing_runs.newest(_spec(requested, scenario, arm, number), arm.lock, results, here)
            if run is not None:
                runs[place] = run
        if len(runs) == len(requested.arms):
            whole.append(Round(round_id=str(number), runs=runs))
    if not whole:
        raise InvalidMeasurementError(
            f"no valid count of {scenario.name} for each of {', '.join(arm.release.version for arm in requested.arms)}",
            then="repeat this command with --keep-logs, then read the logs",
        )
    return PairedRounds(
        campaign="", engine=scenario.engine.name, flow=scenario.flow.name,
        arms=tuple(range(BASELINE, len(requested.arms) + 1)), rounds=tuple(whole), excluded=(),
    )  # fmt: skip


def noise(results: Path, scenario: CampaignScenario, metric: str) -> ProcessNoise | None:
    """How counts vary from process to process of one release: of this scenario if it has enough, else of all."""
    own = f"{scenario.engine.name}-{scenario.flow.name}"
    for one in (own, "*"):
        found = counted.process_noise(_processes(run_directories(results, profile=COUNT, scenario=one), metric))
        if found is not None and (found.freedom >= _ENOUGH or one == "*"):
            return found
    return None


def _processes(directories: Iterable[Path], metric: str) -> list[list[float]]:
    """The valid counts of each release, scenario and lock."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for _, run in run_reader.each(directories):
        if isinstance(run, Run) and run.outcome == "ok" and (value := run.values[metric]):
            requested, digests = run.record.requested, run.record.digests
            key = (requested.release, requested.engine, requested.flow, digests.lock, digests.flow, digests.profile)
            groups.setdefault((*key, run.record.python), []).append(value)
    return list(groups.values())
