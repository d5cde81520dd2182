"""Whether the machine is quiet enough to measure on, and what keeps it busy.

Looked at once in a session, before its first run. The names of processes are for the terminal, and for no record.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from scripts.config.errors import NothingMeasuredError
from scripts.host import machine, telemetry
from scripts.host.process import System
from scripts.host.progress import Progress

LOOK_S = 3.0
# Share of all cores: what others may use during a valid run (OTHER_CPU of scripts/analysis/validity.py). Whoever waits,
# waits for this; without waiting, a session begins up to `machine.BUSY`, since a burst may end before the load begins.
QUIET = 0.05
_SHOWN = 3  # names
_LEAST_SHOWN = 0.01  # share of all cores


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet:
    """That a session needs a quiet machine."""

    wait_s: float | None = None  # for which it waits at most; None: it does not wait


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What others used of the machine for a few seconds."""

    share: float  # of all cores
    names: tuple[tuple[str, float], ...]  # of the busiest programs, with their shares of all cores

    def __str__(self) -> str:
        """For people."""
        by = ", ".join(f"{name} {share:.0%}" for name, share in self.names)
        busy = f"{self.share:.0%} of the machine's CPU time went to others over {LOOK_S:g} s"
        return f"{busy}: {by}" if by else f"{busy}, to no program that can be seen from here"


def require(wanted: Quiet, system: System, progress: Progress) -> None:
    """Look at the machine, and wait if that is wanted; NothingMeasuredError when it is too busy."""
    progress.phase("quiet")
    began, found = system.monotonic(), look(system)
    limit = machine.BUSY if wanted.wait_s is None else QUIET
    while found.share > limit and system.monotonic() - began < (wanted.wait_s or 0.0):
        progress.update(f"waiting for less than {QUIET:.0%}: {found}")
        found = look(system)
    if found.share > limit and wanted.wait_s is not None:
        raise NothingMeasuredError(
            f"the machine was not quiet within {wanted.wait_s / 60:g} minutes: {found}; limit {QUIET:.0%}",
            then="close other programs, then repeat this command",
        )
    if found.share > limit:
        raise NothingMeasuredError(
            f"the machine is too busy to measure on: {found}; limit {machine.BUSY:.0%}",
            then="repeat this command with --wait-quiet 5m, or close other programs first",
        )
    progress.done(f"others used {found.share:.0%} of the machine's CPU time")


def look(system: System) -> Look:
    """What others use for a few seconds."""
    before, programs = telemetry.machine_sample(system.monotonic()), telemetry.cpu_by_process()
    system.sleep(LOOK_S)
    after, later = telemetry.machine_sample(system.monotonic()), telemetry.cpu_by_process()
    cores_s = machine.cores() * (after.at_s - before.at_s)
    other_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    used: defaultdict[str, float] = defaultdict(float)
    for process, (name, cpu_s) in later.items():
        used[name] += (cpu_s - programs.get(process, (name, cpu_s))[1]) / cores_s
    busiest = sorted(used.items(), key=lambda item: item[1], reverse=True)[:_SHOWN]
    names = tuple((name, share) for name, share in busiest if share >= _LEAST_SHOWN)
    return Look(share=max(0.0, other_s / cores_s), names=names)
