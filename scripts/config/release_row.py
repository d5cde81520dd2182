"""Puts the row of a new release into the text of suite.toml, whose comments and order stay."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

from packaging.version import InvalidVersion, Version

from scripts.config import matrix_file
from scripts.config.errors import UsageError
from scripts.config.matrix import Release, Suite
from scripts.config.whole_files import write_whole

_FORTNIGHT = timedelta(days=14)
_HEADER = re.compile(r"\[\[release\]\]\s*(#.*)?")
_VERSION = re.compile(r"version\s*=\s*[\"']([^\"']+)[\"']")


def final_version(suite: Suite, text: str) -> str:
    """The version that was typed; UsageError when it is none, no final one, or before all releases of suite.toml."""
    newest = suite.releases[-1].version
    try:
        version = Version(text)
    except InvalidVersion as error:
        raise UsageError(
            f"{text!r} is not a version", then=f"repeat this command with a version such as {newest}"
        ) from error
    if version.is_prerelease or version.local:
        raise UsageError(
            f"{version} is no final release", then=f"nox -s compare -- {newest} PATH, with its wheel, to compare it"
        )
    oldest = suite.releases[0].version
    if version < Version(oldest):
        raise UsageError(
            f"{version} is older than {oldest}, the oldest release of suite.toml",
            then=f"repeat this command with a version after {oldest}",
        )
    return str(version)


def release(version: str, uploaded: date, today: date) -> Release:
    """The row's content; its dependencies are as of a fortnight after the upload, or as of today if that is earlier.

    UsageError for a release of today: what the index has today may still change.
    """
    if uploaded >= today:
        raise UsageError(
            f"promptflow {version} was uploaded on {uploaded}; its dependencies are resolved as of a later day, which "
            "has to be over",
            then=f"repeat this command from {uploaded + timedelta(days=1)} on",
        )
    return Release(version=version, uploaded=uploaded, as_of=min(uploaded + _FORTNIGHT, today))


def with_row(text: str, added: Release) -> tuple[str, Suite]:
    """The text with the row after that of the release before it, and the suite that it then is.

    UsageError when that is not the old suite and this release.
    """
    before, lines = matrix_file.parse(text), text.splitlines(keepends=True)
    rows = {_version(lines[place + 1 :]): place for place, line in enumerate(lines) if _HEADER.fullmatch(line.strip())}
    older = [version for version in rows if version and Version(version) < Version(added.version)]
    place = rows[max(older, key=Version)] + 1 if older else len(lines)
    while place < len(lines) and lines[place].strip() and not lines[place].startswith(("[", "#")):
        place += 1
    row = f'\n[[release]]\nversion = "{added.version}"\nuploaded = {added.uploaded}\nas_of = {added.as_of}\n'
    edited = "".join([*lines[:place], row, *lines[place:]])
    after = matrix_file.parse(edited)
    if [one for one in after.releases if one != added] != list(before.releases) or added not in after.releases:
        raise UsageError(
            f"the row of {added.version} cannot be put into {matrix_file.SUITE_FILE.name}: releases have no table each",
            then=f"add it by hand as docs/adding-a-release.md shows, then nox -s add-release -- {added.version}",
        )
    return edited, after


def write(path: Path, text: str) -> None:
    """Replace suite.toml."""
    write_whole(path, text.encode())


def _version(lines: list[str]) -> str:
    """The version of the row that these lines begin with; empty when they do not say it before the next table."""
    for line in lines:
        if found := _VERSION.match(line):
            return found[1]
        if line.startswith("["):
            break
    return ""
