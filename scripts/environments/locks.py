"""Lock files: hash-pinned, resolved as of a day, and sealed, so that a stale or altered one is refused.

Standard library and `packaging` only, so that `lock` runs before there is any lock.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.errors import EnvironmentBuildError, quoted
from scripts.config.matrix import ROOT, Release, Suite
from scripts.config.whole_files import write_whole
from scripts.environments.wheels import Wheel
from scripts.host.process import System

LOCKS = ROOT / "locks"
TOOLS = "tools"  # the group whose versions all that include it have, since they decide which records are comparable
GROUPS = ("nox", "profiler", TOOLS, "report", "cluster", "dev")  # of pyproject.toml: what the harness itself runs on
_INCLUDE_TOOLS = GROUPS[GROUPS.index(TOOLS) + 1 :]
_RESOLVE_S = 600
_MOST_BYTES = 4 * MIB  # of a lock; the largest that is committed has a quarter of a MiB
_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==[^\\\n]+", re.MULTILINE)  # with its marker, without its hashes
_WHEEL = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*) @ file:\S+", re.MULTILINE)
_HEAD = re.compile(
    r"# (?P<title>.+)\n# written by: (?P<command>.+)\n# inputs sha256 (?P<inputs>[0-9a-f]{64})\n"
    r"# content sha256 (?P<content>[0-9a-f]{64})\n(?P<body>.*)\Z",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Everything that a lock is made from."""

    name: str  # the lock is <name>.txt
    requirements: tuple[str, ...]
    as_of: date
    pythons: tuple[str, ...]  # lowest first
    wheels: tuple[Wheel, ...] = ()  # of a candidate, in the place of what the index has of the same names
    committed: bool = True  # in locks/; else in .scratch/locks/

    @property
    def command(self) -> str:
        """The command that writes the lock again."""
        if not self.committed:
            return "repeat this command"
        return f"nox -s lock -- {TOOLS if self.name in GROUPS else self.name}"

    @property
    def digest(self) -> str:
        """sha256 over all of it; over what the wheels hold, not over where they lie."""
        hashes = sorted(wheel.sha256 for wheel in self.wheels)
        lines = [*sorted(self.requirements), self.as_of.isoformat(), *self.pythons, *hashes]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def path(self) -> Path:
        """Where the lock lies."""
        folder = LOCKS if self.committed else ROOT / ".scratch" / "locks"
        return folder / f"{self.name}.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """A lock that was read, and whose seals hold."""

    path: Path
    digest: str  # sha256 of the file
    requirements: tuple[Requirement, ...]  # one version each, some with a marker
    wheels: Path | None = None  # the folder of a candidate's wheels, which no index has

    @property
    def pins(self) -> dict[str, tuple[str, ...]]:
        """Canonical name to versions; several where markers divide them."""
        pins: dict[str, tuple[str, ...]] = {}
        for requirement in self.requirements:
            name = canonicalize_name(requirement.name)
            pins[name] = (*pins.get(name, ()), _version(requirement))
        return pins

    def selected(self, python: Mapping[str, str]) -> dict[str, str]:
        """Canonical name to the version that the markers select for a Python, given as the variables of markers."""
        return {
            canonicalize_name(requirement.name): _version(requirement)
            for requirement in self.requirements
            if requirement.marker is None or requirement.marker.evaluate(dict(python))
        }


def of_release(suite: Suite, release: Release) -> Inputs:
    """What a release's lock is made from."""
    return Inputs(
        name=release.version,
        requirements=suite.requirements(release),
        as_of=release.as_of,
        pythons=suite.line(release).pythons,
    )


def of_group(suite: Suite, group: str, pyproject: Path = ROOT / "pyproject.toml") -> Inputs:
    """What a lock of the harness is made from: a dependency group of pyproject.toml."""
    groups = tomllib.loads(pyproject.read_text(encoding="utf-8"))["dependency-groups"]
    return Inputs(
        name=group,
        requirements=tuple(_requirements(groups, group)),
        as_of=suite.tools.as_of,
        pythons=(suite.tools.python,),
    )


def _requirements(groups: Mapping[str, list[Any]], group: str) -> Iterator[str]:
    """Of a group and of all groups that it includes."""
    for item in groups[group]:
        if isinstance(item, str):
            yield item
        else:
            yield from _requirements(groups, item["include-group"])


