"""What the files of a virtualenv must hold: first what their distributions record, then what was built.

A distribution records the hashes of its files (packaging.python.org, "Recording installed projects"), but not of what
is compiled from them. So the finished virtualenv gets a list of all its files, in the form that `sha256sum -c` reads.
Every file is read again before each session, because an edit may leave size and time as they were. For 123
distributions (13,634 files, 350 MB) that takes 0.8 to 1.0 s, and 1.6 s when no file is in memory: two cores, ext4.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.utils import canonicalize_name

from scripts.environments import bytecode_cache

_AT_ONCE = 8
LIST = "files.sha256"  # in the virtualenv


def unlike_records(site_packages: Path) -> list[tuple[str, str]]:
    """What an installer left unlike the distributions' own records: distribution and file."""
    wrong = []
    for name, file, recorded in _records(site_packages):
        algorithm, _, expected = recorded.partition("=")
        if file.endswith(".pyc") or not recorded:  # compiled anew here; a record has no hash of itself
            continue
        content = _content(site_packages / file)
        if content is None or _encoded(hashlib.new(algorithm, content).digest()) != expected.rstrip("="):
            wrong.append((name, file))
    return wrong


def write_list(path: Path, site_packages: Path) -> None:
    """List what a finished virtualenv holds; `bin/python` with what its interpreter holds."""
    files = [path / "pyvenv.cfg", *(path / "bin").glob("*"), *site_packages.rglob("*")]
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(path)}\n"
        for file in sorted(files)
        if file.is_file() and not (file.suffix == ".pyc" and bytecode_cache.passed_over(file.relative_to(path)))
    ]
    (path / LIST).write_text("".join(lines), encoding="utf-8")


def changes(path: Path, site_packages: Path) -> list[str]:
    """What differs from the list, each with its distribution: a file that changed, is gone, or is new.

    New counts only directly in site-packages, where Python takes up what nobody imports: `sitecustomize.py`, `*.pth`.
    """
    lines = [line.partition("  ")[::2] for line in (path / LIST).read_text("utf-8", errors="replace").splitlines()]
    files = [path / name for _, name in lines]
    with ThreadPoolExecutor(_AT_ONCE) as executor:  # strips, as a task for each file takes longer than its reading
        strips = executor.map(_digests, [files[start::_AT_ONCE] for start in range(_AT_ONCE)])
    digests = {file: digest for strip in strips for file, digest in strip.items()}
    changed = [file for file, (digest, _) in zip(files, lines, strict=True) if digests[file] != digest]
    owners = {recorded: f"{name}: " for name, recorded, _ in _records(site_packages)} if changed else {}
    within = [file.relative_to(site_packages) for file in files if site_packages in file.parents]
    known = {"__pycache__", *(file.parts[0] for file in within)}
    new = sorted(file for file in site_packages.iterdir() if file.name not in known)
    return [
        *(
            f"{_owner(owners, site_packages, file)}{file.relative_to(path)} {'changed' if digests[file] else 'is gone'}"
            for file in changed
        ),
        *(f"{file.relative_to(path)} is new" for file in new if not file.is_dir() or any(file.iterdir())),
    ]


def _records(site_packages: Path) -> Iterator[tuple[str, str, str]]:
    """Distribution, file relative to site-packages, and its recorded hash."""
    for folder in sorted(site_packages.glob("*.dist-info")):
        text = (_content(folder / "RECORD") or b"").decode(errors="replace")
        for row in csv.reader(text.splitlines()):
            if len(row) > 1:
                yield _name(folder), row[0], row[1]


def _owner(owners: Mapping[str, str], site_packages: Path, file: Path) -> str:
    """The distribution that a file came with, or its source; nothing for one of no distribution."""
    if file.parent.suffix == ".dist-info":
        return f"{_name(file.parent)}: "
    if file.suffix == ".pyc" and file.parent.name == "__pycache__":
        file = file.parent.parent / f"{file.name.split('.')[0]}.py"
    return owners.get(os.path.relpath(file, site_packages), "")


def _name(dist_info: Path) -> str:
    return canonicalize_name(dist_info.name.split("-")[0])


def _digests(files: Iterable[Path]) -> dict[Path, str | None]:
    """The SHA-256 of each; None for one that cannot be read."""
    return {
        file: None if content is None else hashlib.sha256(content).hexdigest()
        for file, content in ((file, _content(file)) for file in files)
    }


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
