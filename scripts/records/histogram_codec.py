"""Distributions in HdrHistogram's own text form (V2, compressed, base64), which every HdrHistogram tool can read.

What is read is untrusted: its size and its header are checked before it is decoded.
"""

from __future__ import annotations

import base64
import binascii
import functools
import zlib

import numpy as np
from hdrh.codec import PayloadHeader, ext_header_size, get_encoding_cookie, payload_header_size
from hdrh.histogram import HdrHistogram
from pyhdrh import decode

from scripts.records.schema import HistogramCounts, Integers

LONGEST_US = 3_600_000_000
DIGITS = (3, 4)  # significant digits that records use
_UNREADABLE = (binascii.Error, zlib.error, ValueError, ArithmeticError, IndexError)
_MOST_BYTES = 4 * 2**20  # of a payload: more than all buckets with 9 bytes each need


class PackedError(ValueError):
    """Text that is no distribution of ours."""


_FREE: dict[int, Integers] = {}
"""Counts of all buckets, all 0, by significant digits: a table of 3 MiB takes as long to make as a text to decode."""


@functools.cache
def buckets(digits: int) -> HdrHistogram:
    """An empty histogram that defines the buckets; values in microseconds, up to an hour."""
    return HdrHistogram(1, LONGEST_US, digits)


def packed(counts: HistogramCounts) -> str:
    """The text of a distribution. A value counts in its bucket, which is known by its lowest value."""
    histogram = HdrHistogram(1, LONGEST_US, counts.significant_digits)
    for value, count in zip(counts.values_us.tolist(), counts.counts.tolist(), strict=True):
        histogram.record_value(value, count)
    return str(histogram.encode(), "ascii")


def unpacked(text: str, digits: int) -> tuple[Integers, Integers]:
    """The lowest values of the buckets in microseconds, ascending, and how often each occurred; or PackedError.

    The library decodes in C, into a table of all buckets; its own `HdrHistogram.decode` takes ten times as long around
    that.
    """
    try:
        payload = _payload(base64.b64decode(text, validate=True), digits)
        places, counts = _decoded(payload, digits)
    except _UNREADABLE as error:
        raise PackedError(str(error) or type(error).__name__) from error
    if (counts < 0).any():
        raise PackedError("it has a negative count")
    return lowest_values_us(places, digits), counts


def _decoded(payload: bytes, digits: int) -> tuple[Integers, Integers]:
    """The places of the buckets in the table that are not empty, and how often each occurred.

    A table is taken while it is used, because threads decode at the same time, and is given back empty. One that an
    error has left half filled is not.
    """
    table = _FREE.pop(digits, None)
    if table is None:
        table = np.zeros(buckets(digits).counts_len, dtype=np.int64)
    seen = decode(payload, payload_header_size, table.ctypes.data, len(table), table.itemsize)
    first = max(0, seen["min_nonzero_index"])
    used = table[first : seen["max_nonzero_index"] + 1]
    places = np.flatnonzero(used)
    counts = used[places]
    used[:] = 0
    _FREE[digits] = table
    return places + first, counts


def lowest_values_us(places: Integers, digits: int) -> Integers:
    """The lowest value of each bucket, by its place in the table: HdrHistogram's `get_value_from_index`, for many."""
    table = buckets(digits)
    half_bits, half = table.sub_bucket_half_count_magnitude, table.sub_bucket_half_count
    bucket = (places >> half_bits) - 1
    within = (places & (half - 1)) + np.where(bucket < 0, 0, half)
    return np.asarray(within << (np.maximum(bucket, 0) + table.unit_magnitude), dtype=np.int64)


def _payload(raw: bytes, digits: int) -> bytes:
    """The inflated payload; raise unless it is of bounded size, and its header names the buckets that we use."""
    inflating = zlib.decompressobj()
    payload = inflating.decompress(raw[ext_header_size:], _MOST_BYTES)
    if inflating.unconsumed_tail or not inflating.eof:
        raise PackedError("it is truncated, or larger than all buckets together")
    if len(payload) < payload_header_size:
        raise PackedError("its header is truncated")
    header = PayloadHeader.from_buffer_copy(payload)
    found = (header.lowest_trackable_value, header.highest_trackable_value, header.significant_figures)
    if digits not in DIGITS or found != (1, LONGEST_US, digits):
        raise PackedError(f"it has other buckets than this suite's: {found}")
    if header.payload_len != len(payload) - payload_header_size:
        raise PackedError("its length is not what its header says")
    if header.cookie != get_encoding_cookie():
        raise PackedError("its cookie is not that of HdrHistogram's V2 form")
    return payload
