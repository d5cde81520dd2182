"""What is known of releases: what they cannot serve, and what they do otherwise."""

from __future__ import annotations

from dataclasses import dataclass

UNSUPPORTED_OUTCOMES = (
    "failed",
    "verify-failed",
    "cannot-install",
    "not-applicable",
)  # how a run may end that tells nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsupported:
    """A flow that releases cannot serve on any engine, as trying has shown."""

    flow: str
    before: str  # the first release that can
    outcome: str  # how a run of it ends: a typed word of the record
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """Something that releases do otherwise from one on, to be remembered when figures are read."""

    since: str
    what: str
