"""The gate-trials verb: recorded trials are judged again; nothing is built or measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.campaign import counted_gate, runner
from scripts.campaign.counted_gate import Judged
from scripts.commands import gate_trials, trial_options
from scripts.config.errors import InvalidMeasurementError, NothingMeasuredError
from scripts.environments.candidates import Arm
from scripts.inference import paired_rounds
from scripts.report.tables.formatting import Markdown
from scripts.selftest import gate_simulation, recorded_gates
from scripts.selftest.gate_trials import CANDIDATES
from tests.fakes import stage as stages
from tests.fakes.synthetic_runs import campaign

RELEASE = gate_trials.RELEASE
LABELS = {one.name: f"{RELEASE}+{number:08x}" for number, one in enumerate(CANDIDATES)}


def built(*_arguments: object) -> dict[str, Arm]:
    """Candidates without wheels."""
    return {name: stages.arm(label) for name, label in LABELS.items()}


@pytest.fixture
def _records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trials of the unchanged candidate and one of cpu-2, each six rounds, and nothing that could measure."""
    cpu = {"cpu_per_request_ms": [[5.0, 5.1, 5.0, 5.1, 5.0, 5.1], [5.5, 5.6, 5.5, 5.6, 5.5, 5.6]]}
    answers = {"first_answer_ms": [[300.0, 310.0] * 3] * 2}
    runs = [
        *campaign((RELEASE, LABELS["unchanged"]), 6, answers, name="first", first=10),
        *campaign((RELEASE, LABELS["cpu-2"]), 6, cpu | answers, name="second", first=30),
        *campaign((RELEASE, LABELS["unchanged"]), 6, cpu | answers, name="third", first=50),
    ]
    found = paired_rounds.pair(runs)
    monkeypatch.setattr(recorded_gates, "campaigns", lambda _results, **_of: found)
    monkeypatch.setattr(trial_options, "built", built)
    monkeypatch.setattr(gate_trials, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(gate_simulation, "tables", lambda: Markdown("(simulated)"))
    monkeypatch.setattr(counted_gate, "recorded", lambda *_args, **_of: [])
    monkeypatch.setattr(gate_trials, "CANDIDATES", [one for one in CANDIDATES if not one.counts_only])
    monkeypatch.setattr(runner, "measure", lambda *_args: pytest.fail("measured"))


@pytest.mark.usefixtures("_records")
def test_recorded_trials_are_judged(tmp_path: Path) -> None:
    """Each campaign is a trial of its candidate, and the unchanged ones are resampled."""
    assert gate_trials.main(["--from-records", "--results", str(tmp_path)]) == 0
    page = (tmp_path / "gate-trials.md").read_text(encoding="utf-8")
    assert "- **Worse candidates: 1 of 1 caught.**" in page
    assert "- **Unchanged candidates: 1 of 2 passed, 1 false alarms.**" in page
    assert "12 recorded rounds of 2 campaigns" in page


@pytest.mark.usefixtures("_records")
def test_trial_without_counts_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of which no counts are recorded, as those of another machine, are no whole trial."""

    def none(*_args: object, **_of: object) -> list[Judged]:
        raise InvalidMeasurementError("no valid count", then="-")

    monkeypatch.setattr(counted_gate, "recorded", none)
    with pytest.raises(NothingMeasuredError, match="no trial was made"):
        gate_trials.main(["--from-records", "--results", str(tmp_path)])
