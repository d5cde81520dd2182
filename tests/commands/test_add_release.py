"""The verb add-release: from a version to all pages, step by step, and on from wherever it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.campaign import stopping_rule
from scripts.commands import add_release, collate
from scripts.config import flows, matrix_file
from scripts.config.errors import InvalidMeasurementError, SuiteError, UsageError
from scripts.environments import locks
from scripts.host.process import Finished
from tests.fakes import stage, suite_file, values
from tests.fakes.stage import FakeArms, Stage
from tests.fakes.system import reply

VERSION = "1.14.0"
RELEASES = ("1.11.0", "1.12.0", "1.13.0", VERSION)
UPLOADED = '[[packages]]\nname = "promptflow"\nwheels = [{url = "x", upload-time = 2024-07-26T10:00:00Z}]\n'
LOCKED, TOLD = (Finished(code=0, output=output) for output in (f"promptflow=={VERSION}\n", UPLOADED))
BUDGET, ROUNDS = "200s", 4  # of each pair, which the budget allows
PAIRS = [("1.12.0", "1.13.0"), ("1.13.0", VERSION), ("1.12.0", VERSION)]


@dataclass(kw_only=True, slots=True)
class FakeIndex(FakeArms):
    """A fake outside with a package index, which has the release and tells its day."""

    lock: Finished = LOCKED
    day: Finished = TOLD

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """The resolver's answers; all else as usual."""
        if argv[1:3] == ["pip", "compile"]:
            return self.day if "--format" in argv else self.lock
        return FakeArms.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A small checkout without the release."""
    outside = FakeIndex(versions={release: release for release in RELEASES})
    built = stage.built(tmp_path, monkeypatch, outside)
    suite = tmp_path / "suite.toml"
    suite.write_text(suite_file.TEXT, encoding="utf-8")
    monkeypatch.setattr(matrix_file, "SUITE_FILE", suite)
    monkeypatch.setattr(matrix_file, "read", lambda: suite.read_text(encoding="utf-8"))
    monkeypatch.setattr(matrix_file, "load", lambda: matrix_file.parse(suite.read_text(encoding="utf-8")))
    monkeypatch.setattr(flows, "FLOWS", tmp_path / "flows")
    monkeypatch.setattr(locks, "LOCKS", tmp_path / "locks")
    built.at.joinpath("flows").mkdir()
    context = 'own_wait_s = 0.25\nanswer_in = "answer"\n[answer]\ntype = "example"\n'
    values.write_flow(tmp_path / "flows" / "example", bench__toml=context)
    return built


@pytest.fixture
def uncollated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages do not matter here, and take seconds."""
    monkeypatch.setattr(collate, "main", lambda _: 0)


def add(found: Stage, *options: str) -> int:
    """Call the verb."""
    return add_release.main([VERSION, "--results", str(found.results), "--budget", BUDGET, *options])


def made(found: Stage) -> dict[str, int]:
    """How many runs of the release there are, by profile."""
    profiles = [one.requested.profile.name for one in found.records() if one.requested.release == VERSION]
    return {name: profiles.count(name) for name in dict.fromkeys(sorted(profiles))}


