"""What can be measured: releases, releases as of another day, and candidates; their labels, locks and refusals."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest
from packaging.version import Version

from scripts.config import matrix_file
from scripts.config.errors import EnvironmentBuildError, UsageError
from scripts.environments import candidates, locks, wheel_builds
from scripts.environments.candidates import Arm
from scripts.environments.wheels import DISTRIBUTIONS
from tests.fakes.wheels import Toolbox, write

MATRIX = matrix_file.load()
RELEASE = MATRIX.release("1.12.0")
TODAY = datetime.date(2026, 11, 23)
LATER = datetime.date(2025, 1, 24)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own on a fixed day; the committed locks stay where they are."""
    place = tmp_path / "project"
    place.mkdir()
    for module in (locks, wheel_builds):
        monkeypatch.setattr(module, "ROOT", place)
    monkeypatch.setattr(wheel_builds, "CANDIDATES", place / ".scratch" / "candidates")
    monkeypatch.setattr(candidates, "_today", lambda: TODAY)
    monkeypatch.chdir(tmp_path)
    return place


@pytest.fixture
def dist(root: Path) -> Path:
    """A directory with one wheel of each distribution."""
    folder = root.parent / "dist"
    folder.mkdir()
    for name in DISTRIBUTIONS:
        write(folder, name)
    return folder


def resolve(spec: str | Path, tools: Toolbox | None = None, as_of: datetime.date | None = None) -> Arm:
    """Resolve it with a fake uv and a fake git."""
    return candidates.resolve(MATRIX, str(spec), uv="uv", system=tools or Toolbox(), as_of=as_of)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("as_of", [None, RELEASE.as_of])
def test_release(as_of: datetime.date | None) -> None:
    """A release as of its own day is what it is: its row, its committed lock, and nothing is resolved."""
    tools = Toolbox()
    arm = resolve("1.12.0", tools, as_of)
    assert arm.release == RELEASE
    assert arm.lock == locks.read(locks.of_release(MATRIX, RELEASE))
    assert (arm.version, arm.about, tools.commands) == ("1.12.0", "promptflow 1.12.0", [])


@pytest.mark.usefixtures("root")
def test_plan_of_a_release_as_of_another_day() -> None:
    """For a plan nothing is resolved: the arm has the same label and name, and a lock without content."""
    tools = Toolbox()
    arm = candidates.resolve(MATRIX, "1.12.0", uv="uv", system=tools, as_of=LATER, dry_run=True)
    assert (arm.release.version, arm.about) == ("1.12.0+asof.20250124", "promptflow 1.12.0 as of 2025-01-24")
    assert (arm.lock.requirements, tools.commands) == ((), [])


@pytest.mark.usefixtures("root")
def test_plan_of_a_release_as_of_its_own_day() -> None:
    """For a plan a release as of its own day has its committed lock."""
    arm = candidates.resolve(MATRIX, "1.12.0", uv="uv", system=Toolbox(), as_of=RELEASE.as_of, dry_run=True)
    assert arm.lock == locks.read(locks.of_release(MATRIX, RELEASE))


def test_release_as_of_another_day(root: Path) -> None:
    """The same requirements are resolved as of that day into a lock of its own, under a label that says so."""
    tools = Toolbox()
    arm = resolve("1.12.0", tools, LATER)
    assert arm.release.version == "1.12.0+asof.20250124"
    assert arm.release.as_of == LATER
    assert arm.lock.path == root / ".scratch" / "locks" / "1.12.0+asof.20250124.txt"
    assert (arm.version, arm.about) == ("1.12.0", "promptflow 1.12.0 as of 2025-01-24")
    assert "2025-01-24T00:00:00Z" in tools.commands[0]
    assert tools.requirements == list(MATRIX.requirements(RELEASE))


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        (TODAY + datetime.timedelta(days=1), "2026-11-24 is in the future"),
        (RELEASE.uploaded, "promptflow 1.12.0 was uploaded on 2024-06-11: not there yet as of 2024-06-11"),
    ],
)
def test_impossible_day(as_of: datetime.date, message: str) -> None:
    """A day that is yet to come, or on which the release was not there, is refused before anything is resolved."""
    with pytest.raises(UsageError, match=message):
        resolve("1.12.0", as_of=as_of)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("spec", ["1.12.00", "", "./promptflow-1.12.0-py3-none-any.whl", "dist"])
def test_none_of_these(spec: str) -> None:
    """A word that names nothing is refused with the nearest release."""
    with pytest.raises(UsageError, match=r"is no release of suite.toml, and no file or directory; .*1\.12\.0"):
        resolve(spec)


