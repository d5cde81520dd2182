"""The arms of a comparison of Pythons: each release on several of them, compared with itself.

A Python that a release's lock or this machine does not have is left out by name, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.config import plan
from scripts.config.errors import NothingMeasuredError, SuiteError, UsageError
from scripts.config.matrix import Suite
from scripts.environments import candidates
from scripts.environments.candidates import Arm

Missing = Callable[[str], SuiteError | None]
"""Why this machine cannot serve by a Python, e.g. "3.12"; None where it can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonArms:
    """What is compared, and what cannot be."""

    arms: tuple[Arm, ...]  # those of a release together, its baseline first
    left_out: tuple[SuiteError, ...] = ()  # why, once for each Python that is missing or that a lock does not cover

    def require_all(self) -> None:
        """Raise the first reason why something was left out."""
        if self.left_out:
            raise self.left_out[0]


def of(suite: Suite, releases: Sequence[Arm], pythons: Sequence[str], missing: Missing) -> PythonArms:
    """Each release on each Python; where no release has two, the first reason is raised.

    The Python of the tables is the baseline where it is among them, else the first.
    """
    ordered = sorted(dict.fromkeys(pythons), key=lambda python: python != suite.python)
    arms: list[Arm] = []
    left_out: dict[str, SuiteError] = {}
    for release in {arm.release.version: arm for arm in releases}.values():
        reasons = {python: _why_not(suite, release, python, missing) for python in ordered}
        left_out |= {why.message: why for why in reasons.values() if why is not None}
        served = [candidates.on_python(release, python) for python, why in reasons.items() if why is None]
        arms += served if len(served) > 1 else []
    if not arms:
        raise next(iter(left_out.values()))
    return PythonArms(arms=tuple(arms), left_out=tuple(left_out.values()))


def _why_not(suite: Suite, release: Arm, python: str, missing: Missing) -> SuiteError | None:
    """Why a release cannot be served by a Python; None where it can."""
    try:
        plan.served_by(suite, release.release, python, "")
    except UsageError as error:
        return NothingMeasuredError(error.message, then=f"repeat this command without --python {python}")
    return missing(python)
