"""The gate-trials verb: recorded trials are judged again; nothing is built or measured."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.analysis.run_reader import Run
from scripts.campaign import counted_gate, runner
from scripts.campaign.counted_gate import Judged
from scripts.commands import gate_trials, trial_options
from scripts.config.errors import InvalidMeasurementError, NothingMeasuredError
from scripts.config.load_profiles import DUET
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem
from scripts.inference import paired_rounds
from scripts.measure import session
from scripts.measure.session import Options
from scripts.records import archives
from scripts.records.storage import run_directories
from scripts.report.tables.formatting import Markdown
from scripts.selftest import gate_simulation, recorded_gates
from scripts.selftest.gate_trials import CANDIDATES
from tests.fakes import stage as stages
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

RELEASE = gate_trials.RELEASE
LABELS = {one.name: f"{RELEASE}+{number:08x}" for number, one in enumerate(CANDIDATES)}


def built(*_arguments: object) -> dict[str, Arm]:
    """Candidates without wheels."""
    return {name: stages.arm(label) for name, label in LABELS.items()}


def name(candidate: str, number: int) -> str:
    """The archive of a trial."""
    return f"{candidate}-{LABELS[candidate]}-{number:02}.tar.xz"


def trials() -> dict[str, list[Run]]:
    """Two trials of the unchanged candidate and one of cpu-2, each six rounds, by archive."""
    cpu = {"cpu_per_request_ms": [[5.0, 5.1, 5.0, 5.1, 5.0, 5.1], [5.5, 5.6, 5.5, 5.6, 5.5, 5.6]]}
    answers = {"first_answer_ms": [[300.0, 310.0] * 3] * 2}
    return {
        name("unchanged", 1): rounds("unchanged", answers, first=10),
        name("cpu-2", 1): rounds("cpu-2", cpu | answers, first=30),
        name("unchanged", 2): rounds("unchanged", cpu | answers, first=50),
    }


def rounds(candidate: str, figures: Mapping[str, Sequence[Sequence[float]]], first: int) -> list[Run]:
    """Six rounds of a trial, of which the first has this number."""
    labels = (RELEASE, LABELS[candidate])
    return campaign(labels, 6, figures, name=f"{first:012x}", first=first, profile=DUET)


@pytest.fixture
def _no_bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Candidates without wheels, counts that are always there, and nothing that could measure."""
    monkeypatch.setattr(trial_options, "built", built)
    monkeypatch.setattr(gate_trials, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(gate_simulation, "tables", lambda: Markdown("(simulated)"))
    monkeypatch.setattr(counted_gate, "judge", lambda *_args, **_of: [])
    monkeypatch.setattr(counted_gate, "recorded", lambda *_args, **_of: [])
    monkeypatch.setattr(gate_trials, "CANDIDATES", [one for one in CANDIDATES if not one.counts_only])
    monkeypatch.setattr(runner, "measure", lambda *_args: pytest.fail("measured"))
    monkeypatch.setattr(session, "SCRATCH", tmp_path / "scratch")


@pytest.fixture
def _records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _no_bench: None) -> None:
    """Three trials, whose archives hold what `trials` says."""
    made = trials()
    for file in made:
        (tmp_path / "gate-trials").mkdir(exist_ok=True)
        (tmp_path / "gate-trials" / file).touch()
    monkeypatch.setattr(archives, "unpacked", contextlib.nullcontext)
    monkeypatch.setattr(recorded_gates, "machine", lambda _archive: synthetic_runs.MACHINE)
    monkeypatch.setattr(recorded_gates, "campaigns", lambda file, **_of: paired_rounds.pair(made.get(file.name, [])))


@pytest.mark.usefixtures("_records")
def test_recorded_trials_are_judged(tmp_path: Path) -> None:
    """Each archive is a trial of its candidate, and the unchanged ones are resampled."""
    assert gate_trials.main(["--from-records", "--results", str(tmp_path)]) == 0
    page = (tmp_path / "gate-trials.md").read_text(encoding="utf-8")
    assert "- **Worse candidates: 1 of 1 caught.**" in page
    assert "- **Unchanged candidates: 1 of 2 passed, 1 false alarms.**" in page
    assert "12 recorded rounds of 2 campaigns" in page


