"""The find verb: stages of three releases, until a step lies between neighbours; in a fake outside."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.campaign import counted_arms
from scripts.campaign.counted_arms import CountedArms
from scripts.commands import find
from scripts.config import matrix_file
from scripts.config.errors import EnvironmentBuildError, InvalidMeasurementError, UsageError
from scripts.config.matrix import Suite
from scripts.environments import candidates
from scripts.environments.candidates import Arm
from scripts.measure.round_plan import Campaign
from tests.campaign.test_counted_arms import arms
from tests.fakes import values
from tests.fakes.stage import Stage

RANGE = "1.11.0..1.15.0"  # five releases: two stages
CPU = ("--metric", "cpu_per_request")
SLOW = ("1.14.0", "1.15.0")


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A stage whose releases say who they are."""
    stage.outside.versions = {release.version: release.version for release in matrix_file.load().releases}
    return stage


def arguments(stage: Stage, *extra: str) -> list[str]:
    """A search in five releases with few rounds."""
    return [*stage.arguments(*CPU, *extra), "--rounds", "4"]


def test_change_is_found(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A release that uses 20 % more CPU time, and those after it, are separated from those before, in two stages."""
    stage.outside.cpu = dict.fromkeys(SLOW, (1.2,))
    assert find.main(arguments(stage, RANGE)) == 0
    out = capsys.readouterr().out
    assert re.search(r"\*\*CPU per request rose with 1\.14\.0\*\*: \+(19|20)\.\d %", out)
    assert "`nox -s attribute -- 1.13.0 --as-of 2024-07-15 --as-of 2024-08-09 --to 1.14.0 --engine fastapi" in out
    assert "1.11.0, 1.13.0, 1.15.0" in out
    assert "1.13.0, 1.14.0, 1.15.0" in out
    assert stage.outside.runs == 2 * 3 * 4


def test_two_at_once(stage: Stage) -> None:
    """A stage of three releases is not loaded two at a time."""
    with pytest.raises(UsageError, match="profile duet loads two releases at the same time") as refused:
        find.main([*CPU, "--flow", str(stage.flow()), "--engine", "fastapi", "--profile", "duet", RANGE])
    assert refused.value.then == "repeat this command with --profile compare"
    assert stage.outside.events == []


def test_repeated_search_measures_nothing(stage: Stage) -> None:
    """The same command again finds its runs, and makes none."""
    stage.outside.cpu = dict.fromkeys(SLOW, (1.2,))
    find.main(arguments(stage, RANGE))
    runs = stage.outside.runs
    assert find.main(arguments(stage, RANGE)) == 0
    assert stage.outside.runs == runs


def test_interrupted_search_goes_on(stage: Stage) -> None:
    """A search that is interrupted in its second stage keeps the first."""
    stage.outside.cpu = dict.fromkeys(SLOW, (1.2,))
    stage.outside.ends_at_run = 14
    with pytest.raises(KeyboardInterrupt):
        find.main(arguments(stage, RANGE))
    stage.outside.ends_at_run = None
    assert find.main(arguments(stage, RANGE)) == 0
    assert stage.outside.runs == 24 + 2  # the first run of the second stage's first round, and the interrupted one


def test_no_change(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Where all releases are alike there is no step, and one stage is enough."""
    assert find.main(arguments(stage, RANGE)) == 0
    assert "**No change.** Between 1.11.0 and 1.15.0 it stays within the threshold" in capsys.readouterr().out
    assert stage.outside.runs == 3 * 4


def test_noise_is_no_pass(stage: Stage) -> None:
    """Where noise hides the change, the search ends with exit code 6 and says what to do."""
    stage.outside.cpu = {"1.13.0": (0.5, 1.7, 0.8, 1.3, 2.0)}
    with pytest.raises(InvalidMeasurementError, match="noise hides whether CPU per request changed") as caught:
        find.main(arguments(stage, RANGE))
    assert "--rounds" in str(caught.value)


def test_dry_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints stages and time, and starts nothing."""
    assert find.main([*arguments(stage, RANGE), "--dry-run"]) == 0
    assert "5 releases from 1.11.0 to 1.15.0: 2 stages of 4 rounds, about" in capsys.readouterr().out
    assert stage.outside.events == []


def test_whatever_cannot_be_measured_is_refused_before(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release in the middle of the range whose lock is missing is refused by the dry run, and before any stage."""
    resolve = candidates.resolve

    def refuse(suite: Suite, spec: str, **options: Any) -> Arm:  # noqa: ANN401 - as the real one takes them
        if spec == "1.14.0":
            raise EnvironmentBuildError("there is no lock for 1.14.0", then="nox -s lock -- 1.14.0")
        return resolve(suite, spec, **options)

    monkeypatch.setattr(candidates, "resolve", refuse)
    for extra in ([], ["--dry-run"]):
        with pytest.raises(EnvironmentBuildError):
            find.main([*arguments(stage, RANGE), *extra])
    assert stage.outside.events == []


@pytest.mark.usefixtures("stage")
def test_releases_that_cannot_serve_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Releases without the engine are named and left out, and the scenario's engine is the default."""
    argv = ["1.8.0..1.11.0", *CPU, "--flow", "static_async", "--dry-run", "--profile", values.PROFILE.name]
    assert find.main(argv) == 0
    out, said = capsys.readouterr()
    assert "skipped, because they cannot serve static_async on fastapi: 1.8.0, 1.9.0" in said
    assert "3 releases from 1.10.0 to 1.11.0" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1.11.0", *CPU, "--flow", "static_async"], "'1.11.0' is not a range of releases"),
        (["1.11.0..9.9.9", *CPU, "--flow", "static_async"], "unknown release '9.9.9'"),
        (["1.15.0..1.11.0", *CPU, "--flow", "static_async"], "whose first release is newer than its last"),
        (["1.0.0..1.8.0", *CPU, "--flow", "flex_async"], "fewer than two releases of 1.0.0..1.8.0 serve flex_async"),
        ([RANGE, "--metric", "cpu", "--flow", "static_async"], "there is no metric 'cpu'"),
        ([RANGE, *CPU, "--flow", "nope"], "nope"),
        ([RANGE, *CPU, "--flow", "static_async", "--engine", "nope"], "nope"),
    ],
)
def test_wrong_questions(stage: Stage, words: list[str], message: str) -> None:
    """What cannot be searched is refused before anything starts, with what is wrong."""
    with pytest.raises(UsageError, match=message):
        find.main(words)
    assert stage.outside.events == []


