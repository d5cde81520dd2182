"""sha256 of everything that decides the numbers."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.config.load_profiles import Counting, Generators, Profile
from scripts.config.matrix import ROOT
from scripts.config.plan import RunSpec
from scripts.environments.locks import Lock
from scripts.measure import loadgen
from scripts.records.schema import Digests
from scripts.serving import launch

_CHECKOUT = ("flows", "locks", "locustfiles", "scripts")
_TEXTS = ("description", "reported")  # of a profile: they change no number
_LOAD_CODE = ("answers.py", "load_user.py", "mock_api.py", "recorder.py", "score.py")
# As if there were no such field: schema 1 had no warm-up, schema 4 no arms at once.
_NOT_THERE = (("warm_up_s", 0), ("at_once", 1))


def of(spec: RunSpec, lock: Lock | None) -> Digests:
    """The digests of a run."""
    return Digests(
        lock=lock.digest if lock else "",
        flow=spec.target.flow.digest if spec.target else "",
        locustfile=_files(*(loadgen.LOCUSTFILES / name for name in _load_code(spec))),
        mock_api=_hashed(_files(ROOT / "scripts" / "measure" / "mock_api_app.py"), *launch.mock_command("PORT")[1:]),
        profile=_hashed(*_profile(spec)),
        tools=of_tools(),
    )


def of_tools() -> str:
    """The versions of everything that makes the load."""
    return _installed("locust", "fastapi", "uvicorn", "uvloop", "httptools")


@functools.cache  # a checkout is not changed under a running harness
def of_checkout() -> str:
    """Everything that is measured with or measured: another commit has another digest, and so has a changed file."""
    files = [ROOT / "suite.toml", *(path for name in _CHECKOUT for path in sorted((ROOT / name).rglob("*")))]
    kept = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
    return _hashed(*(path.relative_to(ROOT).as_posix() for path in kept), _files(*kept))


@functools.cache  # nothing is installed beside a running harness
def _installed(*names: str) -> str:
    """Over the versions installed beside this Python of some distributions and everything that they need."""
    versions: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in versions:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # not needed on this platform after all
            continue
        versions[name] = distribution.version
        needs = [Requirement(text) for text in distribution.requires or ()]
        waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return _hashed(*(f"{name}=={versions[name]}" for name in sorted(versions)))


def _load_code(spec: RunSpec) -> list[str]:
    """The locustfiles and what they import; duet.py and distributed.py belong to the runs that they make alone."""
    duet = [loadgen.DUET] if spec.profile.at_once > 1 else []
    distributed = [loadgen.DISTRIBUTED, "clocks.py"] if spec.generators.several else []
    return sorted((*_LOAD_CODE, *duet, *distributed))


def _profile(spec: RunSpec) -> Iterator[str]:
    """The load, and how it is made and looked at."""
    yield from _load(spec.profile)
    yield from _counting(spec.counting)
    yield from _memory(spec.memory_every_s)
    yield from _generators(spec.generators)


def _load(profile: Profile) -> Iterator[str]:
    fields: dict[str, object] = msgspec.to_builtins(profile)
    unlike = {name: value for name, value in fields.items() if name not in _TEXTS and (name, value) not in _NOT_THERE}
    yield from (f"{name}={value}" for name, value in sorted(unlike.items()))


def _counting(counting: Counting | None) -> Iterator[str]:
    """What is counted; nothing for a load, whose digest is as it was before work was counted.

    The start of the server is counted before the first request, and moves nothing that comes after.
    """
    if counting is not None:
        fields: dict[str, object] = msgspec.to_builtins(counting)
        yield from (f"count.{name}={value}" for name, value in sorted(fields.items()) if name != "start_up")


def _memory(every_s: float | None) -> Iterator[str]:
    """How often memory is sampled under load; nothing where it is not, as before there were soaks."""
    if every_s is not None:
        yield f"memory_every_s={every_s}"


def _generators(generators: Generators) -> Iterator[str]:
    """How many processes made the load; nothing for one, whose digest is as it was before there were several."""
    if generators.several:
        yield from (f"processes={generators.processes}", f"workers={generators.workers}")


def _hashed(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(*paths: Path) -> str:
    return _hashed(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths))
