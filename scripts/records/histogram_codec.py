"""Distributions in HdrHistogram's own text form (V2, compressed, base64), which every HdrHistogram tool can read.

What is read is untrusted: its size and its header are checked before it is decoded.
"""

from __future__ import annotations

import base64
import binascii
import functools
import zlib

import numpy as np
from hdrh.codec import HdrCookieException, HdrLengthException, PayloadHeader, ext_header_size, payload_header_size
from hdrh.histogram import HdrHistogram

from scripts.records.schema import HistogramCounts

LONGEST_US = 3_600_000_000
DIGITS = (3, 4)  # significant digits that records use
_UNREADABLE = (
    binascii.Error, zlib.error, HdrCookieException, HdrLengthException, ValueError, ArithmeticError, IndexError,
)  # fmt: skip
_MOST_BYTES = 4 * 2**20  # of a payload: more than all buckets with 9 bytes each need


class PackedError(ValueError):
    """Text that is no distribution of ours."""


@functools.cache
def buckets(digits: int) -> HdrHistogram:
    """An empty histogram that defines the buckets; values in microseconds, up to an hour."""
    return HdrHistogram(1, LONGEST_US, digits)


def packed(counts: HistogramCounts) -> str:
    """The text of a distribution. A value counts in its bucket, which is known by its lowest value."""
    histogram = HdrHistogram(1, LONGEST_US, counts.significant_digits)
    for value, count in zip(counts.values_us, counts.counts, strict=True):
        histogram.record_value(value, count)
    return str(histogram.encode(), "ascii")


def unpacked(text: str, digits: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lowest values of the buckets in microseconds, ascending, and how often each occurred; or PackedError."""
    try:
        _require_ours(base64.b64decode(text, validate=True), digits)
        histogram = HdrHistogram.decode(text)
        counted = np.ctypeslib.as_array(histogram.encoder.get_counts())
    except _UNREADABLE as error:
        raise PackedError(str(error) or type(error).__name__) from error
    places = np.flatnonzero(counted)
    values = tuple(int(buckets(digits).get_value_from_index(int(place))) for place in places)
    return values, tuple(int(count) for count in counted[places])


def _require_ours(raw: bytes, digits: int) -> None:
    """Raise unless the payload is of bounded size, and its header names the buckets that we use."""
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
