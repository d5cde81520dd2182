"""Commits as arms of a campaign: each is built and tried when a search comes to it, and once.

All have the dependencies of one day, that of the newest, so that a change is promptflow's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scripts.config.errors import EnvironmentBuildError, ServerError, UsageError
from scripts.config.matrix import Suite
from scripts.environments import candidates
from scripts.environments.candidates import Arm
from scripts.environments.commits import Commit
from scripts.host.process import System


@dataclass(kw_only=True, slots=True)
class CommitBuilds:
    """The commits of a search, the oldest first, and what they were built to."""

    suite: Suite
    repository: Path
    commits: list[Commit]
    uv: str
    system: System
    say: Callable[[str], None]  # prints a line
    require_serving: Callable[[Arm], None]  # raises why it cannot be installed, or does not serve the flow
    built: dict[str, Arm] = field(default_factory=dict)  # by name of the commit
    failed: dict[str, str] = field(default_factory=dict)  # by name: why it cannot be measured

    @property
    def names(self) -> list[str]:
        """The names of the commits, the oldest first."""
        return [commit.name for commit in self.commits]

    def require_ends(self) -> None:
        """Build and try both ends; EnvironmentBuildError when one fails, UsageError when they are the same."""
        good, bad = self.names[0], self.names[-1]
        for option, name in (("--bad", bad), ("--good", good)):  # the newest decides the day
            if self.label(name) is None:
                raise EnvironmentBuildError(
                    f"commit {name}, the end at {option}, cannot be measured: {self.failed[name]}",
                    then=f"repeat this command with {option} and another commit",
                )
        if self.label(good) == self.label(bad):
            raise UsageError(
                f"commits {good} and {bad} build the same wheels, so nothing can have changed between them",
                then="repeat this command with --good and --bad further apart",
            )

    def arm(self, name: str) -> Arm:
        """The arm of a commit that can be measured."""
        self.label(name)
        return self.built[name]

    def label(self, name: str) -> str | None:
        """What tells its wheels from others; None when it cannot be built or installed, or does not serve."""
        if name not in self.built and name not in self.failed:
            self._build(next(commit for commit in self.commits if commit.name == name))
        return self.built[name].release.version if name in self.built else None

    def _build(self, commit: Commit) -> None:
        newest = self.built.get(self.names[-1])
        self.say(f"building commit {commit.name} ...")
        try:
            arm = candidates.resolve_commit(
                self.suite, self.repository, commit.id, uv=self.uv, system=self.system,
                as_of=newest.release.as_of if newest else None,
            )  # fmt: skip
            if arm.release.version not in {one.release.version for one in self.built.values()}:
                self.require_serving(arm)
        except (EnvironmentBuildError, ServerError, UsageError) as error:  # as `git bisect skip`: try its neighbours
            self.failed[commit.name] = error.message
            self.say(f"skipped commit {commit.name}: {error.message}")
        else:
            self.built[commit.name] = arm