def read(inputs: Inputs) -> Lock:
    """Read a lock and check both of its seals; EnvironmentBuildError says which one is broken."""
    if inputs.path.is_symlink():  # to the lock of another release, that would be written in its place
        _refuse(inputs, "is a link, and a lock must be a file of its own")
    try:
        text = read_bounded(inputs.path, _MOST_BYTES).decode()
    except FileNotFoundError as error:
        raise EnvironmentBuildError(f"there is no lock for {inputs.name}", then=inputs.command) from error
    except UnicodeDecodeError:
        _refuse(inputs, "is not a lock that this suite wrote")
    except OSError as error:
        raise EnvironmentBuildError(
            f"{inputs.path.relative_to(ROOT)} cannot be read: {error.strerror}",
            then=f"rm -r {inputs.path.relative_to(ROOT)}, then {inputs.command}",
        ) from error
    head = _HEAD.match(text)
    if head is None:
        _refuse(inputs, "is not a lock that this suite wrote")
    if head["content"] != hashlib.sha256(head["body"].encode()).hexdigest():
        _refuse(inputs, "was altered after it was written")
    if head["inputs"] != inputs.digest:
        _refuse(inputs, "is stale: what it was made from has changed since")
    return _lock(inputs.path, text, inputs.wheels[0].path.parent if inputs.wheels else None)


def received(path: Path, wheels: Path | None) -> Lock:
    """A lock that another machine has resolved; its digest is to be held against that one's."""
    return _lock(path, read_bounded(path, _MOST_BYTES).decode(), wheels)


def _lock(path: Path, text: str, wheels: Path | None) -> Lock:
    return Lock(
        path=path,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        requirements=tuple(Requirement(line) for line in _PIN.findall(text)),
        wheels=wheels,
    )


def write(inputs: Inputs, *, uv: str, env: Mapping[str, str], system: System) -> Path:
    """Resolve and write a lock; EnvironmentBuildError quotes the resolver when it finds no solution."""
    try:
        resolved = system.run(_resolve_command(inputs, uv), env=env, cwd=ROOT, timeout_s=_RESOLVE_S)
    except TimeoutError as error:
        raise EnvironmentBuildError(f"{inputs.name} cannot be resolved: {error}", then=inputs.command) from error
    if resolved.code != 0:
        raise EnvironmentBuildError(
            f"{inputs.name} cannot be resolved as of {inputs.as_of}:\n{quoted(resolved.output)}",
            then=f"correct its requirements or its date in suite.toml, then {inputs.command}"
            if inputs.committed
            else "name another day or another candidate",
        )
    body = _body(inputs, resolved.output)
    title = f"{inputs.name}, resolved as of {inputs.as_of} for Python {' '.join(inputs.pythons)}"
    writer = inputs.command if inputs.committed else "the command that named it"
    text = (
        f"# {title}\n# written by: {writer}\n# inputs sha256 {inputs.digest}\n"
        f"# content sha256 {hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    )
    write_whole(inputs.path, text.encode())
    return inputs.path


def _resolve_command(inputs: Inputs, uv: str) -> list[str]:
    """The resolver's command line. Requirements are written to a scratch file by `_requirements_file`."""
    source = _requirements_file(inputs)
    return [
        *(
            uv,
            "pip",
            "compile",
            "--universal",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--quiet",
        ),
        *("--python-version", inputs.pythons[0], "--exclude-newer", f"{inputs.as_of.isoformat()}T00:00:00Z"),
        *(("--constraints", str(LOCKS / f"{TOOLS}.txt")) if inputs.name in _INCLUDE_TOOLS else ()),
        str(source),
    ]


def _requirements_file(inputs: Inputs) -> Path:
    scratch = ROOT / ".scratch"
    scratch.mkdir(exist_ok=True)
    file = scratch / f"{inputs.name}.in"
    file.write_text("\n".join(_requested(inputs)) + "\n", encoding="utf-8")
    return file


def _requested(inputs: Inputs) -> list[str]:
    """The requirements, with a candidate's wheels in the place of the versions that they stand for."""
    left = {wheel.name: wheel.path.resolve().as_uri() for wheel in inputs.wheels}
    requested = []
    for text in inputs.requirements:
        requirement = Requirement(text)
        requirement.url = left.pop(canonicalize_name(requirement.name), None)
        requirement.specifier = SpecifierSet()
        requested.append(str(requirement) if requirement.url else text)
    return [*requested, *(f"{name} @ {url}" for name, url in left.items())]


def _body(inputs: Inputs, output: str) -> str:
    """The resolver's lines without anything that could name an index or a path."""
    versions = {wheel.name: wheel.version for wheel in inputs.wheels}
    lines = "\n".join(line for line in output.splitlines() if not line.startswith(("--", "#")))
    body = _WHEEL.sub(lambda at: f"{at[1]}=={versions[canonicalize_name(at[1])]}", lines)
    if not _PIN.search(body):
        raise EnvironmentBuildError(
            f"{inputs.name} cannot be resolved: the resolver answered with no pins:\n{quoted(output)}",
            then=inputs.command,
        )
    return f"{body}\n"


def _version(requirement: Requirement) -> str:
    return next(iter(requirement.specifier)).version


def _refuse(inputs: Inputs, why: str) -> NoReturn:
    raise EnvironmentBuildError(f"{inputs.path.relative_to(ROOT)} {why}", then=inputs.command)
