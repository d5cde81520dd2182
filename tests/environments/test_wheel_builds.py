"""Where a candidate comes from: wheels, checkouts and repositories; what is asked of git and uv, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.config.errors import EnvironmentBuildError, UsageError
from scripts.environments import wheel_builds
from scripts.environments.wheel_builds import CandidateWheels
from tests.fakes.wheels import Toolbox, a_project, write

ADDRESS = "https://git.example/promptflow.git"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a scratch folder of its own."""
    monkeypatch.setattr(wheel_builds, "ROOT", tmp_path)
    monkeypatch.setattr(wheel_builds, "CANDIDATES", tmp_path / ".scratch" / "candidates")
    return tmp_path


def collect(spec: str | Path, tools: Toolbox | None = None) -> CandidateWheels:
    """Collect with a fake uv and a fake git."""
    return wheel_builds.collect(str(spec), uv="uv", system=tools or Toolbox())


@pytest.fixture
def checkout(root: Path) -> Path:
    """A checkout of promptflow's repository with two of its projects, and one that is not asked for."""
    for name in ("promptflow", "promptflow-core", "promptflow-tools"):
        a_project(root / "checkout" / "src" / name)
    return root / "checkout"


def test_checkout(checkout: Path) -> None:
    """Each project of promptflow's repository is built, from a copy, so that the checkout stays as it is."""
    (checkout / "src" / "promptflow" / "build").mkdir()
    before = sorted(checkout.rglob("*"))
    tools = Toolbox()
    collected = collect(checkout, tools)
    assert [wheel.name for wheel in collected.wheels] == ["promptflow", "promptflow-core"]
    assert collected.origin == "a source checkout (2 wheels)"
    assert sorted(checkout.rglob("*")) == before
    assert not [argv for argv in tools.commands if argv[-1].startswith(str(checkout))]
    assert tools.built == ["pyproject.toml", "pyproject.toml"], "what an earlier build left gets into the wheel"
    assert {env["SOURCE_DATE_EPOCH"] for env in tools.envs} == {"315532800"}


def test_checkout_of_one_project(root: Path) -> None:
    """A directory that is a project itself is built as one."""
    assert collect(a_project(root / "promptflow-core")).wheels[0].name == "promptflow-core"


def test_scratch_is_left_tidy(root: Path, checkout: Path) -> None:
    """Of all that was copied and built only the wheels stay, in a folder named after what they hold."""
    collected = collect(checkout)
    assert [path.name for path in (root / ".scratch" / "candidates").iterdir()] == [collected.digest[:16]]
    assert {wheel.path.parent.name for wheel in collected.wheels} == {collected.digest[:16]}


def test_build_that_fails(root: Path, checkout: Path) -> None:
    """A build that fails is quoted with its project, and leaves nothing behind."""
    with pytest.raises(EnvironmentBuildError, match=r"(?s)no wheel can be built of promptflow:.*no such backend"):
        collect(checkout, Toolbox(fails={"build": "no such backend"}))
    assert list((root / ".scratch" / "candidates").iterdir()) == []


@pytest.mark.parametrize(
    ("address", "url", "ref"),
    [
        (ADDRESS, ADDRESS, "HEAD"),
        (f"{ADDRESS}@v1.13.0", ADDRESS, "v1.13.0"),
        (f"{ADDRESS}@user/branch", ADDRESS, "user/branch"),
        ("ssh://git@git.example/promptflow.git", "ssh://git@git.example/promptflow.git", "HEAD"),
        (f"{ADDRESS}@--upload-pack=x", ADDRESS, "--upload-pack=x"),
    ],
)
@pytest.mark.usefixtures("root")
def test_repository(address: str, url: str, ref: str) -> None:
    """One commit is fetched, options shut off before the address; its id and not the address is reported."""
    tools = Toolbox()
    collected = collect(f"git+{address}", tools)
    fetch = next(argv for argv in tools.commands if "fetch" in argv)
    assert fetch[3:] == ("fetch", "--quiet", "--depth", "1", "--", url, ref)
    assert collected.origin == "git commit 0123456789ab (1 wheel)"


