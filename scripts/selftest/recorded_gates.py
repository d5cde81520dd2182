"""The campaigns of gate trials among the records, found by the releases that they compare."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from scripts.analysis import run_reader
from scripts.inference import paired_rounds
from scripts.inference.paired_rounds import PairedRounds
from scripts.records.storage import RecordError, run_directories


def campaigns(results: Path, *, profile: str, engine: str, flow: str) -> list[PairedRounds]:
    """All that can be paired, with their whole rounds, oldest first."""
    directories = run_directories(results, profile=profile, scenario=f"{engine}-{flow}")
    runs = [run for _, run in run_reader.each(directories) if not isinstance(run, RecordError)]
    found, _ = paired_rounds.pair_each(run for run in runs if run.record.requested.campaign)
    return sorted((one for one in found if one.rounds), key=lambda one: one.rounds[0].round_id)


def between(found: Sequence[PairedRounds], release: str, candidates: Collection[str]) -> list[PairedRounds]:
    """Those of a release against one of these candidates, by label; of the release itself it is an A/A campaign."""
    pairs = [[release, candidate] for candidate in candidates]
    return [one for one in found if list(one.releases.values()) in pairs]


def as_the_newest(found: Sequence[PairedRounds]) -> list[PairedRounds]:
    """Those under the same conditions as the newest: another machine or load has other noise."""
    prints = [one.fingerprint for one in found]
    return [one for one, fingerprint in zip(found, prints, strict=True) if fingerprint == prints[-1]]
