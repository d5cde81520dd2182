"""Where a candidate comes from: wheels, a source checkout or a git repository; all end as wheels under .scratch/.

Building runs the candidate's own build code, as measuring runs the rest of it: name only what you would run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.config.errors import EnvironmentBuildError, UsageError, quoted
from scripts.config.matrix import ROOT
from scripts.environments import commits, virtualenvs, wheels
from scripts.environments.wheels import Wheel
from scripts.host.process import System

CANDIDATES = ROOT / ".scratch" / "candidates"
GIT = "git+"
_COMMAND_S = 900  # to fetch a repository, or to build one wheel
_NOT_SOURCE = {
    ".git",
    ".venv",
    "build",
    "dist",
}  # at the top of a project; what lies in build/ would get into the wheel
_SAME_BYTES = {"SOURCE_DATE_EPOCH": "315532800"}  # 1980-01-01: the same source always builds the same wheel


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateWheels:
    """A candidate's wheels, in a folder named after what they hold."""

    wheels: tuple[Wheel, ...]  # at least one
    digest: str  # over what they hold
    origin: str  # for people, without a path: "4 wheels"


def exists(spec: str) -> bool:
    """Whether this names something that wheels can come from."""
    return spec.startswith(GIT) or (spec != "" and Path(spec).exists())


def collect(spec: str, *, uv: str, system: System) -> CandidateWheels:
    """Copy or build a candidate's wheels; UsageError when it has none or ones that are not promptflow's."""
    return _collected(lambda into, work: _fill(into, spec, work, uv, system))


def collect_commit(repository: Path, commit: str, *, uv: str, system: System) -> CandidateWheels:
    """Build the wheels of a commit of a local repository, as it is committed: nothing in its checkout counts."""

    def fill(into: Path, work: Path) -> str:
        source = work / "source"
        commits.export(repository, commit, source, work / "source.tar", system)
        _build_all(source, into, work, uv, system)
        return f"git commit {commit[:12]}"

    return _collected(fill)


def _collected(fill: Callable[[Path, Path], str]) -> CandidateWheels:
    """The wheels that `fill` puts into its first folder; its second is for its own use."""
    CANDIDATES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CANDIDATES) as scratch:
        work = Path(scratch)
        into = work / "wheels"
        into.mkdir()
        origin = fill(into, work)
        built = wheels.read_all(into)
        digest = wheels.digest(built)
        folder = CANDIDATES / digest[:16]
        shutil.rmtree(folder, ignore_errors=True)  # the same wheels, unless somebody changed them since
        into.rename(folder)
    return CandidateWheels(wheels=wheels.read_all(folder), digest=digest, origin=_described(built, origin))


def _described(built: Sequence[Wheel], made_from: str) -> str:
    count = f"{len(built)} wheel{'s' if len(built) > 1 else ''}"
    if built[0].name != wheels.DISTRIBUTIONS[0]:
        count = f"{count} of its parts, {wheels.DISTRIBUTIONS[0]} itself from the index"
    return f"{made_from} ({count})" if made_from else count


def _fill(into: Path, spec: str, work: Path, uv: str, system: System) -> str:
    """Put wheels into the folder; say what they were made from, or nothing if they came as wheels."""
    if spec.startswith(GIT):
        repository = work / "repository"
        commit = _fetch(spec, repository, system)
        _build_all(repository, into, work, uv, system)
        return f"git commit {commit[:12]}"
    path = Path(spec)
    if path.is_file():
        wheels.read(path)  # refuses what is not a wheel, before anything is copied
        shutil.copyfile(path, into / path.name)
        return ""
    path = path.resolve()
    files = sorted(path.glob("*.whl"))
    for file in files:
        _require_inside(file, path)
        shutil.copyfile(file, into / file.name)
    if files:
        return ""
    _build_all(path, into, work, uv, system)
    return "a source checkout"


def _fetch(spec: str, repository: Path, system: System) -> str:
    """Fetch one commit of `git+URL[@REF]`; its id. A ref is a branch, a tag or a commit that the server gives out."""
    url, ref = _address(spec)
    env = commits.git_env()
    inside = ["git", "-C", str(repository)]
    for argv in (
        ["git", "init", "--quiet", str(repository)],
        [*inside, "fetch", "--quiet", "--depth", "1", "--", url, ref or "HEAD"],
        [*inside, "checkout", "--quiet", "FETCH_HEAD"],
    ):
        _run(argv, env, system, "the repository cannot be fetched")
    return _run([*inside, "rev-parse", "HEAD"], env, system, "the repository has no commit").strip()


def _address(spec: str) -> tuple[str, str]:
    """The URL, and the ref or nothing. A name before the host may have an @ of its own."""
    wrong = UsageError(
        f"{spec!r} is not git+URL or git+URL@REF", then="name it as in git+https://github.com/microsoft/promptflow@main"
    )
    try:
        parts = urlsplit(spec.removeprefix(GIT))
    except ValueError as error:
        raise wrong from error
    path, _, ref = parts.path.partition("@")
    if not (parts.scheme and path) or parts.query or parts.fragment:
        raise wrong
    return parts._replace(path=path).geturl(), ref


def _build_all(source: Path, into: Path, work: Path, uv: str, system: System) -> None:
    """Build a wheel of each project of promptflow's repository, or of the one that the directory itself is."""
    projects = [source / "src" / name for name in wheels.DISTRIBUTIONS if _is_project(source / "src" / name)]
    if not projects and not _is_project(source):
        content = ", ".join(sorted(path.name for path in source.iterdir())[:8]) or "nothing"
        raise UsageError(
            f"a candidate directory without a promptflow wheel or project: it holds {content}",
            then="name a directory with wheels, or a checkout of promptflow's repository",
        )
    env = virtualenvs.install_env() | _SAME_BYTES
    for project in projects or [source]:
        _require_inside(project, source)
        copy = work / "build" / project.name  # building leaves files behind, and not in somebody's checkout
        shutil.copytree(project, copy, symlinks=True, ignore=lambda folder, _, top=project: _ignored(folder, top))
        argv = [uv, "build", "--wheel", "--quiet", "--no-python-downloads", "--out-dir", str(into), str(copy)]
        _run(argv, env, system, f"no wheel can be built of {project.name}")
    if not list(into.glob("*.whl")):
        raise EnvironmentBuildError(
            "the build left no wheel", then="run `uv build --wheel` in the checkout, and correct what it reports"
        )


def _is_project(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("pyproject.toml", "setup.py"))


def _ignored(folder: str, top: Path) -> set[str]:
    return _NOT_SOURCE if Path(folder) == top else set()


def _require_inside(path: Path, folder: Path) -> None:
    if not path.exists() or not path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{path.name} is a link to nothing in its directory", then="replace the link by the file itself"
        )


def _run(argv: Sequence[str], env: Mapping[str, str], system: System, failing: str) -> str:
    try:
        done = system.run(argv, env=env, cwd=ROOT, timeout_s=_COMMAND_S)
    except (OSError, TimeoutError) as error:  # the command is not installed, or hangs
        raise EnvironmentBuildError(f"{failing}: {error}", then="repeat this command") from error
    if done.code != 0:
        raise EnvironmentBuildError(f"{failing}:\n{quoted(done.output)}", then="correct the candidate, or its address")
    return done.output
