"""Installed files: one on disk for all virtualenvs that hold the same content.

The installer links files from its cache, where every version of a distribution is unpacked by itself, though most of
its files are those of the version before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path


def share(folder: Path, store: Path) -> dict[Path, str]:
    """Link every file of the folder into the store, or from it what is there already; SHA-256 of each by its path.

    Files are one only if their permissions agree, too. Their time is that of the first.
    """
    digests = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            continue
        digests[path] = digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if status.st_size > 0:  # an empty one takes no room, and there are more of them than a file may have links
            _share_file(path, store / digest[:2] / f"{digest[2:]}-{stat.S_IMODE(status.st_mode):o}")
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


def _share_file(path: Path, stored: Path) -> None:
    link(path, stored)
    if stored.exists() and not stored.samefile(path):
        new = path.with_name(f"{path.name}.new")
        link(stored, new)
        if new.exists():
            new.replace(path)
