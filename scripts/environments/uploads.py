"""The day on which a release was uploaded, as the package index says through the resolver."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from scripts.config.errors import EnvironmentBuildError, UsageError, quoted
from scripts.config.matrix import ROOT
from scripts.host.process import System

_RESOLVE_S = 120
_NO_VERSION = "there is no version of"  # the resolver's own words


def uploaded(version: str, *, uv: str, env: Mapping[str, str], system: System) -> date | None:
    """The day (UTC) of the first file of promptflow's release; None when the index does not tell days.

    UsageError when it has no such release, EnvironmentBuildError when it cannot be asked.
    """
    command = [uv, "pip", "compile", "--no-deps", "--format", "pylock.toml", "--no-header", "--quiet"]
    try:
        told = system.run([*command, str(_requirement(version))], env=env, cwd=ROOT, timeout_s=_RESOLVE_S)
    except TimeoutError as error:
        raise EnvironmentBuildError(
            f"the package index does not answer: {error}", then="repeat this command"
        ) from error
    if _NO_VERSION in told.output:
        raise UsageError(
            f"the package index has no promptflow {version}",
            then="repeat this command with a version that was published",
        )
    if told.code != 0:
        raise EnvironmentBuildError(
            f"the package index cannot be asked for promptflow {version}:\n{quoted(told.output)}",
            then="give access to the index, then repeat this command",
        )
    return _first_day(told.output)


def _requirement(version: str) -> Path:
    scratch = ROOT / ".scratch"
    scratch.mkdir(exist_ok=True)
    file = scratch / "uploaded.in"
    file.write_text(f"promptflow=={version}\n", encoding="utf-8")
    return file


def _first_day(lock: str) -> date | None:
    """The earliest upload time of a pylock.toml (PEP 751, where it is optional)."""
    try:
        packages = tomllib.loads(lock)["packages"]
    except (tomllib.TOMLDecodeError, KeyError):
        return None
    files = [
        file
        for package in packages
        for file in [*package.get("wheels", []), package.get("sdist"), package.get("archive")]
    ]
    times = [file["upload-time"] for file in files if file is not None and "upload-time" in file]
    return min((_utc(time) for time in times), default=None)


def _utc(time: datetime) -> date:
    return time.astimezone(UTC).date()
