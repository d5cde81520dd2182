"""Compiled modules of virtualenvs: one file for all that hold the same source.

A compiled module names its source's path, time and size. The installer links sources from its cache, so time and size
agree between virtualenvs; the path is left relative here, and Python puts the real one in as it loads the module
(`_fix_co_filename`). So one file serves every virtualenv, as the sources do.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def command(python: Path, site_packages: Path) -> list[str]:
    """What compiles, on all cores, the modules without a valid compiled file; it passes over what is no Python."""
    place = str(site_packages)
    return [str(python), "-I", "-S", "-m", "compileall", "-qq", "-j", "0", "-s", place, place]


@contextlib.contextmanager
def shared(site_packages: Path, tag: str, store: Path) -> Iterator[None]:
    """Link from the store what was compiled before, and into it what is compiled within.

    `tag` is the interpreter's, as in `cpython-311`.
    """
    places = list(_places(site_packages, tag, store))
    for compiled, stored in places:
        _link(stored, compiled)
    yield
    for compiled, stored in places:
        _link(compiled, stored)


def _places(site_packages: Path, tag: str, store: Path) -> Iterator[tuple[Path, Path]]:
    """Where each linked source's compiled file lies here, and where in the store."""
    for source in site_packages.rglob("*.py"):
        status = source.stat()
        if status.st_nlink == 1:
            continue  # copied, so its time is its own, and nobody else could use what is compiled from it
        name = f"{source.relative_to(site_packages)}\0{int(status.st_mtime)}\0".encode()
        key = hashlib.sha256(name + source.read_bytes()).hexdigest()
        yield source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc", store / tag / key[:2] / f"{key[2:]}.pyc"


def _link(existing: Path, new: Path) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # not compiled, there already, too many links: each virtualenv can do without
        os.link(existing, new)
