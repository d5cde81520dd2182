"""A fake of nox's session, as far as the noxfile uses one: what was requested, and a log of what was run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nox.command import CommandFailed


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeConfig:
    """What was typed before the session's own words."""

    install_only: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeRunner:
    """What a session knows of the others."""

    manifest: tuple[str, ...]  # names of the sessions requested, and of those that they need
    global_config: FakeConfig


@dataclass(kw_only=True, slots=True)
class FakeSession:
    """A session that runs nothing."""

    posargs: tuple[str, ...] = ()
    requested: tuple[str, ...] = ("tools", "it")
    install_only: bool = False
    code: int = 0  # with which every command ends
    ran: list[tuple[str, ...]] = field(default_factory=list)  # from the verb on

    @property
    def _runner(self) -> FakeRunner:
        return FakeRunner(manifest=self.requested, global_config=FakeConfig(install_only=self.install_only))

    def run(self, *command: str, **_options: Any) -> None:  # noqa: ANN401 - nox's own keywords
        """Run a command, unless only installing was requested."""
        if not self.install_only:
            self.run_install(*command)

    def run_install(self, *command: str, **_options: Any) -> None:  # noqa: ANN401 - nox's own keywords
        """Run a command in any case."""
        self.ran.append(command[3:])
        if self.code:
            raise CommandFailed(reason="it failed", return_code=self.code)
