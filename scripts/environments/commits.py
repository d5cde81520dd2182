"""Commits of a local repository of promptflow: which lie between two, and their files. Its checkout is not touched.

Standard library only, as `wheel_builds`, which uses it.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from scripts.config.errors import EnvironmentBuildError, UsageError, did_you_mean, quoted
from scripts.config.matrix import ROOT
from scripts.environments import virtualenvs, wheels
from scripts.host.process import Finished, System

_GIT_S = 120  # to list commits, or to write out the files of one
# git may ask no question, and run no program for a protocol
_GIT_ENV = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}
_GIT_HERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}  # set in git's hooks; they would name another repository
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PROJECTS = tuple(f"src/{name}" for name in wheels.DISTRIBUTIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit."""

    id: str
    subject: str  # foreign text: escape it where it is shown

    @property
    def name(self) -> str:
        """Its id as people write it."""
        return self.id[:12]


def git_env() -> dict[str, str]:
    """The environment of git: it meets no other repository, and asks nothing."""
    return {key: value for key, value in virtualenvs.install_env().items() if key not in _GIT_HERE} | _GIT_ENV


def between(repository: Path, good: str, bad: str, system: System) -> list[Commit]:
    """The good commit, and the commits up to the bad one that touch promptflow's packages, the oldest first.

    Of a merge only the merge itself counts (`--first-parent`). UsageError for what is no such range.
    """
    if not repository.is_dir() or _git(repository, system, "rev-parse", "--git-dir").code:
        raise UsageError(
            f"{str(repository)!r} is no git repository",
            then="repeat this command with --repo and a checkout of promptflow's repository",
        )
    first, last = (_commit(repository, option, ref, system) for option, ref in (("--good", good), ("--bad", bad)))
    if _git(repository, system, "merge-base", "--is-ancestor", first, last).code:
        swapped = not _git(repository, system, "merge-base", "--is-ancestor", last, first).code
        raise UsageError(
            f"{good} is no ancestor of {bad}{_shallow(repository, system)}",
            then=f"repeat this command with --good {bad} --bad {good}"
            if swapped and first != last
            else "repeat this command with a --good commit from which --bad descends",
        )
    form = ("log", "--no-show-signature", "--no-color", "--first-parent", "--reverse", "--format=%H%x09%s")
    found = [
        Commit(id=line.partition("\t")[0], subject=_printable(line.partition("\t")[2]))
        for argv in ((*form, "--max-count=1", first), (*form, f"{first}..{last}", "--", *_PROJECTS))
        for line in _git(repository, system, *argv).output.splitlines()
        if _ID.fullmatch(line.partition("\t")[0])
    ]
    if len(found) < 2:  # noqa: PLR2004 - the good one and another
        raise UsageError(
            f"no commit after {good} up to {bad} touches {', '.join(_PROJECTS)}",
            then="repeat this command with --good and --bad further apart",
        )
    return found


def export(repository: Path, commit: str, into: Path, archive: Path, system: System) -> None:
    """Write promptflow's packages as they are in a commit; `archive` is a file for that. EnvironmentBuildError."""
    failing = f"the files of commit {commit[:12]} cannot be written out"
    listed = _git(repository, system, "ls-tree", "-d", "--name-only", commit, "--", *_PROJECTS)
    there = [name for name in _PROJECTS if name in listed.output.splitlines()]
    if listed.code or not there:
        raise EnvironmentBuildError(
            f"{failing}: it has none of {', '.join(_PROJECTS)}", then="name another commit, or another --repo"
        )
    done = _git(repository, system, "archive", "--format=tar", f"--output={archive.resolve()}", commit, "--", *there)
    try:
        if done.code:
            raise EnvironmentBuildError(f"{failing}:\n{quoted(done.output)}", then="repeat this command")
        with tarfile.open(archive) as packed:
            packed.extractall(into, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise EnvironmentBuildError(f"{failing}: {error}", then="name another commit") from error


def _commit(repository: Path, option: str, ref: str, system: System) -> str:
    """The id of what was named."""
    done = _git(repository, system, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = done.output.split()
    if not ref or done.code or not found or not _ID.fullmatch(found[-1]):
        tags = _git(repository, system, "tag", "--list", "--sort=-creatordate").output.splitlines()
        raise UsageError(
            f"{option} {ref}: the repository has no such commit{_shallow(repository, system)}"
            + (f"; {did_you_mean(ref, tags[:200])}" if tags else ", and no tag"),
            then=f"repeat this command with {option} and a tag, a branch or a commit, or fetch it first",
        )
    return found[-1]


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _shallow(repository: Path, system: System) -> str:
    """What a clone without its history needs; nothing for any other."""
    if _git(repository, system, "rev-parse", "--is-shallow-repository").output.strip() != "true":
        return ""
    return " (this clone is shallow: run `git fetch --unshallow --tags` in it)"


def _git(repository: Path, system: System, *words: str) -> Finished:
    """What git says there; EnvironmentBuildError when it does not run."""
    argv = ["git", "-C", str(repository.resolve()), *words]
    try:
        return system.run(argv, env=git_env(), cwd=ROOT, timeout_s=_GIT_S)
    except (OSError, TimeoutError) as error:
        raise EnvironmentBuildError(
            f"git cannot be run: {error}", then="install git, then repeat this command"
        ) from error
