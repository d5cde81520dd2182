"""The explain-trials verb: what is recorded is judged again, and only what is missing is sampled."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from scripts.campaign import explaining
from scripts.commands import explain_trials, trial_options
from scripts.config.whole_files import write_whole
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.records import explanations
from scripts.records.explanations import TRIALS_FOLDER, Explanation
from scripts.selftest.explain_trials import CANDIDATES
from tests.fakes import stage as stages
from tests.fakes.stage import Stage
from tests.selftest.test_explain_trials import USUAL, explanation

RELEASE = explain_trials.RELEASE
LABELS = {one.name: f"{RELEASE}+{number:08x}" for number, one in enumerate(CANDIDATES)}


@pytest.fixture
def sampled(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The candidates of the trials that are sampled, in order; each takes an hour."""
    made: list[str] = []

    def measure(
        _suite: object, requested: Campaign, options: session.Options, *_more: object, folder: str
    ) -> list[Explanation]:  # fmt: skip
        label = requested.arms[1].release.version
        made.append(label)
        stage.outside.now += 3600
        after = USUAL if label == LABELS["unchanged"] else USUAL | {4: 60}
        found = _between(explanation(after), label, len(made))
        write_whole(explanations.path(options.results, found.id, folder), explanations.encode(found))
        return [found]

    monkeypatch.setattr(explaining, "measure", measure)
    monkeypatch.setattr(
        trial_options, "built", lambda *_arguments: {name: stages.arm(label) for name, label in LABELS.items()}
    )
    monkeypatch.setattr(explain_trials, "RealSystem", lambda: stage.outside)
    monkeypatch.setattr(explain_trials, "terminate_as_exception", lambda: None)
    return made


def _between(found: Explanation, label: str, number: int) -> Explanation:
    """As if it were of the release and a candidate."""
    arms = tuple(
        dataclasses.replace(arm, release=release) for arm, release in zip(found.arms, (RELEASE, label), strict=True)
    )
    return dataclasses.replace(found, id=f"20261128T{number:06}Z-0a1b2c", arms=arms)  # type: ignore[arg-type]


def page(results: Path) -> str:
    """The page that is written."""
    return (results / "explain-trials.md").read_text(encoding="utf-8")


def test_as_long_as_there_is_time(stage: Stage, sampled: list[str]) -> None:
    """The first trial of each comes first, and no trial begins after the budget."""
    assert explain_trials.main(["--budget", "150m"]) == 0
    assert sampled == list(LABELS.values())[:3]
    assert "the injected function is among the first 3 that are named in 1 of 3 trials" in page(stage.results)


def test_it_goes_on_where_it_stopped(stage: Stage, sampled: list[str]) -> None:
    """A trial that is recorded is judged again, and not sampled again."""
    explain_trials.main(["--only", "unchanged", "--budget", "90m"])
    assert len(sampled) == 2
    explain_trials.main(["--only", "unchanged"])
    assert sampled == [LABELS["unchanged"]] * 20
    assert "nothing is named in 20 of 20 trials" in page(stage.results)
    assert len(list((stage.results / TRIALS_FOLDER).iterdir())) == 20


def test_only_keeps_the_rows_of_the_others(stage: Stage, sampled: list[str]) -> None:
    """A candidate that is chosen is sampled alone, and the page has the recorded trials of all."""
    explain_trials.main(["--budget", "30m"])
    assert sampled == [LABELS[CANDIDATES[0].name]]
    explain_trials.main(["--only", "unchanged", "--budget", "30m"])
    assert sampled[1:] == [LABELS["unchanged"]]
    written = page(stage.results)
    assert re.search(r"the injected function is among the first 3 that are named in [01] of 1 trials", written)
    assert "nothing is named in 1 of 1 trials" in written


def test_dry_run(stage: Stage, sampled: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The plan names every candidate with its trials and the time of all, and samples nothing."""
    assert explain_trials.main(["--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CANDIDATES) + 1
    assert lines[-1].startswith("about ")
    assert sampled == []
    assert not stage.results.exists()
