"""Real git, real uv, a small repository in promptflow's shape: from its address to a virtualenv that runs it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.config import matrix, matrix_file
from scripts.environments import candidates, locks, virtualenvs, wheel_builds
from scripts.environments.candidates import Arm
from scripts.environments.virtualenvs import Environment
from scripts.host.process import RealSystem

pytestmark = pytest.mark.e2e

# the version of a release, so that the index has other files of the same name and version
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1.12.0"
dependencies = {dependencies}

[tool.setuptools]
py-modules = ["{module}"]
"""
# the requirements of a release, as few of them as show that pins of the index and of the candidate go together
MATRIX = dataclasses.replace(
    matrix_file.load(),
    lines=tuple(
        dataclasses.replace(line, requirements=("promptflow=={version}", "six"), image=())
        for line in matrix_file.load().lines
    ),
)


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of its own, so that nothing of this one is touched."""
    place = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        for module in (locks, virtualenvs, wheel_builds):
            patch.setattr(module, "ROOT", place)
        patch.setattr(virtualenvs, "ENVIRONMENTS", place / ".envs")
        patch.setattr(wheel_builds, "CANDIDATES", place / ".scratch" / "candidates")
        yield place


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with promptflow and promptflow-core, committed on a branch."""
    place = tmp_path_factory.mktemp("repository")
    for name, dependencies in (("promptflow", '["promptflow-core==1.12.0"]'), ("promptflow-core", "[]")):
        module = name.replace("-", "_")
        folder = place / "src" / name
        folder.mkdir(parents=True)
        text = PROJECT.format(name=name, dependencies=dependencies, module=module)
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        (folder / f"{module}.py").write_text(f'WHO = "the candidate\'s {name}"\n', encoding="utf-8")
    git(place, "init", "--quiet", "--initial-branch", "some/branch")
    git(place, "add", ".")
    git(place, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message", "x")
    return place


@pytest.fixture(scope="module")
def arm(repository: Path) -> Arm:
    """The candidate, by the repository's address and a branch."""
    return resolve(f"git+file://{repository}@some/branch")


@pytest.fixture(scope="module")
def built(arm: Arm, root: Path) -> Environment:
    """Its virtualenv."""
    return virtualenvs.build(
        arm.release.version, arm.lock, "3.11", uv=virtualenvs.find_uv(), system=RealSystem(), log=root / "install.log"
    )


def output(*argv: str) -> str:
    """What a command says."""
    done = RealSystem().run(argv, env=virtualenvs.install_env(), cwd=matrix.ROOT, timeout_s=60)
    assert done.code == 0, done.output
    return done.output


def git(place: Path, *args: str) -> str:
    """Run git there."""
    return output("git", "-C", str(place), *args)


def resolve(spec: str) -> Arm:
    """Resolve it as a verb does."""
    return candidates.resolve(MATRIX, spec, uv=virtualenvs.find_uv(), system=RealSystem())


def test_installed_is_the_candidate(built: Environment) -> None:
    """What runs is the candidate, although the index has a release of the same version."""
    code = "import promptflow, promptflow_core; print(promptflow.WHO, '+', promptflow_core.WHO)"
    said = output(str(built.command("python")), "-c", code)
    assert said == "the candidate's promptflow + the candidate's promptflow-core\n"
    assert set(built.distributions) == {"promptflow", "promptflow-core", "six"}


def test_label(arm: Arm, repository: Path) -> None:
    """The candidate is named by its version and its commit, and resolved as of the day of the release it changes."""
    assert arm.about == f"promptflow 1.12.0 from git commit {git(repository, 'rev-parse', 'HEAD')[:12]} (2 wheels)"
    assert arm.version == "1.12.0"
    assert arm.release.as_of == MATRIX.release("1.12.0").as_of


def test_lock_is_free_of_paths(arm: Arm, root: Path, repository: Path) -> None:
    """The sealed lock pins with hashes, and names neither where it was made nor what from."""
    text = arm.lock.path.read_text(encoding="utf-8")
    assert arm.lock.pins == {"promptflow": ("1.12.0",), "promptflow-core": ("1.12.0",), "six": ("1.16.0",)}
    assert not [place for place in (str(root), str(repository), "file:", "://") if place in text]


def test_checkout_and_wheels_are_the_same_candidate(arm: Arm, repository: Path, tmp_path: Path) -> None:
    """The same source as a checkout, and its wheels elsewhere, are one label and lock; the checkout stays clean."""
    checkout = resolve(str(repository))
    assert git(repository, "status", "--porcelain", "--ignored") == ""
    assert arm.lock.wheels is not None
    wheels = resolve(str(shutil.copytree(arm.lock.wheels, tmp_path / "elsewhere")))
    assert [one.release for one in (checkout, wheels)] == [arm.release] * 2
    assert [one.lock for one in (checkout, wheels)] == [arm.lock] * 2
    assert checkout.about == "promptflow 1.12.0 from a source checkout (2 wheels)"
