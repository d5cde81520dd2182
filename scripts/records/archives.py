"""The records of a results directory in one file, where nobody reads single ones: a quarter of their size.

A `.tar.xz`, written once. It comes from anywhere, so only names that records have are unpacked, and no more than a
bound.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scripts.config.bounded_files import MIB, read_bounded
from scripts.records import compressed
from scripts.records.compressed import CompressedError
from scripts.records.storage import RUNS, RecordError, run_directories

SUFFIX = ".tar.xz"
_MOST_FILE_BYTES, _MOST_BYTES = 4 * MIB, 64 * MIB  # packed, and unpacked; 20 runs have 60 kB and 250 kB
_MEMBER = re.compile(RUNS.name + r"(/[A-Za-z0-9][A-Za-z0-9._+-]{0,99}){5}", re.ASCII)  # profile to file, as in storage
_UNREADABLE = (OSError, CompressedError, tarfile.TarError, UnicodeDecodeError)


def packed(results: Path) -> bytes:
    """All finished runs of a results directory; the same bytes for the same records."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(file for run in run_directories(results) for file in run.iterdir()):
            text = file.read_bytes()
            member = tarfile.TarInfo(file.relative_to(results).as_posix())  # no owner, no time
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME)


@contextlib.contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A results directory with the runs of an archive, until the end; RecordError as of `unpack`."""
    with tempfile.TemporaryDirectory() as results:
        unpack(archive, Path(results))
        yield Path(results)


def unpack(archive: Path, results: Path) -> None:
    """Write the runs of an archive below a results directory.

    RecordError, without the path, says what is wrong with the archive; OSError, why the runs cannot be written.
    """
    try:
        members = list(_members(compressed.unxz(read_bounded(archive, _MOST_FILE_BYTES), _MOST_BYTES)))
    except _UNREADABLE as error:
        raise RecordError(f"it cannot be unpacked: {error}") from error
    for name, text in members:
        file = results / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)


def _members(content: bytes) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Files by name; links, devices and names that lead elsewhere are refused."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isreg() else None
            if stream is None or not _MEMBER.fullmatch(member.name):
                raise RecordError(f"{member.name[:80]!a} is no file of a record")
            yield PurePosixPath(member.name), stream.read()
