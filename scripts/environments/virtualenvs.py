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

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.config.errors import EnvironmentBuildError, quoted
from scripts.config.matrix import ROOT
from scripts.environments import bytecode_cache, file_dedup
from scripts.environments.locks import Lock
from scripts.host.process import Finished, System

ENVIRONMENTS = ROOT / ".envs"
_FILES, _BYTECODE = "files", "bytecode"  # beside the virtualenvs: what they share
_STAMP = "built.txt"  # written last: without it the directory is unfinished, and is built again
_INSTALL_S = 1800
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


def build(label: str, lock: Lock, python: str, *, uv: str, system: System, log: Path) -> Environment:
    """Build the virtualenv unless it stands; EnvironmentBuildError says what failed and quotes its last lines."""
    path = directory(label, lock, python)
    built = not (path / _STAMP).is_file()
    if built:
        shutil.rmtree(path, ignore_errors=True)
        _create(path, python, uv, system, log)
        _install(path, lock, uv, system, log)
        _compile(path, python, system, log)
        (path / _STAMP).write_text(f"{lock.digest}\n", encoding="utf-8")
    return _read(path, python, lock, built=built)


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
        if "No interpreter found" in done.output:
            raise EnvironmentBuildError(
                f"Python {python} is not installed",
                then=f"uv python install {python}",
            )
        raise EnvironmentBuildError(f"no virtualenv for Python {python}:\n{quoted(done.output)}", then=f"see {log}")


def _install(path: Path, lock: Lock, uv: str, system: System, log: Path) -> None:
    argv = [
        *(uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps"),
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
    site_packages, tag = _site_packages(path), f"cpython-{python.replace('.', '')}"
    digests = file_dedup.share(site_packages, path.parent / _FILES)
    with bytecode_cache.shared(site_packages, digests, tag, path.parent / _BYTECODE):
        _run(
            bytecode_cache.command(path / "bin" / "python", site_packages), system, log
        )  # some wheels hold broken modules


def _site_packages(path: Path) -> Path:
    return next((path / "lib").glob("python3.*/site-packages"))


def _read(path: Path, python: str, lock: Lock, *, built: bool) -> Environment:
    site_packages = _site_packages(path)
    found = {
        canonicalize_name(distribution.metadata["Name"]): distribution.version
        for distribution in importlib.metadata.distributions(path=[str(site_packages)])
    }
    foreign = [f"{name} {v}" for name, v in found.items() if not _pinned(v, lock.pins.get(name, ()))]
    if foreign:
        raise EnvironmentBuildError(
            f"the virtualenv of {lock.path.stem} holds what its lock does not: {', '.join(sorted(foreign)[:5])}",
            then=f"rm -r {path.relative_to(ROOT)}, then repeat this command",
        )
    version = re.search(r"^version_info = (\S+)$", (path / "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    return Environment(
        path=path,
        python=version[1] if version else python,
        site_packages=site_packages,
        distributions=dict(sorted(found.items())),
        built=built,
    )


def _pinned(version: str, pins: tuple[str, ...]) -> bool:
    return any(Version(version) == Version(pin) for pin in pins)


def _run(argv: Sequence[str], system: System, log: Path) -> Finished:
    try:
        done = system.run(argv, env=install_env(), cwd=ROOT, timeout_s=_INSTALL_S)
    except TimeoutError as error:
        raise EnvironmentBuildError(f"no virtualenv: {error}", then="repeat this command") from error
    with log.open("a", encoding="utf-8") as stream:
        stream.write(done.output)
    return done
