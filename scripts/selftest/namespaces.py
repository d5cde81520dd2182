"""Network namespaces of Linux, each joined to a central one by a link of its own: they stand for machines.

They need root and the program `ip` (package iproute2).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.config.errors import SuiteError, quoted
from scripts.config.matrix import ROOT
from scripts.host.process import System

CENTRE = 0
_TIMEOUT_S = 10.0


def why_not() -> str:
    """Why this process can make none; empty: it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return "" if shutil.which("ip") else "network namespaces need ip: apt-get install iproute2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Namespaces:
    """A central namespace, and others numbered from 1; all their names begin with `prefix`."""

    prefix: str
    number: int
    system: System

    @property
    def others(self) -> range:
        """All but the central one."""
        return range(1, self.number + 1)

    def name(self, place: int) -> str:
        """As `ip` knows it."""
        return f"{self.prefix}-{place}"

    def centre_of(self, place: int) -> str:
        """The address at which another namespace reaches the central one."""
        return f"10.77.{place}.1"

    def build(self) -> None:
        """Make them; SuiteError when the system refuses."""
        for place in (CENTRE, *self.others):
            self._ip("netns", "add", self.name(place))
            self._ip("-n", self.name(place), "link", "set", "lo", "up")
        for place in self.others:
            ends = (f"to{place}", "type", "veth", "peer", "name", "eth0", "netns", self.name(place))
            self._ip("-n", self.name(CENTRE), "link", "add", *ends)
            sides = ((CENTRE, f"to{place}", self.centre_of(place)), (place, "eth0", f"10.77.{place}.2"))
            for namespace, link, address in sides:
                self._ip("-n", self.name(namespace), "addr", "add", f"{address}/24", "dev", link)
                self._ip("-n", self.name(namespace), "link", "set", link, "up")

    def remove(self) -> None:
        """Remove those that there are; what still runs in them keeps its own until it ends."""
        for place in (CENTRE, *self.others):
            self._run("netns", "del", self.name(place))

    def set_link(self, place: int, state: str) -> None:
        """Cut another namespace off, or join it again: down, up."""
        self._ip("-n", self.name(CENTRE), "link", "set", f"to{place}", state)

    def command(self, place: int, argv: Iterable[str]) -> list[str]:
        """A command as it runs in a namespace, in a process of the same id."""
        return ["ip", "netns", "exec", self.name(place), *argv]

    def _ip(self, *words: str) -> None:
        code, output = self._run(*words)
        if code != 0:
            raise SuiteError(
                f"ip {' '.join(words)} ended with {code}:\n{quoted(output)}", then="see what the system refuses"
            )

    def _run(self, *words: str) -> tuple[int, str]:
        argv: Sequence[str] = ("ip", *words)
        done = self.system.run(argv, env=dict(os.environ), cwd=ROOT, timeout_s=_TIMEOUT_S)
        return done.code, done.output
