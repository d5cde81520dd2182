"""Reads files that others made: regular ones only, and no more of one than a bound."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MIB = 2**20


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The whole content; OSError for what is no regular file, such as a pipe or a device, or larger than the bound.

    A pipe would wait for a writer without end, and a device may never end.
    """
    _require_regular(path, path.stat().st_mode)  # before it is opened, because opening some devices does something
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        found = os.fstat(stream.fileno())
        _require_regular(path, found.st_mode)
        content = stream.read(min(found.st_size, most_bytes) + 1)
        if len(content) > found.st_size:  # it grows
            content += stream.read(max(0, most_bytes + 1 - len(content)))
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes / MIB:g} MiB", str(path))
    return content


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe, a device or a socket, not a file", str(path))
