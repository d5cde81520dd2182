"""Explanations: the stacks that py-spy sampled in two releases under one load, repeat by repeat.

One file each, `results/explanations/<id>.json.gz`, written once. It comes from anywhere, so what is out of limits is
refused before anything is computed from it. Frames have no paths of a machine, no line numbers and no versions.

Schema history
  1  the first.
"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.load_profiles import Profile
from scripts.config.toml_tables import NAME
from scripts.records import compressed, limits
from scripts.records.compressed import CompressedError
from scripts.records.schema import Digests, Machine
from scripts.records.storage import RecordError

FOLDER, TRIALS_FOLDER = "explanations", "explanations/trials"  # of a results directory; the latter for known slowdowns
SUFFIX = ".json.gz"
SCHEMA_VERSION = 1
LONGEST_NAME = 200  # characters of a module or function
_MOST_FILE_BYTES, _MOST_BYTES = 4 * MIB, 64 * MIB  # packed, and unpacked; 8 repeats have 60 kB and 1 MB
_MOST_SAMPLES = 10**9
_MOST_DEPTH = 1000  # Python's own limit
_UNREADABLE = (OSError, CompressedError, UnicodeDecodeError, msgspec.DecodeError, RecursionError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A function on a stack."""

    module: str  # file below site-packages, python/ (standard library) or flow/, e.g. "promptflow/core/_flow.py"
    function: str  # qualified, where the Python says so (3.11 and newer)


Stack = tuple[Frame, ...]
"""From the outermost caller to the function that runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledArm:
    """One of the two releases."""

    release: str
    digests: Digests
    distributions: dict[str, str]  # installed, name to version
    workers: int
    threads: int  # of each worker


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledRun:
    """What was sampled of one server."""

    requests: int  # completed while stacks were sampled, failures included
    failed: int  # of these
    cpu_ms: float  # CPU time of the server's process tree for each request, just before it was sampled
    unread: int  # samples that py-spy could not take
    samples: tuple[tuple[int, int], ...]  # number of a stack, and how often it was seen

    @property
    def total(self) -> int:
        """All samples."""
        return sum(number for _, number in self.samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Two releases under one load at the same time, as often as there are repeats."""

    schema_version: int
    id: str  # as a run's id
    started_at: str  # UTC, ISO 8601
    engine: str
    flow: str
    profile: Profile
    python: str  # of both virtualenvs, with patch version
    machine: Machine
    py_spy: str  # version
    rate_hz: int  # samples a second of each process
    arms: tuple[SampledArm, SampledArm]  # the baseline first
    frames: tuple[Frame, ...]
    stacks: tuple[tuple[int, ...], ...]  # numbers of frames, the outermost caller first
    repeats: tuple[tuple[SampledRun, SampledRun], ...]  # in the order of the arms

    def stack(self, number: int) -> Stack:
        """The frames of a stack."""
        return tuple(self.frames[frame] for frame in self.stacks[number])

    @property
    def releases(self) -> tuple[str, str]:
        """The baseline and the candidate."""
        return self.arms[0].release, self.arms[1].release


def path(results: Path, identity: str, folder: str = FOLDER) -> Path:
    """Where an explanation lies."""
    return results / folder / f"{identity}{SUFFIX}"


def encode(explanation: Explanation) -> bytes:
    """The same bytes for the same explanation."""
    return gzip.compress(msgspec.json.encode(explanation), mtime=0)


def found(results: Path, folder: str = FOLDER) -> Iterator[tuple[Path, Explanation | RecordError]]:
    """All explanations, oldest first; what is wrong with one stands in its place."""
    for file in sorted((results / folder).glob(f"*{SUFFIX}")):
        try:
            yield file, read(file)
        except RecordError as error:
            yield file, error


def read(file: Path) -> Explanation:
    """Read an explanation; RecordError says what is wrong with it, without the path."""
    try:
        text = compressed.gunzip(read_bounded(file, _MOST_FILE_BYTES), _MOST_BYTES)
        version = msgspec.json.decode(text, type=dict[str, msgspec.Raw]).get("schema_version", msgspec.Raw(b"none"))
        if bytes(version) != str(SCHEMA_VERSION).encode():
            shown = bytes(version).decode(errors="replace")[:20]
            raise RecordError(f"schema_version {shown}; this suite reads {SCHEMA_VERSION}")
        explanation = msgspec.json.decode(text, type=Explanation)
    except _UNREADABLE as error:
        raise RecordError(f"it cannot be read: {error}") from error
    if file.name != f"{explanation.id}{SUFFIX}":
        raise RecordError(f"its id {explanation.id[:60]!r} is not the name of its file")
    problem = next(problems(explanation), None)
    if problem is not None:
        raise RecordError(f"it is out of limits: {problem}")
    return explanation


def problems(explanation: Explanation) -> Iterator[str]:
    """What is out of limits; of a good explanation nothing."""
    if not limits.RUN_ID.fullmatch(explanation.id):
        yield "id is no name that this suite makes"
    try:
        datetime.fromisoformat(explanation.started_at)
    except ValueError:
        yield "started_at is not a time"
    for name, value in (("engine", explanation.engine), ("flow", explanation.flow)):
        if not NAME.fullmatch(value):
            yield f"{name} is no name that this suite makes"
    for release in explanation.releases:
        if not limits.LABEL.fullmatch(release):
            yield "a release is no name that this suite makes"
    if not 1 <= explanation.rate_hz <= 100_000:  # noqa: PLR2004 - a sample each 10 us is beyond any sampler
        yield "rate_hz is not 1 to 100000"
    yield from _bad_stacks(explanation)
    for run in itertools.chain.from_iterable(explanation.repeats):
        yield from _bad_run(explanation, run)


def _bad_stacks(explanation: Explanation) -> Iterator[str]:
    for text in (text for frame in explanation.frames for text in (frame.module, frame.function)):
        if not 1 <= len(text) <= LONGEST_NAME or not text.isprintable():
            yield f"{text[:20]!a} is no name of a module or a function"
    known = range(len(explanation.frames))
    for number, stack in enumerate(explanation.stacks):
        if not 1 <= len(stack) <= _MOST_DEPTH or any(frame not in known for frame in stack):
            yield f"stack {number} is empty, too deep, or has frames that are not there"


def _bad_run(explanation: Explanation, run: SampledRun) -> Iterator[str]:
    if not 1 <= run.requests <= _MOST_SAMPLES or not 0 <= run.failed <= run.requests:
        yield "a run has no requests, or more failures than requests"
    if not 0 < run.cpu_ms <= _MOST_SAMPLES:  # nor is a NaN
        yield "a run has a CPU time that cannot be"
    if not 0 <= run.unread <= _MOST_SAMPLES:
        yield "a run has a number of unread samples that cannot be"
    known = range(len(explanation.stacks))
    numbers = [stack for stack, _ in run.samples]
    if any(stack not in known for stack in numbers) or len(set(numbers)) != len(numbers):
        yield "a run has a stack that is not there, or one twice"
    if any(not 1 <= number <= _MOST_SAMPLES for _, number in run.samples):
        yield "a run has a stack with a number of samples that cannot be"
