"""Trials of explanations: candidates of which the truth is known, and what was named of each.

A candidate takes more CPU time in one function of one part of promptflow, or is the release itself in other wheels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scripts.analysis import stacks
from scripts.inference import stack_changes
from scripts.inference.stack_changes import StackChange
from scripts.records.explanations import Explanation, Frame
from scripts.selftest.known_candidates import REQUEST_CPU_MS, KnownCandidate
from scripts.selftest.slowdowns import INJECTED_FUNCTION, PLACES, UNCHANGED, cpu_at

Result = Literal["named", "missed", "nothing named", "false positive", "no claim"]

FIRST = 3  # of the functions that are named, the injected one has to be among these
_SIZES = (5, 10)  # percent of a request's CPU time


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate(KnownCandidate):
    """What explanations are tried on."""

    @property
    def function(self) -> str:
        """What should be named; empty where nothing should be."""
        if self.slowdown is None or self.slowdown.place is None:
            return ""
        return stacks.function(Frame(module=self.slowdown.place.module, function=INJECTED_FUNCTION))


CANDIDATES = (
    *(
        Candidate(name=slowdown.name, slowdown=slowdown, trials=2)
        for percent in _SIZES
        for slowdown in (cpu_at(place, percent, REQUEST_CPU_MS) for place in PLACES)
    ),
    Candidate(name=UNCHANGED, slowdown=None, trials=20),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What an explanation of one candidate named."""

    result: Result
    named: tuple[str, ...]  # packages, parts and functions; the largest change first
    seen: StackChange | None  # of the injected function; None where nothing is injected, or it was not seen


def judged(candidate: Candidate, found: Explanation) -> Trial:
    """Hold an explanation against the truth."""
    changes = stack_changes.changes(found)
    named = tuple(one.name for one in changes.changes if one.is_named)
    seen = next((one for one in changes.of("function") if one.name == candidate.function), None)
    if changes.no_claim:
        return Trial(result="no claim", named=named, seen=seen)
    if not candidate.function:
        return Trial(result="false positive" if named else "nothing named", named=named, seen=None)
    first = [one.name for one in changes.named("function")[:FIRST]]
    return Trial(result="named" if candidate.function in first else "missed", named=named, seen=seen)
