"""What is known of releases: which flows they cannot serve, how their behaviour changed, and why metrics did."""

from __future__ import annotations

from dataclasses import dataclass

UNSUPPORTED_OUTCOMES = ("failed", "verify-failed")  # how a trial run of an unsupported flow ends


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsupported:
    """A flow that releases cannot serve on any engine, as a trial run has shown."""

    flow: str
    before: str  # the first release that can
    outcome: str  # one of UNSUPPORTED_OUTCOMES
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why metrics changed with a release, as an investigation has shown."""

    release: str
    metrics: tuple[str, ...]  # their names
    text: str
    engines: tuple[str, ...] = ()  # none: all


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """A change of behaviour from one release on, marked in the charts across releases."""

    since: str
    what: str
