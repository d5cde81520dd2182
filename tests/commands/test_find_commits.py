"""The find verb over commits: real git, real builds of a small repository, and measurements in a fake outside."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts.commands import find
from scripts.config import matrix_file
from scripts.config.errors import EnvironmentBuildError, UsageError
from scripts.environments import candidates, commits, virtualenvs, wheel_builds
from scripts.environments.locks import Inputs, Lock
from scripts.host import telemetry
from scripts.host.process import Finished, RealSystem, System
from scripts.host.progress import Progress
from scripts.inference import bisection
from scripts.measure import session
from scripts.measure.run import Prepared
from tests.fakes import repository as repositories
from tests.fakes.repository import Repository
from tests.fakes.stage import FakeArms, Stage

pytestmark = pytest.mark.process


class Building(FakeArms):
    """A fake outside that runs git and uv for real."""

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Run it, without any network; whatever is no build answers as usual."""
        if Path(argv[0]).name not in ("git", "uv"):
            return FakeArms.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)
        return RealSystem().run(argv, env={**env, "UV_OFFLINE": "1"}, cwd=cwd, timeout_s=timeout_s)


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage that builds commits, with locks that nobody has to resolve."""
    stage.outside = Building()
    for look in ("sample", "machine_sample", "memory", "shape", "listens"):
        monkeypatch.setattr(telemetry, look, getattr(stage.outside, look))
    monkeypatch.setattr(wheel_builds, "CANDIDATES", stage.at / "candidates")

    def lock(inputs: Inputs, _uv: str, _system: System) -> Lock:
        pins = f"promptflow=={inputs.wheels[0].version}"
        digest = inputs.name.encode().hex().ljust(64, "0")[:64]
        return Lock(path=Path(f"{inputs.name}.txt"), digest=digest, requirements=(Requirement(pins),))

    monkeypatch.setattr(candidates, "_lock", lock)
    return stage


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Eight commits: the fourth does not build, the sixth is slower, the seventh builds the same as the sixth."""
    made = repositories.made(tmp_path_factory.mktemp("eight") / "repository")
    for number in (1, 2):
        made.commit(f"Step {number}", module=f"step = {number}\n")
    made.commit("Broken", file="src/promptflow/backend.py", text="raise SystemExit('broken on purpose')\n")
    made.git("revert", "--no-edit", "HEAD")
    made.git("commit", "--quiet", "--amend", "--message", "Mended")
    made.commit("Slower | *by* far", module="step = 5\n")
    made.commit("Only a test", file="src/promptflow/tests/test_step.py", text="pass\n")
    made.commit("The last", module="step = 7\n")
    made.git("tag", "bad")
    return made


@functools.cache
def labels(repository: Repository) -> dict[str, str]:
    """The labels of the commits that build, by name."""
    found: dict[str, str] = {}
    for commit in commits.between(repository.at, "good", "bad", RealSystem()):
        try:
            arm = candidates.resolve_commit(
                matrix_file.load(), repository.at, commit.id, uv=virtualenvs.find_uv(), system=Building()
            )
        except EnvironmentBuildError:
            continue
        found[commit.id[:12]] = arm.release.version
    return found


def arguments(stage: Stage, repository: Repository, *extra: str) -> list[str]:
    """A search among the commits."""
    own = ["--repo", str(repository.at), "--good", "good", "--bad", "bad", "--rounds", "4"]
    return stage.arguments(*own, *extra)


