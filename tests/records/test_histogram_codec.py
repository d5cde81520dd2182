"""Distributions as text: HdrHistogram's own form, and nothing else, whatever somebody has put in its place."""

from __future__ import annotations

import base64
import random
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from scripts.measure import recording
from scripts.records import histogram_codec
from scripts.records.histogram_codec import PackedError
from scripts.records.schema import HistogramCounts

MIXED = recording.counts([0.0, -3.0, 0.5, 1.0, 1.0, 2.5, 1249.99, 1250.3, 60_000.0, 4e6], 4)


@pytest.mark.parametrize("digits", histogram_codec.DIGITS)
def test_round_trip(digits: int) -> None:
    """Buckets and counts read back the same, from below a microsecond to beyond an hour."""
    counts = recording.counts([value / 7 for value in range(-50, 20_000, 3)] + [4e6], digits)
    values, occurred = histogram_codec.unpacked(histogram_codec.packed(counts), digits)
    assert values.tolist() == counts.values_us.tolist()
    assert occurred.tolist() == counts.counts.tolist()


def test_empty() -> None:
    """A distribution without values reads back without values."""
    values, occurred = histogram_codec.unpacked(histogram_codec.packed(recording.counts([], 4)), 4)
    assert (values.size, occurred.size) == (0, 0)


def test_is_hdrhistograms_own() -> None:
    """The library itself reads the text, and finds the same number and percentiles."""
    counts = recording.counts([float(value) for value in range(1, 1001)], 4)
    found = HdrHistogram.decode(histogram_codec.packed(counts))
    assert found.get_total_count() == 1000
    assert found.get_value_at_percentile(50) == pytest.approx(500_000, rel=1e-4)


@pytest.mark.parametrize("digits", histogram_codec.DIGITS)
def test_lowest_values_are_the_librarys(digits: int) -> None:
    """The lowest value of every bucket is the one that the library gives, one by one."""
    table = histogram_codec.buckets(digits)
    places = np.arange(0, table.counts_len, 7)
    expected = [table.get_value_from_index(int(place)) for place in places]
    assert histogram_codec.lowest_values_us(places, digits).tolist() == expected


def enveloped(payload: bytes) -> str:
    """A payload as HdrHistogram wraps it."""
    body = zlib.compress(payload)
    head = base64.b64decode(histogram_codec.packed(MIXED))[:4] + len(body).to_bytes(4, "big")
    return base64.b64encode(head + body).decode()


def payload() -> bytes:
    """The inflated payload of a good distribution."""
    return zlib.decompress(base64.b64decode(histogram_codec.packed(MIXED))[8:])


def other_buckets() -> str:
    """A histogram with another range."""
    histogram = HdrHistogram(1, 2**62, 4)
    histogram.record_value(5)
    return str(histogram.encode(), "ascii")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "truncated"),
        ("%%%", "base64|Only|Non-base64"),
        ("AAAA", "truncated"),
        (histogram_codec.packed(MIXED)[:-8], "truncated|padding"),
        (enveloped(b"x" * 10), "header is truncated"),
        (enveloped(bytes(5 * 2**20)), "larger than all buckets"),
        (enveloped(payload()[:-1]), "length is not what its header says"),
        (enveloped(b"\0" * 4 + payload()[4:]), "cookie"),
        (other_buckets(), "other buckets"),
        (enveloped(payload()[:4] + (9).to_bytes(4, "big") + payload()[8:40] + b"\xff" * 9), "overflow"),
    ],
)
def test_not_ours(text: str, message: str) -> None:
    """Text that is truncated, inflates without end, or has other buckets is refused before it is decoded."""
    with pytest.raises(PackedError, match=message):
        histogram_codec.unpacked(text, 4)


def test_damaged_anywhere() -> None:
    """A damaged byte is refused wherever it lies; a damaged payload never crashes, nor alters what is read next."""
    text = histogram_codec.packed(MIXED)
    rng = random.Random(4)  # noqa: S311 - draws test data
    for place in range(12, len(text) - 4):
        damaged = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(PackedError):
            histogram_codec.unpacked(damaged, 4)
    for _ in range(500):
        body = bytearray(payload())
        body[rng.randrange(40, len(body))] = rng.randrange(256)
        try:
            values, counts = histogram_codec.unpacked(enveloped(bytes(body)), 4)
        except PackedError:
            pass
        else:
            assert len(values) == len(counts)
        assert histogram_codec.unpacked(text, 4)[1].tolist() == MIXED.counts.tolist()


def test_threads_do_not_share_what_they_decode() -> None:
    """Several threads of a cluster's coordinator read records at the same time."""
    many = [recording.counts([float(value) for value in range(first, first + 3000)], 4) for first in (1, 2, 3, 4)]
    texts = [histogram_codec.packed(counts) for counts in many]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda text: histogram_codec.unpacked(text, 4), texts * 50))
    finally:
        sys.setswitchinterval(before)
    for (values, occurred), counts in zip(found, many * 50, strict=True):
        assert np.array_equal(values, counts.values_us)
        assert np.array_equal(occurred, counts.counts)


def test_values_that_do_not_match_their_counts() -> None:
    """Counts that do not belong to their values are a mistake of ours, and no file."""
    with pytest.raises(ValueError, match="shorter"):
        histogram_codec.packed(
            HistogramCounts(values_us=np.array([1, 2]), counts=np.array([1]), total_us=3, max_us=2, min_us=1)
        )