@pytest.mark.usefixtures("_records")
def test_trial_without_counts_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that lacks the counts is no trial, and no reason to leave the trial out in silence."""

    def none(*_args: object, **_of: object) -> list[Judged]:
        raise InvalidMeasurementError("no valid count", then="-")

    monkeypatch.setattr(counted_gate, "recorded", none)
    with pytest.raises(InvalidMeasurementError, match=f"{re.escape(name('unchanged', 1))}: no valid count"):
        gate_trials.main(["--from-records", "--results", str(tmp_path)])


@pytest.mark.usefixtures("_no_bench")
def test_no_trial(tmp_path: Path) -> None:
    """Without a recorded trial there is no page, and the error says how to make some."""
    with pytest.raises(NothingMeasuredError, match="no trial was made"):
        gate_trials.main(["--from-records", "--results", str(tmp_path)])


@pytest.mark.usefixtures("_records")
def test_no_time_judges_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the time is over no trial is begun, and those that are recorded are on the page, also those after a gap."""
    (tmp_path / "gate-trials" / name("unchanged", 1)).unlink()
    monkeypatch.setattr(gate_trials, "RealSystem", Clock)
    assert gate_trials.main(["--budget", "1s", "--results", str(tmp_path)]) == 0
    page = (tmp_path / "gate-trials.md").read_text(encoding="utf-8")
    assert "- **Worse candidates: 1 of 1 caught.**" in page
    assert "- **Unchanged candidates: 0 of 1 passed, 1 false alarms.**" in page


@pytest.mark.usefixtures("_records")
def test_only_chooses_what_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded trials of the other candidates stay on the page, and are resampled."""
    monkeypatch.setattr(gate_trials, "_make", lambda _bench, candidate, _number: made.append(candidate.name))
    made: list[str] = []
    assert gate_trials.main(["--only", "cpu-2", "--results", str(tmp_path)]) == 0
    assert made == ["cpu-2"] * 5
    page = (tmp_path / "gate-trials.md").read_text(encoding="utf-8")
    assert "- **Unchanged candidates: 1 of 2 passed, 1 false alarms.**" in page
    assert "12 recorded rounds of 2 campaigns" in page


class Clock(RealSystem):
    """A system on which an hour passes at every look."""

    def __init__(self) -> None:
        self.hours = 0

    def monotonic(self) -> float:
        """The time, in seconds."""
        self.hours += 1
        return 3600.0 * self.hours


@pytest.mark.usefixtures("_no_bench")
def test_trial_is_archived_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds go to a scratch directory, stay there when a trial is stopped, and end in one file."""
    made = trials()[name("cpu-2", 1)]
    scratch = tmp_path / "scratch" / "gate-trials" / name("cpu-2", 1).removesuffix(".tar.xz")

    def half(_requested: object, _rule: object, options: Options, _system: object) -> None:
        assert options.results == scratch
        for run in made[:6]:
            synthetic_runs.write(options.results, run.record)
        raise KeyboardInterrupt

    def rest(_requested: object, _rule: object, options: Options, _system: object) -> None:
        for run in made[6:]:
            synthetic_runs.write(options.results, run.record)

    monkeypatch.setattr(recorded_gates, "campaigns", lambda *_args, **_of: paired_rounds.pair(made))
    monkeypatch.setattr(runner, "require_whole", lambda *_args: None)
    monkeypatch.setattr(gate_trials, "in_order", lambda chosen: [(0, one) for one in chosen])
    words = ["--only", "cpu-2", "--results", str(tmp_path)]
    monkeypatch.setattr(runner, "measure", half)
    with pytest.raises(KeyboardInterrupt):
        gate_trials.main(words)
    assert not (tmp_path / "gate-trials").exists()
    monkeypatch.setattr(runner, "measure", rest)
    assert gate_trials.main(words) == 0
    assert not scratch.exists()
    (file,) = (tmp_path / "gate-trials").iterdir()
    assert file.name == name("cpu-2", 1)
    archives.unpack(file, tmp_path / "unpacked")
    assert len(run_directories(tmp_path / "unpacked")) == len(made)
    monkeypatch.setattr(runner, "measure", lambda *_args: pytest.fail("measured again"))
    assert gate_trials.main(words) == 0


@pytest.mark.usefixtures("_no_bench")
@pytest.mark.parametrize("content", [b"damaged", None])
def test_archive_that_is_no_trial_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A damaged archive, and one of another candidate, end with the file and what to type."""
    if content is None:
        for run in campaign((RELEASE, LABELS["wait-1"]), 6, name="d" * 12, profile=DUET):
            synthetic_runs.write(tmp_path / "other", run.record)
        content = archives.packed(tmp_path / "other")
    file = tmp_path / "gate-trials" / name("cpu-2", 1)
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(
        InvalidMeasurementError, match=f"{re.escape(file.name)}: (it cannot be unpacked|no round of 1.18.5)"
    ) as caught:
        gate_trials.main(["--from-records", "--only", "cpu-2", "--results", str(tmp_path)])
    assert f"git checkout -- {file}" in caught.value.then