def test_commit_is_found(stage: Stage, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """The slower commit is found, although another one does not build, and two pairs build the same wheels."""
    found = labels(repository)
    names = [commit.name for commit in commits.between(repository.at, "good", "bad", RealSystem())]
    slow = names[-3:]  # the slower one, and all after it
    stage.outside.cpu = {found[name]: (1.2,) for name in slow}
    assert find.main(arguments(stage, repository)) == 0
    out = capsys.readouterr().out
    assert "CPU per request rose " in out
    assert slow[0] in out[out.index("# CPU per request") :].splitlines()[2]
    assert "(Slower ¦ \\*by\\* far)" in out


def test_answer_can_be_a_range(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Where what lies between cannot be built, the answer is a range, and all of it is named."""
    made = repositories.made(stage.at / "repository")
    broken = made.commit("Broken", file="src/promptflow/backend.py", text="raise SystemExit('broken on purpose')\n")
    made.git("checkout", "--quiet", "good", "--", "src/promptflow/backend.py")
    bad = made.commit("Mended, and slower", module="step = 5\n")
    made.git("tag", "bad")
    found = labels(made)
    stage.outside.cpu = {found[bad]: (1.2,)}
    assert find.main(arguments(stage, made)) == 0
    out, said = capsys.readouterr()
    assert re.search(r"stages of 4 rounds, about \d+ minutes.* and the time to build up to \d commits", said)
    assert f"skipped commit {broken}: no wheel can be built of promptflow" in said
    assert f"- Skipped {broken} (Broken): no wheel can be built of promptflow" in out
    assert f"or with one of these, which are not measured: {broken} (Broken)" in out


def test_commit_that_does_not_serve(
    stage: Stage, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """A commit that builds and does not serve is skipped after one try, and the answer is a range that names it."""
    found = labels(repository)
    names = [commit.name for commit in commits.between(repository.at, "good", "bad", RealSystem())]
    slow = names[-3:]
    stage.outside.cpu = {found[name]: (1.2,) for name in slow}
    stage.outside.versions = {found[slow[0]]: "0.0.1"}  # also of the commit that builds the same wheels
    assert find.main(arguments(stage, repository)) == 0
    out, said = capsys.readouterr()
    assert f"skipped commit {slow[0]}: " in said
    assert "says that it is promptflow 0.0.1, not 1.12.0" in said
    assert f"CPU per request rose between {names[-4]} and {slow[-1]}" in out
    assert f"which are not measured: {slow[0]} (Slower ¦ \\*by\\* far)" in out
    failed = [record.requested.profile.name for record in stage.records() if record.outcome != "ok"]
    assert set(failed) == {"serves"}


def test_search_that_ends_early(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """After the stated number of skipped commits the range is the answer, and it names also what was not tried."""
    monkeypatch.setattr(bisection, "MOST_SKIPPED", 1)
    made = repositories.made(stage.at / "repository")
    names = [made.commit(f"Step {number}", module=f"step = {number}\n") for number in (1, 2, 3)]
    made.git("tag", "bad")
    found = labels(made)
    stage.outside.cpu = {found[names[-1]]: (1.2,)}
    stage.outside.versions = {found[names[0]]: "0.0.1"}
    assert find.main(arguments(stage, made)) == 0
    out = capsys.readouterr().out
    assert "The search ended early, because it came to 1 commits that cannot be measured." in out
    assert f"which are not measured: {names[0]} (Step 1), {names[1]} (Step 2)" in out


def test_commit_that_cannot_be_installed(
    stage: Stage, repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """It is skipped as one that does not build; an end is refused with the reason."""
    found = labels(repository)
    names = [commit.name for commit in commits.between(repository.at, "good", "bad", RealSystem())]
    refused = {found[names[-3]]}

    def install(label: str, lock: Lock, python: str, system: System, progress: Progress) -> Prepared:
        if label in refused:
            raise EnvironmentBuildError(f"uv cannot install {label}")
        return stage.install(label, lock, python, system, progress)

    monkeypatch.setattr(session, "install", install)
    stage.outside.cpu = {found[name]: (1.2,) for name in names[-3:]}
    assert find.main(arguments(stage, repository)) == 0
    assert f"skipped commit {names[-3]}: uv cannot install {found[names[-3]]}" in capsys.readouterr().err
    refused.add(found[names[-1]])
    with pytest.raises(EnvironmentBuildError, match=r"the end at --bad, cannot be measured: uv cannot install"):
        find.main(arguments(stage, repository))


def test_dry_run(stage: Stage, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints the commits and the time, and builds nothing."""
    assert find.main([*arguments(stage, repository), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "Slower ¦ \\*by\\* far" in out
    assert "8 commits from " in out
    assert not (stage.at / "candidates").exists()


def test_ends_must_build(stage: Stage) -> None:
    """An end that does not build is refused with its reason, before anything is measured."""
    repository = repositories.made(stage.at / "repository")
    repository.commit("Broken again", file="src/promptflow/backend.py", text="raise SystemExit('broken')\n")
    with pytest.raises(EnvironmentBuildError, match="the end at --bad, cannot be measured: no wheel can be built"):
        find.main([*arguments(stage, repository), "--bad", "main"])
    assert stage.outside.runs == 0


def test_ends_that_are_alike(stage: Stage) -> None:
    """Two ends with the same wheels are refused."""
    made = repositories.made(stage.at / "repository")
    made.commit("Only a test", file="src/promptflow/tests/test_step.py", text="pass\n")
    made.git("tag", "bad")
    with pytest.raises(UsageError, match="build the same wheels"):
        find.main(arguments(stage, made))


@pytest.mark.parametrize(
    "words", [["1.11.0..1.12.0", "--repo", "."], ["--repo", "."], ["--good", "x", "--bad", "y"], []]
)
def test_either_releases_or_commits(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """A search is over releases or over commits; half of either is refused."""
    with pytest.raises(SystemExit):
        find.main(words)
    assert "name FIRST..LAST, or --repo with --good and --bad" in capsys.readouterr().err
