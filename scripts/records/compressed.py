"""Unpacks what comes from anywhere, up to a bound, because a small file can hold more than the memory."""

from __future__ import annotations

import lzma
import zlib
from typing import Protocol

from scripts.config.bounded_files import MIB

_GZIP = 31  # zlib's wbits for its format
_MOST_MEMORY_BYTES = 256 * MIB  # of the unpacker of .xz, whose dictionary a file chooses


class CompressedError(Exception):
    """What cannot be unpacked: cut off, too large, or something else."""


def gunzip(packed: bytes, most_bytes: int) -> bytes:
    """The content of a gzip file; CompressedError."""
    return _bounded(zlib.decompressobj(wbits=_GZIP), packed, most_bytes)


def unxz(packed: bytes, most_bytes: int) -> bytes:
    """The content of an .xz file; CompressedError."""
    return _bounded(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY_BYTES), packed, most_bytes)


class _Unpacker(Protocol):
    """What zlib and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _bounded(unpacker: _Unpacker, packed: bytes, most_bytes: int) -> bytes:
    try:
        content = unpacker.decompress(packed, most_bytes)
    except (zlib.error, lzma.LZMAError) as error:
        raise CompressedError(str(error)) from error
    if not unpacker.eof:
        raise CompressedError(f"it is cut off, or larger than {most_bytes // MIB} MiB")
    return content
