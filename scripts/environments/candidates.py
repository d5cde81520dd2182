"""What can be measured: a release of suite.toml, the same as of another day, or a candidate that is not released.

Each is locked and digested like a release; only the locks of releases as of their own day are committed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from packaging.version import Version

from scripts.config import python_label
from scripts.config.errors import EnvironmentBuildError, UsageError, did_you_mean
from scripts.config.matrix import Release, Suite
from scripts.environments import locks, virtualenvs, wheel_builds
from scripts.environments.locks import Inputs, Lock
from scripts.environments.wheel_builds import CandidateWheels
from scripts.host.process import System


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One side of a comparison: something that a virtualenv can be built of."""

    release: Release  # its version is the label: "1.12.0", "1.12.0+asof.20250124", "1.12.0+1a2b3c4d", "1.12.0+py3.12"
    version: str  # what the live server's /version must say
    lock: Lock
    about: str  # one line for people, without a path
    python: str | None = None  # that serves it, e.g. "3.12", where Pythons are compared; None: that of the campaign


def resolve(
    suite: Suite, spec: str, *, uv: str, system: System, as_of: date | None = None, dry_run: bool = False
) -> Arm:
    """From what was typed to what can be measured; a lock that is not committed is resolved unless it stands.

    `spec` is a release, a wheel, a directory of wheels, a source checkout, or git+URL[@REF]. Dependencies are
    those of `as_of`. Without it a release has its committed lock; a candidate of a release's version has that
    release's day, so that the two differ in promptflow alone; any other candidate is resolved as of today.
    `dry_run`: the arm is for a plan, so a release as of another day is not resolved, and its lock is empty.
    """
    if as_of is not None and as_of > _today():
        raise UsageError(
            f"{as_of} is in the future", then=f"repeat this command with --as-of {_today()}, or an earlier day"
        )
    require_exists(suite, spec)
    if _is_release(suite, spec):
        release = suite.release(spec)
        if dry_run and as_of is not None and as_of != release.as_of:
            return _planned_release(suite, release, as_of)
        return _release(suite, release, as_of, uv, system)
    return _candidate(suite, wheel_builds.collect(spec, uv=uv, system=system), as_of, uv, system)


def resolve_commit(
    suite: Suite, repository: Path, commit: str, *, uv: str, system: System, as_of: date | None = None
) -> Arm:
    """The same of a commit of a local repository."""
    return _candidate(suite, wheel_builds.collect_commit(repository, commit, uv=uv, system=system), as_of, uv, system)


def on_python(arm: Arm, python: str) -> Arm:
    """The arm as one of which the Python is compared: its label and what people read say which."""
    label = python_label.with_python(arm.release.version, python)
    release = dataclasses.replace(arm.release, version=label)
    return dataclasses.replace(arm, release=release, python=python, about=f"{arm.about} on Python {python}")


def require_exists(suite: Suite, spec: str) -> None:
    """UsageError unless it names a release of suite.toml, or something that wheels can come from."""
    if not _is_release(suite, spec) and not wheel_builds.exists(spec):
        versions = [release.version for release in suite.releases]
        raise UsageError(
            f"{spec!r} is no release of suite.toml, and no file or directory; {did_you_mean(spec, versions)}",
            then="name a release, a wheel, a directory of wheels, a source checkout, or git+URL[@REF]",
        )


def _is_release(suite: Suite, spec: str) -> bool:
    return suite.named(spec) is not None


def _release(suite: Suite, release: Release, as_of: date | None, uv: str, system: System) -> Arm:
    about = f"promptflow {release.version}"
    if as_of is None or as_of == release.as_of:
        return _arm(release, locks.read(locks.of_release(suite, release)), about)
    moved, inputs = _moved(suite, release, as_of)
    return _arm(moved, _lock(inputs, uv, system), f"{about} as of {as_of}")


def _planned_release(suite: Suite, release: Release, as_of: date) -> Arm:
    """A release as of a day, of which nothing is resolved."""
    moved, inputs = _moved(suite, release, as_of)
    lock = Lock(path=inputs.path, digest="", requirements=())
    return Arm(release=moved, version=release.version, lock=lock, about=f"promptflow {release.version} as of {as_of}")


def _moved(suite: Suite, release: Release, as_of: date) -> tuple[Release, Inputs]:
    """A release as of another day than its own, and what its lock is made from."""
    if as_of <= release.uploaded:  # a day counts from its beginning
        raise UsageError(
            f"promptflow {release.version} was uploaded on {release.uploaded}: not there yet as of {as_of}",
            then=f"repeat this command with a --as-of after {release.uploaded}",
        )
    label = f"{_extended(Version(release.version))}asof.{as_of:%Y%m%d}"
    moved = dataclasses.replace(release, version=label, as_of=as_of)
    return moved, dataclasses.replace(locks.of_release(suite, release), name=label, as_of=as_of, committed=False)


def _candidate(suite: Suite, collected: CandidateWheels, as_of: date | None, uv: str, system: System) -> Arm:
    """A candidate has the version of the umbrella, `promptflow`, or of the first part that it brings."""
    version = Version(collected.wheels[0].version)
    same = next((release for release in suite.releases if Version(release.version) == Version(version.public)), None)
    usual = same.as_of if same else _today()
    day = as_of or usual
    label = Version(_extended(version) + collected.digest[:8] + (f".asof.{day:%Y%m%d}" if day != usual else ""))
    constraints, reason = (same.constraints, same.reason) if same else ((), "")
    release = Release(version=str(label), uploaded=day, as_of=day, constraints=constraints, reason=reason)
    public = dataclasses.replace(release, version=version.public)  # an umbrella that is not brought is the index's
    if not suite.has_line(public):
        raise UsageError(
            f"promptflow {version} is before every release line of suite.toml",
            then=f"name a candidate from {suite.lines[0].since} on",
        )
    inputs = Inputs(
        name=release.version,
        requirements=suite.requirements(public),
        as_of=day,
        pythons=suite.line(public).pythons,
        wheels=collected.wheels,
        committed=False,
    )
    about = f"promptflow {version} from {collected.origin}" + (f" as of {day}" if same is None or day != usual else "")
    return _arm(release, _lock(inputs, uv, system), about)


def _extended(version: Version) -> str:
    """The version, ready for another local part (PEP 440)."""
    return f"{version}." if version.local else f"{version}+"


def _lock(inputs: Inputs, uv: str, system: System) -> Lock:
    """The lock as it stands, resolved again when its seal does not hold."""
    try:
        return locks.read(inputs)
    except EnvironmentBuildError:
        locks.write(inputs, uv=uv, env=virtualenvs.install_env(), system=system)
        return locks.read(inputs)


def _arm(release: Release, lock: Lock, about: str) -> Arm:
    """/version reports the version of promptflow-core, since there is one (1.8.0); before, that of promptflow."""
    reported = lock.pins.get("promptflow-core") or lock.pins["promptflow"]
    return Arm(release=release, version=reported[0], lock=lock, about=about)


def _today() -> date:
    return datetime.now(tz=UTC).date()
