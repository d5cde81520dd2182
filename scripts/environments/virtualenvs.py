"""The virtualenv of a release: built once from its lock with hashes required, checked, and never changed.

Its directory is named after everything that decides its content, so another lock or Python is another one.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scripts.config.errors import EnvironmentBuildError, quoted
from scripts.config.matrix import ROOT
from scripts.environments import bytecode_cache, contents, file_dedup
from scripts.environments.locks import Lock
from scripts.host.process import Finished, System, in_turn

ENVIRONMENTS = ROOT / ".envs"
_FILES, _BYTECODE = "files", "bytecode"  # beside the virtualenvs: what they share
_STAMP = "built.txt"  # written last: without it the directory is unfinished, and is built again
_INSTALL_S = 1800
_NAMED = 5  # files in one error
_NOT_FOUND = "No interpreter found"  # as uv says it
_IMAGE_PIN = re.compile(r"pip install '?([A-Za-z][A-Za-z0-9._-]*(?:[=<>!~][^'\s]*)?)'?(?= |$)", re.MULTILINE)
_IMAGE = Path("promptflow/_sdk/data/docker/Dockerfile.jinja2")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A built virtualenv."""

    path: Path
    python: str  # with patch version
    site_packages: Path
    distributions: Mapping[str, str]  # canonical name to version
    built: bool  # now, and not before

    def command(self, name: str) -> Path:
        """One of its console scripts."""
        return self.path / "bin" / name


def find_uv() -> str:
    """Uv's path: the one locked beside this Python."""
    import uv  # noqa: PLC0415 - the lock verb runs where nox runs, the others in the tools' virtualenv

    return uv.find_uv_bin()


def install_env() -> dict[str, str]:
    """The user's own environment (proxies, certificates, index settings) without what would leak into Python."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PYTHON") and key not in ("VIRTUAL_ENV", "UV_EXCLUDE_NEWER")
    }


def directory(label: str, lock: Lock, python: str) -> Path:
    """Where the virtualenv of a lock and a Python lies."""
    return ENVIRONMENTS / f"{label}-py{python}-{lock.digest[:12]}"


def is_built(path: Path) -> bool:
    """Whether the virtualenv at this path is whole; one that is being built now is not."""
    return (path / _STAMP).is_file() and (path / contents.LIST).is_file()


def build(label: str, lock: Lock, python: str, *, uv: str, system: System, log: Path) -> Environment:
    """Build the virtualenv unless it stands; EnvironmentBuildError says what failed and quotes its last lines."""
    path, built = directory(label, lock, python), False
    if not is_built(path):
        with in_turn(ENVIRONMENTS):
            built = not is_built(path)  # another session may have built it meanwhile
            if built:
                shutil.rmtree(path, ignore_errors=True)
                _create(path, python, uv, system, log)
                _install(path, lock, uv, system, log)
                _compile(path, python, system, log)
                _require_as_recorded(path)
                contents.write_list(path, site_packages_of(path))
                (path / _STAMP).write_text(f"{lock.digest}\n", encoding="utf-8")
    return _read(path, python, lock, built=built)


def missing_python(python: str, *, uv: str, system: System) -> EnvironmentBuildError | None:
    """Why no virtualenv can be built with a Python of that version, e.g. "3.12"; None where one can."""
    argv = [uv, "python", "find", "--quiet", "--no-python-downloads", "--no-project", "--system", python]
    done = _run(argv, system)
    return None if done.code == 0 else _no_python(python, done.output)


def _no_python(python: str, output: str) -> EnvironmentBuildError:
    """What uv says where it finds no interpreter, or none that runs."""
    why = "is not installed" if _NOT_FOUND in output else f"cannot be used here:\n{quoted(output)}"
    return EnvironmentBuildError(f"Python {python} {why}", then=f"uv python install {python}")


def remove(environments: Iterable[Path]) -> None:
    """Delete virtualenvs, and the files that only they shared."""
    for path in environments:
        shutil.rmtree(path)
    for store in (_FILES, _BYTECODE):
        file_dedup.prune(ENVIRONMENTS / store)


def image_mismatches(environment: Environment) -> list[str]:
    """Pins of the release's own image template that the virtualenv does not satisfy."""
    template = environment.site_packages / _IMAGE
    if not template.is_file():
        return [f"the release ships no {_IMAGE}"]
    wrong = []
    for text in _IMAGE_PIN.findall(template.read_text(encoding="utf-8")):
        if text.startswith("promptflow"):
            continue  # the release under test, its version still a placeholder of the template
        wanted = Requirement(text)
        have = environment.distributions.get(canonicalize_name(wanted.name))
        if have is None or not wanted.specifier.contains(have, prereleases=True):
            wrong.append(f"the image has {wanted}, the lock {have or 'does not'}")
    return wrong


def _create(path: Path, python: str, uv: str, system: System, log: Path) -> None:
    argv = [uv, "venv", "--quiet", "--no-python-downloads", "--python", python, str(path)]
    done = _run(argv, system, log)
    if done.code != 0:
        if _NOT_FOUND in done.output:
            raise _no_python(python, done.output)
        raise EnvironmentBuildError(f"no virtualenv for Python {python}:\n{quoted(done.output)}", then=f"see {log}")


