"""The campaigns of gate trials: each trial's rounds in an archive, and A/A campaigns among the records."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.analysis import run_reader
from scripts.inference import paired_rounds
from scripts.inference.paired_rounds import PairedRounds
from scripts.records import archives
from scripts.records.storage import RecordError, run_directories


def campaigns(results: Path, *, profile: str, engine: str, flow: str) -> list[PairedRounds]:
    """All that can be paired, with their whole rounds, oldest first."""
    directories = run_directories(results, profile=profile, scenario=f"{engine}-{flow}")
    runs = [run for _, run in run_reader.each(directories) if not isinstance(run, RecordError)]
    found, _ = paired_rounds.pair_each(run for run in runs if run.record.requested.campaign)
    return sorted((one for one in found if one.rounds), key=began)


def archived(
    archive: Path, release: str, candidate: str, *, profile: str, engine: str, flow: str
) -> list[PairedRounds]:
    """Those of an archive between these two, at least one; their timelines cannot be read later.

    RecordError says what is wrong with the archive.
    """
    with tempfile.TemporaryDirectory() as results:
        archives.unpack(archive, Path(results))
        found = between(campaigns(Path(results), profile=profile, engine=engine, flow=flow), release, candidate)
    if not found:
        raise RecordError(f"it has no rounds of {candidate} against {release}")
    return found


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