def test_everything_is_made(found: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """One call writes row and lock, tries each engine, measures the scenario, makes the pairs, and collates."""
    assert add(found) == 0
    assert 'version = "1.14.0"\nuploaded = 2024-07-26\nas_of = 2024-08-09\n' in matrix_file.read()
    assert (found.at / "locks" / f"{VERSION}.txt").is_file()
    assert made(found) == {"duet": 2 * ROUNDS, "report": 1, "serves": 2}
    tried = {one.requested.engine for one in found.records() if one.requested.profile.name == "serves"}
    assert tried == {"flask", "fastapi"}
    assert f"# PromptFlow Serve v{VERSION}" in (found.results / f"v{VERSION}" / "README.md").read_text(encoding="utf-8")
    assert "counts are left out: " in capsys.readouterr().err


@pytest.mark.usefixtures("uncollated")
def test_pairs_are_of_the_releases_before(found: Stage) -> None:
    """The two before it and the new one, each with each, at the same time."""
    add(found)
    rounds: dict[str, list[str]] = {}
    for one in found.records():
        if one.requested.profile.name == "duet":
            rounds.setdefault(one.requested.round_id, []).append(one.requested.release)
    pairs = [tuple(sorted(both)) for both in rounds.values()]
    assert {pair: pairs.count(pair) for pair in set(pairs)} == dict.fromkeys(PAIRS, ROUNDS)


def test_dry_run_changes_nothing(found: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what each step would do, and how long that takes."""
    before = sorted(found.at.rglob("*"))
    assert add(found, "--dry-run") == 0
    assert sorted(found.at.rglob("*")) == before
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in capsys.readouterr().out.splitlines()[4:11]]
    assert [row[0] for row in rows] == ["row", "lock", "try", "count", "measure", "pair", "collate"]
    assert rows[2][1:3] == ["each engine with each flow, profile serves", "0 of 2 runs"]
    assert rows[5][1:3] == ["with 1.12.0 and 1.13.0 on FastAPI, profile duet", f"0 of {3 * ROUNDS} rounds"]
    assert all(float(row[3]) >= 0 for row in rows)


@pytest.mark.usefixtures("uncollated")
def test_repetition_makes_nothing_again(found: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """All steps are done, so it only collates."""
    add(found)
    before, suite = found.records(), matrix_file.read()
    capsys.readouterr()
    add(found)
    assert (found.records(), matrix_file.read()) == (before, suite)
    assert f"{3 * ROUNDS} of {3 * ROUNDS} rounds" in capsys.readouterr().err


@pytest.mark.usefixtures("uncollated")
@pytest.mark.parametrize("run", [1, 3, 4, 12], ids=["trying", "measuring", "the first pair", "a later pair"])
def test_interrupted_it_goes_on(found: Stage, run: int) -> None:
    """After Ctrl-C in any step, a repetition makes what is missing and nothing twice."""
    assert isinstance(found.outside, FakeIndex)
    found.outside.ends_at_run = run
    with pytest.raises(KeyboardInterrupt):
        add(found)
    before = [record.run_id for record in found.records()]
    found.outside.ends_at_run = None
    assert add(found) == 0
    assert made(found) == {"duet": 2 * ROUNDS, "report": 1, "serves": 2}
    assert set(before) <= {record.run_id for record in found.records()}


def test_flow_that_is_not_served_is_a_finding(found: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The trial is recorded and told, the scenario is left out, and a repetition does not try again."""
    found.outside.replies = {"server /score": reply({"answer": {"type": "another"}})}
    assert add(found) == 0
    assert made(found) == {"serves": 2}
    assert {one.outcome for one in found.records()} == {"verify-failed"}
    assert f"finding: {VERSION} does not serve example on fastapi" in capsys.readouterr().err
    add(found)
    assert made(found) == {"serves": 2}
    page = (found.results / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {VERSION} ")]
    assert row.count("verify-failed") == 2


@pytest.mark.usefixtures("uncollated")
def test_invalid_run_does_not_keep_the_rest_from_being_made(found: Stage) -> None:
    """It ends with the reason, after everything else is done, and says how to go on."""
    found.outside.ramp_ends = False
    with pytest.raises(InvalidMeasurementError, match="not complete") as refused:
        add(found)
    assert refused.value.then.startswith(f"nox -s add-release -- {VERSION}")
    assert {"report", "serves"} <= made(found).keys()


def test_lock_that_cannot_be_resolved(found: Stage) -> None:
    """The error says which step it was and how to go on; the row stands, and is valid."""
    assert isinstance(found.outside, FakeIndex)
    found.outside.lock = Finished(code=1, output="no solution")
    with pytest.raises(SuiteError, match=r"step lock: 1\.14\.0 cannot be resolved") as refused:
        add(found)
    assert f"nox -s lock -- {VERSION}; then nox -s add-release -- {VERSION} --results" in refused.value.then
    assert matrix_file.load().releases[-1].version == VERSION


def test_day_that_nobody_tells(found: Stage) -> None:
    """The error names the option, and with it the day is taken."""
    assert isinstance(found.outside, FakeIndex)
    found.outside.day = Finished(code=0, output="")
    with pytest.raises(UsageError) as refused:
        add(found, "--dry-run")
    assert refused.value.then.startswith("repeat this command with --uploaded YYYY-MM-DD")
    assert add(found, "--dry-run", "--uploaded", "2024-07-26") == 0


@pytest.mark.usefixtures("uncollated")
def test_row_that_is_there_stays(found: Stage) -> None:
    """Another day for it is refused."""
    (found.at / "suite.toml").write_text(
        suite_file.TEXT + f'\n[[release]]\nversion = "{VERSION}"\nuploaded = 2024-07-26\nas_of = 2024-07-31\n',
        encoding="utf-8",
    )
    before = matrix_file.read()
    with pytest.raises(UsageError, match="says that"):
        add(found, "--uploaded", "2024-07-20")
    assert add(found) == 0
    assert matrix_file.read() == before


def test_budget_decides_the_rounds(found: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer minutes give fewer rounds of the pairs, and too few are refused with what they need."""
    with pytest.raises(UsageError, match="too short") as refused:
        add(found, "--dry-run", "--budget", "1m")
    enough = refused.value.then.rpartition(" ")[2]
    assert add(found, "--dry-run", "--budget", enough) == 0
    rounds = re.search(r"0 of (\d+) rounds", capsys.readouterr().out)
    assert rounds is not None
    assert 3 * 4 <= int(rounds[1]) < 3 * stopping_rule.ROUNDS