def test_directory_of_wheels(root: Path, dist: Path) -> None:
    """Wheels stand in the place of the released ones; the label is a legal version that identifies their content."""
    tools = Toolbox()
    arm = resolve(dist, tools)
    assert Version(arm.release.version).public == "1.12.0"
    assert Version(arm.release.version).local == wheel_builds.collect(str(dist), uv="uv", system=tools).digest[:8]
    assert arm.release.as_of == RELEASE.as_of
    assert (arm.version, arm.about) == ("1.12.0", "promptflow 1.12.0 from 4 wheels")
    assert arm.lock.wheels is not None
    kept = arm.lock.wheels.as_uri()
    assert tools.requirements[0] == f"promptflow @ {kept}/promptflow-1.12.0-py3-none-any.whl"
    assert f"promptflow-core @ {kept}/promptflow_core-1.12.0-py3-none-any.whl" in tools.requirements
    assert set(tools.requirements) > set(MATRIX.line(RELEASE).image)
    assert arm.lock.pins["promptflow-core"] == ("1.12.0",)
    text = arm.lock.path.read_text(encoding="utf-8")
    assert str(root) not in text
    assert "file:" not in text


def test_same_wheels_elsewhere(root: Path, dist: Path) -> None:
    """The same wheels at another place have the same label and lock, which stands and is not resolved again."""
    first = resolve(dist)
    moved = shutil.copytree(dist, root / "else where")
    shutil.rmtree(dist)
    tools = Toolbox()
    assert resolve(moved, tools) == first
    assert tools.commands == []


def test_other_wheels(dist: Path) -> None:
    """One other byte in one wheel is another label and another lock."""
    first = resolve(dist)
    write(dist, "promptflow-core", module="changed")
    second = resolve(dist)
    assert second.release.version != first.release.version
    assert second.lock.path != first.lock.path


def test_altered_wheels_are_restored(dist: Path) -> None:
    """What was changed in the kept copies does not reach the next measurement."""
    kept = resolve(dist).lock.wheels
    assert kept is not None
    (kept / "promptflow-1.12.0-py3-none-any.whl").write_text("torn", encoding="utf-8")
    again = resolve(dist).lock.wheels
    assert again == kept
    assert (again / "promptflow-1.12.0-py3-none-any.whl").read_bytes() == next(dist.glob("promptflow-*")).read_bytes()


def test_altered_lock_is_resolved_again(dist: Path) -> None:
    """A candidate's lock whose seal does not hold is written again rather than believed."""
    arm = resolve(dist)
    whole = arm.lock.path.read_text(encoding="utf-8")
    arm.lock.path.write_text(whole.replace("aaaa", "cccc"), encoding="utf-8")
    assert resolve(dist).lock == arm.lock
    assert arm.lock.path.read_text(encoding="utf-8") == whole


def test_candidate_as_of_another_day(dist: Path) -> None:
    """A candidate on a day that is not its usual one says so in its label, and has a lock of its own."""
    usual, moved = resolve(dist), resolve(dist, as_of=LATER)
    assert moved.release.version == f"{usual.release.version}.asof.20250124"
    assert moved.about == "promptflow 1.12.0 from 4 wheels as of 2025-01-24"
    assert moved.lock.path != usual.lock.path


@pytest.mark.parametrize("version", ["1.13.0.dev1", "1.18.5rc1"])
def test_version_that_is_not_released(root: Path, version: str) -> None:
    """A version that suite.toml does not know is resolved as of today."""
    arm = resolve(write(root, "promptflow", version))
    assert Version(arm.release.version).public == version
    assert arm.release.as_of == TODAY
    assert arm.version == version
    assert arm.about == f"promptflow {version} from 1 wheel as of 2026-11-23"


def test_pre_release_has_the_line_of_its_release(root: Path) -> None:
    """What leads to a release is installed and served as that release will be."""
    arm = resolve(write(root, "promptflow", "1.18.5rc1"))
    assert MATRIX.line(arm.release) == MATRIX.line(MATRIX.release("1.18.5"))
    assert "for Python 3.10 3.11 3.12\n" in arm.lock.path.read_text(encoding="utf-8")


def test_local_version(root: Path) -> None:
    """A local version keeps its local part in the label, and is the release's version otherwise."""
    arm = resolve(write(root, "promptflow", "1.12.0+fix.2"))
    assert arm.release.version.startswith("1.12.0+fix.2.")
    assert arm.release.as_of == RELEASE.as_of
    assert arm.version == "1.12.0+fix.2"


def test_umbrella_of_the_index(root: Path) -> None:
    """Without a wheel of promptflow itself, the index's of the same version is asked for, and said to be."""
    tools = Toolbox()
    arm = resolve(write(root, "promptflow-core", "1.12.0+fix"), tools)
    assert tools.requirements[0] == "promptflow==1.12.0"
    assert tools.requirements[-1].startswith("promptflow-core @ file:")
    assert arm.version == "1.12.0+fix"
    assert arm.about == "promptflow 1.12.0+fix from 1 wheel of its parts, promptflow itself from the index"


def test_before_every_line(root: Path) -> None:
    """A candidate that no release line applies to is refused."""
    with pytest.raises(UsageError, match=r"promptflow 0.9.0 is before every release line") as caught:
        resolve(write(root, "promptflow", "0.9.0"))
    assert caught.value.then == "name a candidate from 1.0.0 on"


def test_cannot_be_resolved(dist: Path) -> None:
    """A resolver that finds nothing is quoted, and suite.toml is not blamed for a candidate."""
    with pytest.raises(EnvironmentBuildError, match="no solution") as caught:
        resolve(dist, Toolbox(fails={"pip": "no solution"}))
    assert caught.value.then == "name another day or another candidate"
