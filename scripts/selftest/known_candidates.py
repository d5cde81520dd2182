"""Candidates of which the truth is known, for trials of gates and of explanations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from scripts.selftest.slowdowns import Slowdown

REQUEST_CPU_MS = 4.0  # of 1.18.5 under the `compare` profile, where the reference loop takes 4.4 ms


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCandidate:
    """A candidate of which the truth is known."""

    name: str
    slowdown: Slowdown | None  # None: unchanged
    trials: int

    @property
    def what(self) -> str:
        """One line for people."""
        return self.slowdown.what if self.slowdown else "nothing: the same release in other wheels"


AnyCandidate = TypeVar("AnyCandidate", bound=KnownCandidate)


def in_order(chosen: Sequence[AnyCandidate]) -> Iterator[tuple[int, AnyCandidate]]:
    """The first trial of each, then the second of each, and so on: every stop leaves something of all."""
    for number in range(max(one.trials for one in chosen)):
        yield from ((number, one) for one in chosen if number < one.trials)
