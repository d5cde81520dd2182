"""The noise of rounds that are recorded already: of the same profile, engine and flow, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.inference import gate_power, paired_rounds
from scripts.inference.power import RoundNoise
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.records.schema import Machine
from scripts.records.storage import run_directories


def of_scenario(
    results: Path, requested: Campaign, scenario: CampaignScenario, limits: Mapping[str, float], here: Machine
) -> dict[str, RoundNoise]:
    """By metric; empty without such rounds. Runs that cannot be read, and campaigns of mixed conditions, tell none."""
    directories = run_directories(
        results, profile=requested.profile.name, scenario=f"{scenario.engine.name}-{scenario.flow.name}"
    )
    runs = [run for _, run in run_reader.each(directories) if isinstance(run, Run) and _is_like(run, requested, here)]
    found, _ = paired_rounds.pair_each(run for run in runs if run.record.requested.campaign)
    return gate_power.measured(found, limits)


def _is_like(run: Run, requested: Campaign, here: Machine) -> bool:
    machine = run.record.machine
    same_machine = (machine.cpu_model, machine.cores) == (here.cpu_model, here.cores)
    return same_machine and run.record.requested.profile == requested.profile
