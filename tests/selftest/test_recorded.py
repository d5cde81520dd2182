"""The self-test among the records: which campaigns belong to it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.config.errors import NothingMeasuredError
from scripts.records.storage import RecordError
from scripts.selftest import recorded
from scripts.selftest.recorded import RecordedSelfTest
from scripts.selftest.slowdowns import SLOWDOWNS
from tests.fakes.synthetic_runs import campaign

RELEASE = "1.12.0"
CANDIDATES = tuple(f"{RELEASE}+{number:08x}" for number in range(len(SLOWDOWNS)))
SLOWED = campaign((RELEASE, *CANDIDATES), 4, name="slowed")
AA = campaign((RELEASE, RELEASE), 4, name="aa", first=50)


def read(monkeypatch: pytest.MonkeyPatch, *runs: Run | RecordError) -> RecordedSelfTest:
    """The self-test among these runs."""
    monkeypatch.setattr(run_reader, "each", lambda _directories: ((Path("run"), run) for run in runs))
    return recorded.read(Path("results"), profile="compare", release=RELEASE, engine="fastapi", flow="static_async")


def test_each_candidate_has_its_slowdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are in the order of the slowdowns, and a run that cannot be read is left out by name."""
    found = read(monkeypatch, *SLOWED, *AA, RecordError("truncated"))
    assert [slowdown for slowdown, _ in found.slowed] == list(SLOWDOWNS)
    assert [one.paired.label(one.arm) for _, one in found.slowed] == list(CANDIDATES)
    assert [one.paired.campaign for one in found.aa_comparisons] == ["aa"]
    assert found.left_out == ("run: truncated",)


def test_a_campaign_of_mixed_conditions_keeps_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out with its name and the condition that changed, also from the error when nothing else is there."""
    first, *others = campaign((RELEASE, RELEASE), 4, name="mixed", first=70)
    machine = dataclasses.replace(first.record.machine, cores=4)
    mixed = [dataclasses.replace(first, record=dataclasses.replace(first.record, machine=machine)), *others]
    found = read(monkeypatch, *SLOWED, *AA, *mixed)
    assert [one.paired.campaign for one in found.aa_comparisons] == ["aa"]
    (why,) = found.left_out
    assert re.match(r"campaign mixed: runs .* differ in .*cores", why)
    with pytest.raises(NothingMeasuredError, match=r"A/A comparisons .*\n  - left out: campaign mixed: runs "):
        read(monkeypatch, *SLOWED, *mixed)


def test_the_newest_slowdowns_and_all_a_a_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several campaigns with slowdowns the newest counts, of A/A campaigns each."""
    newer = campaign((RELEASE, *CANDIDATES), 4, name="newer", first=90)
    again = campaign((RELEASE, RELEASE), 4, name="again", first=70)
    found = read(monkeypatch, *newer, *SLOWED, *again, *AA)
    assert {one.paired.campaign for _, one in found.slowed} == {"newer"}
    assert [one.paired.campaign for one in found.aa_comparisons] == ["aa", "again"]


def test_a_a_comparisons_on_another_python_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their noise is that of other conditions; they are named."""
    elsewhere = [
        dataclasses.replace(run, record=dataclasses.replace(run.record, python="3.12.1"))
        for run in campaign((RELEASE, RELEASE), 4, name="elsewhere", first=70)
    ]
    found = read(monkeypatch, *SLOWED, *AA, *elsewhere)
    assert [one.paired.campaign for one in found.aa_comparisons] == ["aa"]
    assert found.left_out == ("campaign elsewhere: other conditions than the slowdowns",)


@pytest.mark.parametrize(
    "others",
    [
        campaign((RELEASE, *CANDIDATES[1:]), 4),
        campaign((RELEASE, *CANDIDATES[1:], f"{RELEASE}+asof.20240626"), 4),
        campaign(("1.13.0", *CANDIDATES), 4),
        campaign((RELEASE, *CANDIDATES), 4, flow="flex_async"),
    ],
    ids=["fewer", "another lock", "another baseline", "another flow"],
)
def test_other_campaigns_are_no_slowdowns(monkeypatch: pytest.MonkeyPatch, others: list[Run]) -> None:
    """The error names what the records lack."""
    with pytest.raises(NothingMeasuredError, match="no whole round of the self-test's slowdowns "):
        read(monkeypatch, *others, *AA)


@pytest.mark.parametrize(
    "others",
    [
        campaign(("1.13.0", "1.13.0"), 4, first=50),
        campaign((RELEASE, "1.13.0"), 4, first=50),
        campaign((RELEASE,) * 3, 4, first=50),
    ],
    ids=["another release", "two releases", "three arms"],
)
def test_other_campaigns_are_no_a_a_comparisons(monkeypatch: pytest.MonkeyPatch, others: list[Run]) -> None:
    """Only the self-test's release with itself counts."""
    with pytest.raises(NothingMeasuredError, match="no whole round of the self-test's A/A comparisons "):
        read(monkeypatch, *SLOWED, *others)
