"""Reads suite.toml and checks all of it: one error lists everything that is wrong."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from scripts.config import toml_tables
from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.errors import UsageError, did_you_mean
from scripts.config.load_profiles import CAPACITY, COUNT, SOAK, Capacity, Counting, Profile, Soak
from scripts.config.matrix import LATEST, ROOT, Engine, Release, ReleaseLine, Scenario, Suite, SuiteCampaign, Tools
from scripts.config.support import UNSUPPORTED_OUTCOMES, Behaviour, Cause, Unsupported

SUITE_FILE = ROOT / "suite.toml"
_MOST_BYTES = 4 * MIB
_PYTHON = re.compile(r"3\.\d{1,2}")


def load(path: Path = SUITE_FILE) -> Suite:
    """Read and check the whole file; raise one UsageError that lists everything wrong with it."""
    return parse(read(path), path.name)


def read(path: Path = SUITE_FILE) -> str:
    """The text of the file; UsageError when there is none."""
    try:
        return read_bounded(path, _MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path.name, error) from error


def parse(text: str, name: str = SUITE_FILE.name) -> Suite:
    """The suite that a text says, checked as `load` does; `name`: of its file."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, or a number of 5000 digits
        raise _unreadable(name, error) from error
    problems: list[str] = []
    suite = _parse(data, problems)
    if not problems and suite is not None:
        problems.extend(_contradictions(suite))
    if problems or suite is None:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        raise UsageError(
            f"{name} has {len(problems)} problem(s):\n{listing}",
            then=f"correct {name}, then repeat this command",
        )
    return suite


def _unreadable(name: str, error: Exception) -> UsageError:
    return UsageError(f"{name} cannot be read: {error}", then=f"correct {name}, then repeat this command")


def _parse(data: Mapping[str, object], problems: list[str]) -> Suite | None:
    tables = (
        "suite", "tools", "release", "release_line", "engine", "scenario", "campaign", "unsupported", "behaviour",
        "cause", "profile", "capacity", "count", "soak",
    )  # fmt: skip
    head = toml_tables.table(data.get("suite", {}))
    problems.extend(toml_tables.unknown(data, tables, "table"))
    problems.extend(toml_tables.unknown(head, ("python", "watched"), "[suite]"))
    python, watched = head.get("python"), head.get("watched", [])
    watched = watched if isinstance(watched, list) else [None]
    if any(canonicalize_name(str(name)) != name for name in watched):
        problems.append("[suite]: `watched` must be a list of normalized names such as 'opentelemetry-sdk'")
    if not isinstance(python, str):
        problems.append("[suite]: `python` must be a version such as '3.11'")
    parts = {
        "tools": [toml_tables.build(Tools, toml_tables.table(data.get("tools", {})), "[tools]", problems)],
        "capacity": [toml_tables.build(Capacity, toml_tables.table(data.get("capacity", {})), "[capacity]", problems)],
        "count": [toml_tables.build(Counting, toml_tables.table(data.get("count", {})), "[count]", problems)],
        "soak": [toml_tables.build(Soak, toml_tables.table(data.get("soak", {})), "[soak]", problems)],
        "releases": toml_tables.rows(Release, data, "release", problems),
        "lines": toml_tables.rows(ReleaseLine, data, "release_line", problems),
        "engines": toml_tables.named(Engine, data, "engine", problems),
        "scenarios": toml_tables.rows(Scenario, data, "scenario", problems),
        "campaigns": toml_tables.rows(SuiteCampaign, data, "campaign", problems),
        "unsupported": toml_tables.rows(Unsupported, data, "unsupported", problems),
        "behaviours": toml_tables.rows(Behaviour, data, "behaviour", problems),
        "causes": toml_tables.rows(Cause, data, "cause", problems),
        "profiles": toml_tables.named(Profile, data, "profile", problems),
    }
    problems.extend(_bad_versions(parts))
    if problems:
        return None
    single: dict[str, typing.Any] = {key: parts.pop(key)[0] for key in ("tools", "capacity", "count", "soak")}
    whole: dict[str, typing.Any] = {key: tuple(rows) for key, rows in parts.items()}
    whole["releases"] = tuple(sorted(whole["releases"], key=lambda row: Version(row.version)))
    whole["unsupported"] = tuple(
        sorted(whole["unsupported"], key=lambda row: Version(row.before))
    )  # the first that applies counts
    whole["lines"] = tuple(sorted(whole["lines"], key=lambda row: Version(row.since)))
    return Suite(python=str(python), watched=tuple(map(str, watched)), **single, **whole)


def _bad_versions(parts: Mapping[str, list[object]]) -> Iterator[str]:
    """Versions that cannot be ordered; a row that was already refused is None, and skipped."""
    for key, where in (
        ("releases", "[[release]] version"),
        ("lines", "[[release_line]] since"),
        ("engines", "[engine] since"),
        ("unsupported", "[[unsupported]] before"),
        ("behaviours", "[[behaviour]] since"),
    ):
        for text in [getattr(row, where.split()[-1]) for row in parts[key] if row is not None]:
            try:
                Version(text)
            except InvalidVersion:
                yield f"{where}: {text!r} is not a version"


