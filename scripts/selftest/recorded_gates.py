"""The campaigns of gate trials, found by the releases that they compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.analysis import run_reader
from scripts.inference import paired_rounds
from scripts.inference.paired_rounds import PairedRounds
from scripts.records.schema import Machine
from scripts.records.storage import RecordError, read_record, run_directories


def campaigns(results: Path, *, profile: str, engine: str, flow: str) -> list[PairedRounds]:
    """All that can be paired, with their whole rounds, oldest first."""
    directories = run_directories(results, profile=profile, scenario=f"{engine}-{flow}")
    runs = [run for _, run in run_reader.each(directories) if not isinstance(run, RecordError)]
    found, _ = paired_rounds.pair_each(run for run in runs if run.record.requested.campaign)
    return sorted((one for one in found if one.rounds), key=began)


def machine(results: Path) -> Machine:
    """That of the first run; RecordError where there is none."""
    for directory in run_directories(results):
        return read_record(directory).machine
    raise RecordError("it has no run")


def began(campaign: PairedRounds) -> str:
    """When, to sort by."""
    return campaign.rounds[0].round_id


def between(found: Sequence[PairedRounds], release: str, candidate: str) -> list[PairedRounds]:
    """Those of a release against this candidate, by label; of the release itself these are A/A campaigns."""
    return [one for one in found if list(one.releases.values()) == [release, candidate]]


def as_the_newest(found: Sequence[PairedRounds]) -> list[PairedRounds]:
    """Those under the same conditions as the newest: another machine or load has other noise."""
    prints = [one.fingerprint for one in found]
    return [one for one, fingerprint in zip(found, prints, strict=True) if fingerprint == prints[-1]]
