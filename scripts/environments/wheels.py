"""Wheels of promptflow's own distributions, as a candidate brings them: named, checked and hashed, never unpacked.

Standard library and `packaging` only, as `locks`, which uses it.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from scripts.config.errors import UsageError

DISTRIBUTIONS = ("promptflow", "promptflow-core", "promptflow-devkit", "promptflow-tracing")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_MOST_METADATA_BYTES = 2**20  # a wheel comes from anywhere, and may unpack to more than there is room for
_UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)  # RuntimeError: encrypted, unsupported


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """A wheel whose name and metadata agree."""

    name: str  # canonical, one of DISTRIBUTIONS
    version: str  # as its metadata spells it, which is how the running promptflow reports it
    path: Path
    sha256: str  # of the file


def read(path: Path) -> Wheel:
    """Read a wheel's name, version and hash; UsageError names a file that is not a wheel of promptflow."""
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except ValueError as error:
        raise _refusal(path, f"is not called as a wheel is: {error}") from error
    if name not in DISTRIBUTIONS:
        raise UsageError(
            f"{path.name} is a wheel of {name}", then=f"name a directory with only wheels of {', '.join(DISTRIBUTIONS)}"
        )
    said_name, said_version = _metadata(path)
    if canonicalize_name(said_name) != name or not _is_version(said_version, version):
        raise _refusal(path, f"says in its METADATA that it is {said_name or 'nameless'} {said_version}")
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return Wheel(name=name, version=said_version, path=path, sha256=sha256)


def read_all(folder: Path) -> tuple[Wheel, ...]:
    """The wheels of a folder in the order of DISTRIBUTIONS; UsageError unless there is one at most of each."""
    wheels = [read(path) for path in sorted(folder.glob("*.whl"))]
    for name in DISTRIBUTIONS:
        same = [wheel.path.name for wheel in wheels if wheel.name == name]
        if len(same) > 1:
            raise UsageError(
                f"{len(same)} wheels of {name}: {', '.join(same)}",
                then="name a directory with one wheel of each distribution",
            )
    return tuple(sorted(wheels, key=lambda wheel: DISTRIBUTIONS.index(wheel.name)))


def digest(wheels: Sequence[Wheel]) -> str:
    """sha256 over what the wheels hold, wherever they lie."""
    return hashlib.sha256("\n".join(sorted(wheel.sha256 for wheel in wheels)).encode()).hexdigest()


def _metadata(path: Path) -> tuple[str, str]:
    """Name and version as the wheel's METADATA has them."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if _METADATA.fullmatch(name)]
            if len(inside) != 1:
                raise _refusal(path, f"has {len(inside)} METADATA files instead of one")
            with archive.open(inside[0]) as stream:
                fields, _ = parse_email(stream.read(_MOST_METADATA_BYTES))
    except _UNREADABLE as error:
        raise _refusal(path, f"cannot be read: {error}") from error
    return fields.get("name", ""), fields.get("version", "")


def _is_version(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except ValueError:
        return False


def _refusal(path: Path, why: str) -> UsageError:
    return UsageError(f"{path.name} {why}", then="build the wheel again, or name another candidate")
