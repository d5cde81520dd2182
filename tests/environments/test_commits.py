"""Commits of a local repository: which are listed, what is refused, and what their files are; with real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.config.errors import EnvironmentBuildError, UsageError
from scripts.environments import commits
from scripts.host.process import RealSystem
from tests.fakes import repository as repositories
from tests.fakes.repository import Repository

pytestmark = pytest.mark.process


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a commit before, and two after that touch the packages, and one that does not."""
    made = repositories.made(tmp_path / "repository")
    made.commit("Slower\x1b[31m | by `far`", module="step = 1\n")
    made.commit("Only a text", file="README.md", text="read me\n")
    made.commit("Later", module="step = 2\n")
    made.git("tag", "bad")
    return made


def subjects(repository: Repository, good: str = "good", bad: str = "bad") -> list[str]:
    """What is listed."""
    return [commit.subject for commit in commits.between(repository.at, good, bad, RealSystem())]


def test_listed(repository: Repository) -> None:
    """The good commit and those after it that touch the packages are listed, without control characters."""
    assert subjects(repository) == ["The first", "Slower?[31m | by `far`", "Later"]


def test_branches_count_as_their_merge(repository: Repository) -> None:
    """The commits of a merged branch are not listed, but its merge is."""
    repository.git("checkout", "--quiet", "-b", "side", "good")
    repository.commit("On a branch", file="src/promptflow-core/module.py", text="step = 5\n")
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--message", "Merge", "side")
    assert subjects(repository, bad="main") == ["The first", "Slower?[31m | by `far`", "Later", "Merge"]


def test_files_of_a_commit(repository: Repository, tmp_path: Path) -> None:
    """The files are those of the commit: what is changed in the checkout does not count, and stays."""
    module = repository.at / "src" / "promptflow" / "module.py"
    module.write_text("changed\n", encoding="utf-8")
    commits.export(
        repository.at, repository.git("rev-parse", "good"), tmp_path / "into", tmp_path / "a.tar", RealSystem()
    )
    assert (tmp_path / "into" / "src" / "promptflow" / "module.py").read_text(encoding="utf-8") == "step = 0\n"
    assert not (tmp_path / "into" / "README.md").exists()
    assert module.read_text(encoding="utf-8") == "changed\n"


def test_commit_without_packages(repository: Repository, tmp_path: Path) -> None:
    """A commit without the packages cannot be written out."""
    repository.git("rm", "-r", "--quiet", "src")
    head = repository.git("rev-parse", "HEAD")
    repository.git("commit", "--quiet", "--message", "Nothing is left")
    head = repository.git("rev-parse", "HEAD")
    with pytest.raises(EnvironmentBuildError, match="it has none of src/promptflow"):
        commits.export(repository.at, head, tmp_path / "into", tmp_path / "a.tar", RealSystem())


@pytest.mark.parametrize(
    ("good", "bad", "message", "then"),
    [
        ("goood", "bad", "--good goood: the repository has no such commit; did you mean 'good'?", "--good and a tag"),
        ("good", "--help", "--bad --help: the repository has no such commit", "--bad and a tag"),
        ("", "bad", "--good : the repository has no such commit", "--good and a tag"),
        ("bad", "good", "bad is no ancestor of good", "repeat this command with --good good --bad bad"),
        ("good", "good", "no commit after good up to good touches src/promptflow", "further apart"),
        ("bad~1", "bad~1", "no commit after bad~1", "further apart"),
    ],
)
def test_no_such_range(repository: Repository, good: str, bad: str, message: str, then: str) -> None:
    """What is no range of commits is refused with what is wrong and what to type."""
    with pytest.raises(UsageError) as caught:
        subjects(repository, good, bad)
    assert message in caught.value.message
    assert then in caught.value.then


def test_commits_without_a_common_history(repository: Repository) -> None:
    """Two commits of which neither descends from the other are refused."""
    repository.git("checkout", "--quiet", "--orphan", "alone")
    repository.commit("Alone", module="step = 9\n")
    with pytest.raises(UsageError, match="good is no ancestor of alone") as caught:
        subjects(repository, bad="alone")
    assert "from which --bad descends" in caught.value.then


def test_shallow_clone(repository: Repository, tmp_path: Path) -> None:
    """A clone without the history says that it is shallow, and how to fetch the rest."""
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.at}", str(tmp_path / "clone"))
    with pytest.raises(UsageError, match="this clone is shallow: run `git fetch --unshallow --tags`"):
        subjects(Repository(at=tmp_path / "clone"), bad="main")


@pytest.mark.parametrize("name", ["nothing", "file"])
def test_no_repository(tmp_path: Path, name: str) -> None:
    """A path that is no repository is refused."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is no git repository"):
        commits.between(tmp_path / name, "good", "bad", RealSystem())
