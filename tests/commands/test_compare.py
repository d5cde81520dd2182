"""The compare verb: what may be compared, the plan, and the page; in a fake outside."""

from __future__ import annotations

import re

import pytest

from scripts.campaign import request
from scripts.commands import cli, compare
from scripts.config import matrix_file
from scripts.config.errors import NotComparableError, NothingMeasuredError, UsageError, VerificationError
from tests.fakes.stage import BASELINE, CANDIDATE, DUET, Stage

PAIR = (BASELINE, CANDIDATE)


def test_page(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has its title, verdicts for every metric, the difference of the locks, and the rounds."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert compare.main(stage.arguments(*PAIR, "--rounds", "4")) == 0
    out = capsys.readouterr().out
    page = out[out.index("# ") :]
    assert page.startswith("# promptflow 1.12.0+candidate against promptflow 1.12.0\n")
    assert "- **regression** in CPU per request +5.0 % (fastapi example: 1.12.0+candidate against 1.12.0)." in page
    assert "promptflow 1.12.0 to 1.12.0+candidate" in page
    assert "4 interleaved rounds of profile `short`" in page


def test_three_arms(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """More than two are all compared with the first, each by its name."""
    stage.outside.cpu = {"1.12.0+third": (0.9,)}
    assert compare.main(stage.arguments(*PAIR, "1.12.0+third", "--rounds", "4")) == 0
    out = capsys.readouterr().out
    assert "## fastapi example: 1.12.0+candidate against 1.12.0" in out
    assert "## fastapi example: 1.12.0+third against 1.12.0" in out


def test_rounds_still_needed(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict that is open says about how many rounds it needs."""
    stage.outside.cpu = {CANDIDATE: (1.0, 1.06)}
    assert compare.main(stage.arguments(*PAIR, "--rounds", "4")) == 0
    out = capsys.readouterr().out
    assert re.search(r"\| +inconclusive \|", out)
    assert re.search(r"- Rounds that would decide, in all about: .*CPU per request \d+[,.]", out)


def test_against_itself(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """--aa compares a release with itself."""
    assert compare.main(stage.arguments(BASELINE, "--aa", "--rounds", "4")) == 0
    assert "## fastapi example: 1.12.0 (again) against 1.12.0" in capsys.readouterr().out
    assert {record.requested.arm for record in stage.records()} == {1, 2}


def test_range(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """FIRST..LAST stands for all releases between, in version order."""
    assert compare.main(stage.arguments("1.11.0..1.14.0", "--dry-run")) == 0
    arms = [line for line in capsys.readouterr().out.splitlines() if line.startswith("arm ")]
    assert arms == [f"arm {n}: promptflow {v}" for n, v in enumerate(("1.11.0", "1.12.0", "1.13.0", "1.14.0"), 1)]


def test_backward_range(stage: Stage) -> None:
    """A range whose first release is the newer one is refused, and the next step names it the right way round."""
    with pytest.raises(UsageError, match="newer than its last") as refused:
        compare.main(stage.arguments("1.14.0..1.11.0", "--dry-run"))
    assert refused.value.then == "repeat this command with 1.11.0..1.14.0"


@pytest.mark.parametrize(
    ("text", "message", "then"),
    [
        ("1.98.0..1.99.0", r"unknown release '1\.98\.0'", "nox -l"),
        ("1.17.2..", r"is not a range FIRST\.\.LAST", "repeat this command with 1.17.2..1.18.5"),
        ("..1.17.2", r"is not a range FIRST\.\.LAST", "repeat this command with 1.0.0..1.17.2"),
        ("1.17.2...1.18.5", r"is not a range FIRST\.\.LAST", "repeat this command with 1.17.2..1.18.5"),
    ],
)
def test_what_is_no_range(stage: Stage, text: str, message: str, then: str) -> None:
    """What looks like a range and is none is answered as one, with a range that is."""
    with pytest.raises(UsageError, match=message) as refused:
        compare.main(stage.arguments(text, "--dry-run"))
    assert refused.value.then == then


@pytest.mark.parametrize("text", ["../promptflow", "git+https://git.example/a..b", "..", "1.12.0"])
def test_path_with_dots_is_no_range(text: str) -> None:
    """A path or an address that holds two dots is a candidate."""
    assert request.expanded(matrix_file.load(), text) == [text]


def test_range_with_an_unknown_end(stage: Stage) -> None:
    """A range of which one end is no release is refused by that end."""
    with pytest.raises(UsageError, match=r"unknown release '1\.99\.0'"):
        compare.main(stage.arguments("1.11.0..1.99.0", "--dry-run"))


def test_unlike_servers(stage: Stage) -> None:
    """Releases whose own command fixes the workers are not compared with others under a profile with others."""
    with pytest.raises(NotComparableError, match=r"1\.9\.0 serves with 8 workers of 1 threads and 1\.10\.0 with 1"):
        compare.main(["1.9.0", "1.10.0", "--engine", "flask", "--flow", str(stage.flow())])


def test_unlike_servers_one_after_the_other(stage: Stage) -> None:
    """The profile that is suggested measures as the refused one would have."""
    argv = ["1.9.0", "1.10.0", "--engine", "flask", "--flow", str(stage.flow())]
    for options, profile in (([], "duet-8x1"), (["--sequential"], "compare-8x1")):
        with pytest.raises(NotComparableError) as refused:
            compare.main([*argv, *options])
        assert refused.value.then.startswith(f"repeat this command with --profile {profile}, ")


def test_at_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Two releases are loaded at once, and the page says so."""
    argv = [*PAIR, "--profile", DUET.name, "--engine", "fastapi", "--flow", str(stage.flow()), "--rounds", "4"]
    assert compare.main(argv) == 0
    assert stage.outside.runs == 4
    page = capsys.readouterr().out
    assert "4 rounds of profile `short-duet` (2 users for each of two releases at the same time, " in page
    assert "speed covariate" not in page


@pytest.mark.parametrize(
    ("targets", "pairs"),
    [
        (["1.11.0..1.14.0"], ["1 and arm 2", "2 and arm 3", "3 and arm 4", "1 and arm 4"]),
        (["1.11.0..1.12.0"], ["1 and arm 2"]),
        (["1.11.0", "1.12.0", "1.13.0"], ["1 and arm 2", "1 and arm 3"]),
        (["1.11.0", "1.12.0", "1.12.0"], ["1 and arm 2"]),
        (["1.11.0", "--aa"], ["1 and arm 2"]),
    ],
)
def test_pairs(stage: Stage, capsys: pytest.CaptureFixture[str], targets: list[str], pairs: list[str]) -> None:
    """A range is neighbours and a bridge, other releases are compared with the first, and no pair is made twice."""
    argv = [*targets, "--engine", "fastapi", "--flow", str(stage.flow()), "--dry-run"]
    assert compare.main(argv) == 0
    out = capsys.readouterr().out
    assert [line.removeprefix("at once: arm ") for line in out.splitlines() if "at once" in line] == pairs
    assert "profile duet\n" in out
    assert compare.main([*argv, "--sequential"]) == 0
    out = capsys.readouterr().out
    assert "at once" not in out
    assert "profile compare\n" in out


def test_title_of_a_range(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A range says that each release is compared with the one before."""
    argv = ["--profile", DUET.name, "--engine", "fastapi", "--flow", str(stage.flow()), "--rounds", "4"]
    with pytest.raises(VerificationError):  # the fake outside serves 1.12.0 only
        compare.main(["1.11.0..1.13.0", *argv])
    out = capsys.readouterr().out
    assert "# promptflow 1.11.0 to promptflow 1.13.0: each release against the one before, and the last" in out


def test_candidate_that_fails(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every round fails, the verb ends with the error of the run, after a page that says what was lost."""
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    with pytest.raises(VerificationError, match="not 1"):
        compare.main(stage.arguments(*PAIR, "--rounds", "4"))
    assert "was verify-failed (the server says that it is promptflow 1.11.0, not 1.12.0)" in capsys.readouterr().out


def test_dry_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints arms, scenarios and time, and starts nothing."""
    assert compare.main(stage.arguments(*PAIR, "--dry-run")) == 0
    out = capsys.readouterr().out
    assert "arm 1: promptflow 1.12.0\narm 2: promptflow 1.12.0+candidate\nscenario: fastapi example" in out
    assert "a round of one scenario: about 17 s, of which 47% is load\ntime: 8 rounds, about 2.3 minutes\n" in out
    assert compare.main(stage.arguments(*PAIR, "--dry-run", "--budget", "90s")) == 0
    assert "time: at most 1.5 minutes" in capsys.readouterr().out
    assert stage.outside.events == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([*PAIR, "--rounds", "3"], "3 is not a number of rounds from 4, the fewest that allow a verdict, to 1000"),
        ([*PAIR, "--rounds", "1001"], "1001 is not a number of rounds"),
        ([*PAIR, "--rounds", "²"], "² is not a number of rounds"),
        ([*PAIR, "--budget", "0s"], "0s is no time at all; name one such as"),
        ([*PAIR, "--budget", "10"], "'10' is not a time such as 90s, 10m or 1h"),
        ([*PAIR, "--budget", "10m", "--rounds", "8"], "not allowed with argument"),
        ([*PAIR, "--budgt", "10m"], "did you mean '--budget'?"),
        ([], "the following arguments are required"),
    ],
)
def test_wrong_command_line(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    """A wrong command line is refused with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        compare.main(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([BASELINE], "nothing to compare 1.12.0 with"),
        (["1.12.0..1.12.0"], "nothing to compare 1.12.0 with"),
        (["1.99.0"], "'1.99.0' is no release of suite.toml"),
        ([""], "'' is no release of suite.toml"),
        ([*PAIR, "--budget", "10s", "--dry-run"], "the budget of 0.2 minutes is too short"),
        ([*PAIR, "--flow", ""], "unknown flow ''"),
        ([*PAIR, "--aa"], "--aa takes one release"),
        ([*PAIR, "--profile", "compar"], "unknown profile 'compar'; did you mean 'compare'"),
        ([*PAIR, "--engine", "flsk"], "unknown engine 'flsk'; did you mean 'flask'"),
        ([*PAIR, "--flow", "static"], "unknown flow 'static'"),
        ([*PAIR, "--python", "2.7"], "the lock of 1.12.0 does not cover Python 2.7"),
        ([*PAIR, "--budget", "10s"], "the budget of 0.2 minutes is too short"),
    ],
)
@pytest.mark.usefixtures("stage")
def test_wrong_choice(argv: list[str], message: str) -> None:
    """A choice that does not exist or does not go together is refused before anything starts."""
    with pytest.raises(UsageError, match=message):
        compare.main(argv)


def test_two_flows_of_one_name(stage: Stage) -> None:
    """Two flow directories of one name are refused; one that is named twice counts once."""
    first, second = stage.flow(), stage.flow("other/example")
    with pytest.raises(UsageError, match="two flow directories are called 'example'"):
        compare.main([*PAIR, "--flow", str(first), "--flow", str(second), "--dry-run"])
    assert compare.main(stage.arguments(*PAIR, "--flow", str(first), "--dry-run", "--engine", "fastapi")) == 0


@pytest.mark.usefixtures("stage")
def test_usual_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --flow, the scenarios of suite.toml are compared that all arms can serve."""
    assert compare.main([*PAIR, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("\nscenario: ") > 1


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5m", 90)])
def test_time(text: str, seconds: float) -> None:
    """A time is a number with s, m or h."""
    assert cli.duration_s(text) == seconds


@pytest.mark.usefixtures("stage")
def test_flow_that_not_all_can_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that was asked for and that one of the arms cannot serve is refused, not left out in silence."""
    monkeypatch.setattr(request, "serves", lambda _matrix, _release, _engine, wanted: wanted.name != "flex_async")
    with pytest.raises(UsageError, match="flex_async cannot be served by all of"):
        compare.main([*PAIR, "--flow", "static_async", "--flow", "flex_async"])


@pytest.mark.usefixtures("stage")
def test_nothing_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases that have no scenario in common leave nothing to measure, exit code 3."""
    monkeypatch.setattr(request, "serves", lambda *_: False)
    with pytest.raises(NothingMeasuredError, match=r"no flow can be served by all of 1\.12\.0, "):
        compare.main(list(PAIR))


def test_drift_of_releases_in_a_row(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Releases that each cost a little more show no change of any, and together the drift of the newest."""
    versions = ("1.11.0", "1.12.0", "1.13.0", "1.14.0")
    stage.outside.versions = {version: version for version in versions}
    stage.outside.cpu = {version: (1.0 + 0.016 * place,) for place, version in enumerate(versions)}
    argv = [f"{versions[0]}..{versions[-1]}", "--profile", DUET.name, "--engine", "fastapi", "--rounds", "4"]
    assert compare.main([*argv, "--flow", str(stage.flow())]) == 0
    _, found, drift = capsys.readouterr().out.partition("## Drift")
    assert found
    assert "- fastapi example, 1.14.0: CPU per request rose by 5.0 % " in drift
    assert "since 1.11.0" in drift
