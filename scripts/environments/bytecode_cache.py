"""Compiled modules of virtualenvs: one file for all that hold the same source.

A compiled module names its source's path, time and size. Virtualenvs share their sources, so time and size agree; the
path is left relative here, and Python puts the real one in as it loads the module (`_fix_co_filename`). So one file
serves every virtualenv, as the sources do. Its name in the store has the digest of its content, which is read again
before it is served. What distributions test themselves with is never served, nor compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.environments.file_dedup import link, protect, whole

_TESTS = "tests"


def command(python: Path, site_packages: Path) -> list[str]:
    """What compiles, on all cores, the modules without a valid compiled file; it passes over what is no Python."""
    place = str(site_packages)
    passed_over = f"^{re.escape(place)}/(.*/)?{_TESTS}/"
    return [str(python), "-I", "-S", "-m", "compileall", "-qq", "-j", "0", "-x", passed_over, "-s", place, place]


def passed_over(source: Path) -> bool:
    """Whether it is nothing that is compiled when a virtualenv is built."""
    return _TESTS in source.parts[:-1]


@contextlib.contextmanager
def shared(site_packages: Path, digests: Mapping[Path, str], tag: str, store: Path) -> Iterator[None]:
    """Link from the store what was compiled before, and into it what is compiled within.

    `digests`: of what is installed, by path. `tag` is the interpreter's, as in `cpython-311`.
    """
    places = dict(_places(site_packages, digests, tag))
    stored = {file.parent.name + file.stem.split("-")[0]: file for file in (store / tag).glob("*/*-*.pyc")}
    for compiled, key in places.items():
        if key in stored and whole(stored[key], stored[key].stem.split("-")[1]):
            link(stored[key], compiled)
    yield
    for compiled, key in places.items():
        if compiled.is_file() and not (key in stored and stored[key].samefile(compiled)):
            if key in stored:
                stored[key].unlink()  # altered, or of another interpreter with this tag
            protect(compiled)
            digest = hashlib.sha256(compiled.read_bytes()).hexdigest()
            link(compiled, store / tag / key[:2] / f"{key[2:]}-{digest}.pyc")


def _places(site_packages: Path, digests: Mapping[Path, str], tag: str) -> Iterator[tuple[Path, str]]:
    """Where each source's compiled file lies here, and what it is called in the store, without its own digest."""
    for source, digest in digests.items():
        inside = source.relative_to(site_packages)
        if source.suffix == ".py" and not passed_over(inside):
            key = hashlib.sha256(f"{inside}\0{int(source.stat().st_mtime)}\0{digest}".encode()).hexdigest()
            yield source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc", key
