"""What is compared already: whole rounds among the records, made under this machine's conditions."""

from __future__ import annotations

from pathlib import Path

from scripts.analysis import run_reader
from scripts.campaign import existing_runs
from scripts.inference import paired_rounds
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure import digests
from scripts.measure.round_plan import Campaign, Series
from scripts.records.schema import Machine


def made(results: Path, requested: Campaign, here: Machine) -> dict[str, int]:
    """How many rounds of each of its series are recorded, by the name of the series; of the campaign with the most."""
    paired, _ = paired_rounds.pair_each(run_reader.read_profile(results, requested.profile.name).runs)
    return {
        series.name: max((len(one.rounds) for one in paired if one.rounds and _is_of(one, series, here)), default=0)
        for series in requested.series
    }


def _is_of(one: PairedRounds, series: Series, here: Machine) -> bool:
    """Whether these are rounds of that series, made as this machine would."""
    if (one.engine, one.flow, tuple(one.releases.values())) != (
        series.scenario.engine.name, series.scenario.flow.name, series.releases,
    ):  # fmt: skip
        return False
    records = [one.rounds[0].runs[arm].record for arm in one.arms]
    specs = [spec for load in series.round("", 1) for spec in load]  # the first round has the arms in their order
    ours = [digests.of(spec, arm.lock) for spec, arm in zip(specs, series.campaign.arms, strict=True)]
    return all(
        record.digests.lock == of.lock and existing_runs.made_as_here(record, spec, of, here)
        for record, spec, of in zip(records, specs, ours, strict=True)
    )