@pytest.mark.usefixtures("root")
def test_git_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git may not ask on the terminal, run a program as a protocol, or write into the repository of a hook."""
    monkeypatch.setenv("GIT_DIR", "/somewhere/.git")
    tools = Toolbox()
    collect(f"git+{ADDRESS}", tools)
    requested = [env for argv, env in zip(tools.commands, tools.envs, strict=True) if argv[0] == "git"]
    assert len(requested) == 4
    assert {env["GIT_TERMINAL_PROMPT"] for env in requested} == {"0"}
    assert "ext" not in requested[0]["GIT_ALLOW_PROTOCOL"].split(":")
    assert not any("GIT_DIR" in env for env in requested)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "spec", ["git+", "git+x", f"git+{ADDRESS}#subdirectory=src", "git+https://[x/y", "git+https://x"]
)
def test_no_address(spec: str) -> None:
    """What is not the address of a repository is refused before git is asked."""
    tools = Toolbox()
    with pytest.raises(UsageError, match=r"is not git\+URL or git\+URL@REF"):
        collect(spec, tools)
    assert tools.commands == []


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("tools", "message"),
    [
        (Toolbox(fails={"fetch": "fatal: not found"}), "the repository cannot be fetched:\n    fatal: not found"),
        (Toolbox(raises={"run git": FileNotFoundError(2, "No such file", "git")}), "cannot be fetched: .*No such file"),
        (Toolbox(shell=None), "cannot be fetched: git did not end within 900 s"),
    ],
)
def test_repository_that_cannot_be_fetched(tools: Toolbox, message: str) -> None:
    """A refusal of git, its absence and its silence are errors of the environment."""
    with pytest.raises(EnvironmentBuildError, match=message):
        collect(f"git+{ADDRESS}", tools)


def test_nothing_of_promptflow(root: Path) -> None:
    """A directory with neither wheels nor a project is refused with what it holds."""
    folder = root / "some"
    folder.mkdir()
    (folder / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"directory without a promptflow wheel or project: it holds notes.txt"):
        collect(folder)


def test_foreign_wheel(root: Path) -> None:
    """A wheel of something else beside promptflow's is refused by name."""
    write(root, "promptflow")
    write(root, "promptflow-tools")
    with pytest.raises(UsageError, match=r"promptflow_tools-1.12.0-py3-none-any.whl is a wheel of promptflow-tools"):
        collect(root)


def test_single_file(root: Path) -> None:
    """A file that is not a wheel is refused, and one that is is taken without its neighbours."""
    write(root, "promptflow-core")
    (root / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"notes.txt is not called as a wheel is"):
        collect(root / "notes.txt")
    assert len(collect(write(root, "promptflow")).wheels) == 1


@pytest.mark.parametrize("target", ["outside.whl", "nothing.whl", "promptflow-1.12.0-py3-none-any.whl"])
def test_linked_wheel(root: Path, target: str) -> None:
    """A link out of the directory of wheels, to nothing or to itself is not followed."""
    folder = root / "dist"
    folder.mkdir()
    write(root, "promptflow").rename(root / "outside.whl")
    (folder / "promptflow-1.12.0-py3-none-any.whl").symlink_to(root / target if target == "outside.whl" else target)
    with pytest.raises(UsageError, match="is a link to nothing in its directory"):
        collect(folder)


def test_linked_project(root: Path) -> None:
    """A link out of the checkout is not followed either."""
    outside = a_project(root / "outside")
    (root / "checkout" / "src").mkdir(parents=True)
    (root / "checkout" / "src" / "promptflow").symlink_to(outside)
    with pytest.raises(UsageError, match="promptflow is a link to nothing in its directory"):
        collect(root / "checkout")
