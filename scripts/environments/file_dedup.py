"""Installed files: one on disk for all virtualenvs that hold the same content.

Most files of a distribution are those of the version before. A stored file is named after its content, which is read
again before the file is used once more. None may be written to, as a write in place would reach every virtualenv.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

_READ_ONLY = ~0o222


def share(folder: Path, store: Path) -> dict[Path, str]:
    """Link every file of the folder into the store, or from it what is there already; SHA-256 of each by its path.

    Files are one only if their permissions agree, too, without those to write. Their time is that of the first.
    """
    digests = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            continue
        digests[path] = digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if status.st_size > 0:  # an empty one takes no room, and there are more of them than a file may have links
            mode = stat.S_IMODE(status.st_mode) & _READ_ONLY
            _share_file(path, store / digest[:2] / f"{digest[2:]}-{mode:o}", digest, mode)
    return digests


def prune(store: Path) -> None:
    """Delete what nothing else holds, as after virtualenvs were deleted; what the cache has too takes no room."""
    for path in store.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            path.unlink()


def link(existing: Path, new: Path) -> None:
    """Link unless that cannot be done: what shares nothing still works."""
    new.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # nothing to link, there already, too many links
        os.link(existing, new)


def whole(stored: Path, digest: str) -> bool:
    """Whether a stored file is there and still what it was."""
    try:
        return hashlib.sha256(stored.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def protect(path: Path) -> None:
    """Take away the permission to write into it; the folder's decides about deleting it."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & _READ_ONLY)


def _share_file(path: Path, stored: Path, digest: str, mode: int) -> None:
    if whole(stored, digest):
        stored.chmod(mode)
    else:
        stored.unlink(missing_ok=True)  # altered: what has it already is refused by its own list of files
        protect(path)
        link(path, stored)
    if stored.exists() and not stored.samefile(path):
        new = path.with_name(f"{path.name}.new")
        link(stored, new)
        if new.exists():
            new.replace(path)
