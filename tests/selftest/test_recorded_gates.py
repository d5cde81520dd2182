"""The campaigns of gate trials among the records."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.config.matrix import ROOT
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL
from scripts.inference.paired_rounds import PairedRounds
from scripts.records import archives
from scripts.records.schema import RunRecord
from scripts.records.storage import RecordError, run_directories
from scripts.selftest import recorded_gates
from tests.fakes.synthetic_runs import campaign

RELEASE, UNCHANGED = "1.12.0", "1.12.0+6afe6459"


def read(monkeypatch: pytest.MonkeyPatch, *runs: Run) -> list[PairedRounds]:
    """The campaigns among these runs."""
    monkeypatch.setattr(run_reader, "each", lambda _directories: ((Path("run"), run) for run in runs))
    return recorded_gates.campaigns(Path("results"), profile="compare", engine="fastapi", flow="static_async")


def slower_machine(record: RunRecord) -> RunRecord:
    """The record, as if made on another machine."""
    return dataclasses.replace(record, machine=dataclasses.replace(record.machine, cores=64))


def test_campaigns_of_an_unchanged_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A/A campaigns are those of a release against itself, and those of candidates go by their label."""
    found = read(
        monkeypatch,
        *campaign((RELEASE, UNCHANGED), 2, name="unchanged", first=50),
        *campaign((RELEASE, RELEASE), 2, name="aa", first=10),
        *campaign((RELEASE, "1.12.0+32c8b11d"), 2, name="slower", first=30),
    )
    assert [one.campaign for one in found] == ["aa", "slower", "unchanged"]
    assert [one.campaign for one in recorded_gates.between(found, RELEASE, RELEASE)] == ["aa"]
    assert [one.campaign for one in recorded_gates.between(found, RELEASE, UNCHANGED)] == ["unchanged"]


def test_other_conditions_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Campaigns of another machine than the newest have other noise."""
    elsewhere = campaign((RELEASE, RELEASE), 2, name="elsewhere", first=10)
    found = read(
        monkeypatch,
        *(dataclasses.replace(run, record=slower_machine(run.record)) for run in elsewhere),
        *campaign((RELEASE, RELEASE), 2, name="here", first=50),
    )
    assert [one.campaign for one in recorded_gates.as_the_newest(found)] == ["here"]
    assert recorded_gates.as_the_newest([]) == []


@pytest.mark.parametrize("archive", sorted((ROOT / "results" / "gate-trials").iterdir()), ids=lambda file: file.name)
def test_committed_trials_are_whole(archive: Path) -> None:
    """Each archive in results/ has counts of both releases, and rounds unless its candidate is judged by counts."""
    candidate, wheels, _ = archive.name.removesuffix(archives.SUFFIX).rsplit("-", 2)
    with archives.unpacked(archive) as results:
        assert recorded_gates.machine(results).cores > 0
        assert {one.parts[-3] for one in run_directories(results, profile="count")} == {"1.18.5", wheels}
        found = recorded_gates.campaigns(results, profile="duet", engine="fastapi", flow="static_async")
    if candidate.startswith("work-"):
        assert not found
    else:
        (trial,) = recorded_gates.between(found, "1.18.5", wheels)
        assert len(trial.rounds) >= intervals.fewest_rounds(LEVEL)


def test_machine_of_no_run(tmp_path: Path) -> None:
    """Without a run there is no machine."""
    with pytest.raises(RecordError, match="it has no run"):
        recorded_gates.machine(tmp_path)