def _install(path: Path, lock: Lock, uv: str, system: System, log: Path) -> None:
    argv = [
        *(uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps"),
        *("--link-mode", "copy"),  # a link would let a write in a virtualenv reach uv's cache, and every other project
        *("--python", str(path / "bin" / "python"), "--requirements", str(lock.path)),
        *(("--find-links", str(lock.wheels)) if lock.wheels else ()),  # the hashes choose it over the index's own
    ]
    done = _run(argv, system, log)
    if done.code != 0:
        shutil.rmtree(path, ignore_errors=True)
        raise EnvironmentBuildError(
            f"{lock.path.relative_to(ROOT)} cannot be installed:\n{quoted(done.output)}",
            then=f"see {log}; if there was no network, repeat this command when there is one",
        )


def _compile(path: Path, python: str, system: System, log: Path) -> None:
    """Compile what the first runs would compile otherwise; another virtualenv often has most of it already."""
    site_packages, tag = site_packages_of(path), f"cpython-{python.replace('.', '')}"
    digests = file_dedup.share(site_packages, path.parent / _FILES)
    with bytecode_cache.shared(site_packages, digests, tag, path.parent / _BYTECODE):
        command = bytecode_cache.command(path / "bin" / "python", site_packages)
        _run(command, system, log)  # some wheels hold broken modules


def _require_as_recorded(path: Path) -> None:
    """Refuse what the installer took from a cache that was altered: it checks hashes only as it downloads."""
    wrong = contents.unlike_records(site_packages_of(path))
    if wrong:
        shutil.rmtree(path)
        files = [f"{name}: {file}" for name, file in wrong]
        raise EnvironmentBuildError(
            f"uv's cache holds altered files:\n{_listed(files)}",
            then=f"uv cache clean {' '.join(sorted({name for name, _ in wrong}))}, then repeat this command",
        )


def site_packages_of(path: Path) -> Path:
    """Where a virtualenv has its distributions."""
    return next((path / "lib").glob("python3.*/site-packages"))


def _read(path: Path, python: str, lock: Lock, *, built: bool) -> Environment:
    """Hold what is installed against the lock, in both directions, and every file against what was built."""
    if not list(path.glob("lib/python3.*/site-packages")):
        _refuse(path, lock, "holds no packages")
    site_packages = site_packages_of(path)
    where = importlib.metadata.DistributionFinder.Context(path=[str(site_packages)])
    found = [
        (canonicalize_name(distribution.metadata["Name"]), str(distribution.version))
        # Python's own finder: one that a package has installed, as importlib_metadata does, raises for lost metadata
        for distribution in importlib.metadata.MetadataPathFinder.find_distributions(where)
        if distribution.metadata["Name"]  # without its metadata it counts as missing
    ]
    settings = path / "pyvenv.cfg"
    about = settings.read_text(encoding="utf-8", errors="replace") if settings.is_file() else ""
    version = _setting(about, "version_info", python)
    selected = lock.selected(_as_markers_name_it(version, _setting(about, "implementation", "CPython")))
    foreign = [f"{name} {v}" for name, v in found if name not in selected or not _same(v, selected[name])]
    if foreign:
        _refuse(path, lock, f"holds what its lock does not: {', '.join(sorted(foreign)[:5])}")
    missing = [f"{name} {selected[name]}" for name in sorted(selected.keys() - dict(found).keys())]
    if missing:
        _refuse(path, lock, f"lacks what its lock holds: {', '.join(missing[:5])}")
    changes = [] if built else contents.changes(path, site_packages)
    if changes:
        _refuse(path, lock, f"was altered after it was built:\n{_listed(changes)}")
    return Environment(
        path=path,
        python=version,
        site_packages=site_packages,
        distributions=dict(sorted(found)),
        built=built,
    )


def _refuse(path: Path, lock: Lock, why: str) -> NoReturn:
    raise EnvironmentBuildError(
        f"the virtualenv of {lock.path.stem} {why}", then=f"rm -r {path.relative_to(ROOT)}, then repeat this command"
    )


def _listed(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return "\n".join(f"  - {line}" for line in [*lines[:_NAMED], *more])


def _setting(about: str, name: str, otherwise: str) -> str:
    """A setting of pyvenv.cfg."""
    found = re.search(rf"^{name} = (\S+)$", about, re.MULTILINE)
    return found[1] if found else otherwise


def _as_markers_name_it(version: str, implementation: str) -> dict[str, str]:
    """The virtualenv's own Python; the platform is that of this one."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "implementation_name": implementation.lower(),
        "implementation_version": version,
        "platform_python_implementation": implementation,
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
    }


def _same(version: str, pin: str) -> bool:
    try:
        return Version(version) == Version(pin)
    except InvalidVersion:
        return False


def _run(argv: Sequence[str], system: System, log: Path | None = None) -> Finished:
    try:
        done = system.run(argv, env=install_env(), cwd=ROOT, timeout_s=_INSTALL_S)
    except TimeoutError as error:
        raise EnvironmentBuildError(f"no virtualenv: {error}", then="repeat this command") from error
    if log is not None:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(done.output)
    return done