def test_flow_of_ones_own_needs_an_engine(stage: Stage) -> None:
    """A flow that is in no scenario needs its engine named."""
    with pytest.raises(UsageError, match="is in no scenario"):
        find.main([RANGE, *CPU, "--flow", str(stage.flow())])


def test_search_by_counts(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A counted metric is searched by one process of each release, and nothing is loaded."""
    asked: list[tuple[tuple[str, ...], int]] = []

    def measure(_suite: Suite, requested: Campaign, processes: int, *_others: object) -> list[CountedArms]:
        names = tuple(arm.release.version for arm in requested.arms)
        asked.append((names, processes))
        return [arms(*([1100.0 if name in SLOW else 1000.0] * processes for name in names))]

    monkeypatch.setattr(counted_arms, "measure", measure)
    argv = ["--metric", "instructions_per_request", "--flow", str(stage.flow()), "--engine", "fastapi", RANGE]
    assert find.main([*argv, "--results", str(stage.results)]) == 0
    out = capsys.readouterr().out
    assert "**instructions per request rose with 1.14.0**: +10.0 %" in out
    assert asked == [(("1.11.0", "1.13.0", "1.15.0"), 1), (("1.13.0", "1.14.0", "1.15.0"), 1)]
    assert stage.outside.runs == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--metric", "instructions_per_request", "--profile", "compare"),
            "is a counted metric, which profile compare",
        ),
        (("--metric", "cpu_per_request", "--profile", "count"), "is a timed metric, which profile count does not give"),
        (("--metric", "cpu_per_request", "--rounds", "2"), "4 is the fewest that allows a verdict"),
    ],
)
def test_metric_and_profile_belong_together(options: tuple[str, ...], message: str) -> None:
    """A counted metric needs counts, a timed one a load, and enough rounds."""
    with pytest.raises(UsageError, match=message):
        find.main([*options, RANGE])
