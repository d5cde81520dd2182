"""The attribute verb: one release on two locks, and the shares of a change; in a fake outside."""

from __future__ import annotations

import json

import pytest

from scripts.campaign import counted_arms
from scripts.campaign.counted_arms import CountedArms
from scripts.commands import attribute
from scripts.config.errors import UsageError, ValgrindError
from tests.campaign.test_counted_arms import arms
from tests.fakes.stage import BASELINE, DUET, Stage

OLDER, NEWER = "2024-06-26", "2025-01-24"
DAYS = ("--as-of", OLDER, "--as-of", NEWER)
ON_NEWER = "1.12.0+asof.20250124"


@pytest.fixture(autouse=True)
def _no_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing can be counted."""

    def missing(*_arguments: object) -> list[CountedArms]:
        raise ValgrindError("counting work needs valgrind, and it is not installed", then="apt-get install valgrind")

    monkeypatch.setattr(counted_arms, "measure", missing)


def test_two_locks(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """One release on the locks of two days is compared with itself; all that differs is its dependencies'."""
    stage.outside.cpu = {ON_NEWER: (1.05,)}
    assert attribute.main(stage.arguments(BASELINE, *DAYS, "--rounds", "4")) == 0
    out = capsys.readouterr().out
    assert "## fastapi example: 1.12.0+asof.20250124 against 1.12.0+asof.20240626" in out
    assert "**regression** in CPU per request +5.0 %" in out
    assert "whose change it is" not in out


def test_shares(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """With a newer release, the change to it is divided into its dependencies' share and promptflow's."""
    stage.outside.cpu = {ON_NEWER: (1.1,), "1.12.0+new": (1.2,)}
    assert attribute.main(stage.arguments(BASELINE, *DAYS, "--to", "1.12.0+new", "--rounds", "4")) == 0
    out = capsys.readouterr().out
    shares = out[out.index("whose change it is, 1.12.0+asof.20240626 to 1.12.0+new") :]
    (row,) = (line for line in shares.splitlines() if line.startswith("| CPU per request"))
    assert [cell.split(" %")[0].strip() for cell in row.strip("|").split("|")[1:]] == ["+10.0", "+9.1", "+20.0"]


def test_counts(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One process of each arm is counted, and its table has each share of the instructions."""
    counted = arms([10e6], [11e6], [11e6])
    monkeypatch.setattr(counted_arms, "measure", lambda _suite, requested, *_others: [counted] if requested else [])
    assert attribute.main(stage.arguments(BASELINE, *DAYS, "--to", "1.12.0+new", "--rounds", "4")) == 0
    out = capsys.readouterr().out
    assert out.index("whose instructions they are, counted") > out.index("whose change it is")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if " M | " in line]
    assert [(row[0], row[3], row[4].partition(" (")[0]) for row in rows] == [
        ("Dependencies", "10.00 M to 11.00 M", "+10.0 %"),
        ("promptflow", "11.00 M to 11.00 M", "+0.0 %"),
        ("Together", "10.00 M to 11.00 M", "+10.0 %"),
    ]


def test_counts_as_json(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has the shares of the instructions, too."""
    monkeypatch.setattr(counted_arms, "measure", lambda *_: [arms([10e6], [11e6], [11e6])])
    argv = stage.arguments(BASELINE, *DAYS, "--to", "1.12.0+new", "--rounds", "4", "--json")
    assert attribute.main(argv) == 0
    (counts,) = json.loads(capsys.readouterr().out)["counts"]
    assert [(one["of"], one["baseline_instructions"], one["candidate_instructions"]) for one in counts["shares"]] == [
        ("Dependencies", 10e6, 11e6), ("promptflow", 11e6, 11e6), ("Together", 10e6, 11e6),
    ]  # fmt: skip
    assert [one["change"] for one in counts["shares"]] == pytest.approx([0.1, 0.0, 0.1])


def test_without_valgrind(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says that nothing was counted and what to do; the timed rounds are made all the same."""
    assert attribute.main(stage.arguments(BASELINE, *DAYS, "--rounds", "4")) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "No instructions were counted" in line)
    assert line.endswith("To count: apt-get install valgrind.")
    assert stage.outside.runs == 8


def test_two_at_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Two locks can be loaded at the same time; with a third arm, the shares need rounds that all arms are in."""
    argv = [BASELINE, *DAYS, "--engine", "fastapi", "--flow", str(stage.flow()), "--profile", DUET.name]
    assert attribute.main([*argv, "--rounds", "4"]) == 0
    assert stage.outside.runs == 4
    assert "4 rounds of profile `short-duet`" in capsys.readouterr().out
    with pytest.raises(UsageError, match="two releases at the same time, and here each round has three"):
        attribute.main([*argv, "--to", "1.12.0+new"])


def test_dry_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run names the arms, and starts nothing."""
    assert attribute.main(stage.arguments(BASELINE, *DAYS, "--dry-run")) == 0
    assert "arm 2: promptflow 1.12.0+asof.20250124" in capsys.readouterr().out
    assert stage.outside.events == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([BASELINE], "the following arguments are required: --as-of"),
        ([BASELINE, "--as-of", OLDER], "name --as-of twice, the older day first"),
        ([BASELINE, "--as-of", NEWER, "--as-of", OLDER], "name --as-of twice, the older day first"),
        ([BASELINE, "--as-of", OLDER, "--as-of", OLDER], "name --as-of twice, the older day first"),
        ([BASELINE, *DAYS, "--as-of", "2025-02-01"], "name --as-of twice, the older day first"),
        ([BASELINE, "--as-of", "yesterday"], "'yesterday' is not a day such as 2025-01-24"),
    ],
)
def test_wrong_command_line(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    """Other than two days in order are refused with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        attribute.main(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
