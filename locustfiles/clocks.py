"""How the clock of one machine differs from that of another, as questions and answers between them tell.

Pure; imports nothing of ours, and not locust.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Offset:
    """How a clock differs from another."""

    offset_s: float  # to be added to a time of the first for that of the other
    error_s: float  # by how much that may be off


SAME = Offset(offset_s=0.0, error_s=0.0)


def answered(sent_s: float, told_s: float, received_s: float) -> Offset:
    """One question at `sent_s` for the other's time, and its answer at `received_s` (Cristian's algorithm).

    The other told its time somewhere between the two, wherever the message spent its time.
    """
    return Offset(offset_s=told_s - (sent_s + received_s) / 2, error_s=(received_s - sent_s) / 2)


def best(found: Iterable[Offset]) -> Offset:
    """The one that may be off the least: that of the fastest answer."""
    return min(found, key=lambda one: one.error_s)


def between(before: Offset, after: Offset) -> Offset:
    """For all times between two looks: the mean of both, off by half of what the clocks drifted apart as well."""
    drift_s = abs(after.offset_s - before.offset_s) / 2
    return Offset(
        offset_s=(before.offset_s + after.offset_s) / 2, error_s=max(before.error_s, after.error_s) + drift_s
    )  # fmt: skip