def _contradictions(suite: Suite) -> Iterator[str]:
    """Rows that are right by themselves, and contradict others."""
    pythons = (suite.python, suite.tools.python, *(p for line in suite.lines for p in line.pythons))
    yield from (f"{p!r} is not a Python version such as '3.11'" for p in pythons if not _PYTHON.fullmatch(p))
    yield from _twice("[[release]] version", [r.version for r in suite.releases])
    yield from _twice("[[release_line]] since", [r.since for r in suite.lines])
    yield from _twice("[[scenario]]", [f"{s.engine} {s.flow}" for s in suite.scenarios])
    declared = {"release": suite.releases, "release_line": suite.lines, "engine": suite.engines}
    yield from (f"[{what}]: none declared" for what, rows in declared.items() if not rows)
    yield from _bad_releases(suite)
    for line in suite.lines:
        problems = list(_bad_requirements((*line.requirements, *line.image)))
        problems += [] if suite.python in line.pythons else [f"pythons leaves out {suite.python}, [suite] python"]
        yield from (f"[[release_line]] since {line.since}: {problem}" for problem in problems)
    names = [engine.name for engine in suite.engines]
    unknown = (s for s in suite.scenarios if s.engine not in names)
    yield from (f"[[scenario]] {s.flow}: unknown engine {s.engine!r}; {did_you_mean(s.engine, names)}" for s in unknown)
    for row in suite.unsupported:
        if row.flow not in suite.flows:
            yield f"[[unsupported]] {row.flow}: no scenario has this flow; {did_you_mean(row.flow, suite.flows)}"
        if row.outcome not in UNSUPPORTED_OUTCOMES:
            hint = did_you_mean(row.outcome, UNSUPPORTED_OUTCOMES)
            yield f"[[unsupported]] {row.flow}: {row.outcome!r} is no outcome; {hint}"
    yield from _bad_causes(suite)
    yield from _bad_campaigns(suite)
    yield from _bad_loads(suite)


def _bad_causes(suite: Suite) -> Iterator[str]:
    for name, what, known in (
        ("release", "release", [release.version for release in suite.releases]),
        ("engines", "engine", [engine.name for engine in suite.engines]),
    ):
        for row in suite.causes:
            named = [row.release] if name == "release" else row.engines
            unknown = [one for one in named if one not in known]
            yield from (
                f"[[cause]] {row.release}: unknown {what} {one!r}; {did_you_mean(one, known)}" for one in unknown
            )


def _bad_campaigns(suite: Suite) -> Iterator[str]:
    versions = [release.version for release in suite.releases]
    engines, profiles = [engine.name for engine in suite.engines], [profile.name for profile in suite.profiles]
    for number, row in enumerate(suite.campaigns, 1):
        where, named = f"[[campaign]] row {number}", ((row.first, versions), (row.last, versions))
        for name, known in (*named, (row.engine, engines), (row.profile, profiles)):
            if name not in known:
                yield f"{where}: unknown name {name!r}; {did_you_mean(name, known)}"
        if {row.first, row.last} <= {*versions} and versions.index(row.first) >= versions.index(row.last):
            yield f"{where}: `first` must be before `last`"
        if row.rounds < 1:
            yield f"{where}: rounds must be at least 1"


def _bad_loads(suite: Suite) -> Iterator[str]:
    found = {
        CAPACITY: suite.capacity.problems(), COUNT: suite.count.problems(), SOAK: suite.soak.problems(),
        **{f"profile.{p.name}": p.problems() for p in suite.profiles},
    }  # fmt: skip
    yield from (f"[{table}]: {problem}" for table, problems in found.items() for problem in problems)
    names, known = [profile.name for profile in suite.profiles], [*(one.version for one in suite.releases), LATEST]
    for table, what in (
        (CAPACITY, "whose users it replaces"),
        (COUNT, "under which its runs are recorded"),
        (SOAK, "whose users it replaces"),
    ):
        if table not in names:
            yield f"[{table}]: there is no [profile.{table}], {what}"
    unknown = [one for one in suite.soak.releases if one not in known]
    yield from (f"[soak]: unknown release {one!r}; {did_you_mean(one, known)}" for one in unknown)


def _bad_releases(suite: Suite) -> Iterator[str]:
    for release in suite.releases:
        if release.as_of < release.uploaded:
            yield f"[[release]] {release.version}: as_of is before uploaded"
        if bool(release.constraints) != bool(release.reason):
            yield f"[[release]] {release.version}: constraints need a reason, and a reason constraints"
        yield from (f"[[release]] {release.version}: {p}" for p in _bad_requirements(release.constraints))
        if suite.lines and Version(suite.lines[0].since) > Version(release.version):
            yield f"[[release]] {release.version}: no [[release_line]] has a `since` that early"


def _bad_requirements(texts: tuple[str, ...]) -> Iterator[str]:
    for text in texts:
        try:
            Requirement(text.format(version="1.0.0"))
        except (ValueError, KeyError, IndexError) as error:
            yield f"{text!r} is not a requirement: {error}"


def _twice(what: str, names: list[str]) -> Iterator[str]:
    yield from (f"{what}: {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
