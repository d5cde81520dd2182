"""Records as files: one directory a run, whose figures never change. Encodes, and reads back with every type checked.

`record.json` (a RunRecord), `histograms.json.gz` (Histograms) and `timeline.csv` (one row a second).
"""

from __future__ import annotations

import csv
import dataclasses
import glob
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np

from scripts.config.bounded_files import MIB, read_bounded
from scripts.records import compressed, histogram_codec, limits
from scripts.records.compressed import CompressedError
from scripts.records.schema import READABLE, RENAMED, RENAMED_IN, HistogramCounts, Histograms, RunRecord, Second, Window

RUNS = Path("results") / "runs"
RECORD_FILE, HISTOGRAMS_FILE, TIMELINE_FILE = "record.json", "histograms.json.gz", "timeline.csv"
_PLAIN_HISTOGRAMS_FILE = "histograms.json"  # of a record before schema 9
_MOST_RECORD_BYTES, _MOST_BYTES = 4 * MIB, 64 * MIB  # a record of 100 packages has 10 kB
_UNREADABLE = (OSError, CompressedError, UnicodeDecodeError, msgspec.DecodeError, RecursionError)
_DEPTH = 2  # of fields that have a line of their own
_EXACT = ("total_us", "max_us", "min_us", "significant_digits")  # what the buckets do not hold
RUN_ID = limits.RUN_ID
UNFINISHED = ".tmp"  # suffix of a run that is being written; readers pass it over


class RecordError(Exception):
    """A record that cannot be read: truncated, foreign, or of another schema."""


def cell_path(profile: str, release: str, engine: str, flow: str) -> PurePosixPath:
    """Where the runs of one release, engine, flow and profile lie, relative to a results directory."""
    return PurePosixPath(RUNS.name, profile, release, f"{engine}-{flow}")


def run_path(record: RunRecord) -> PurePosixPath:
    """Where a run lies, relative to a results directory."""
    requested = record.requested
    return cell_path(requested.profile.name, requested.release, requested.engine, requested.flow) / record.run_id


def run_directories(results: Path, *, profile: str = "*", release: str = "*", scenario: str = "*") -> list[Path]:
    """The directories of finished runs, by path; `scenario` is "<engine>-<flow>". Each "*" stands for all."""
    pattern = "/".join(
        [RUNS.name, *(name if name == "*" else glob.escape(name) for name in (profile, release, scenario))]
    )
    return sorted(path for path in results.glob(f"{pattern}/*") if path.suffix != UNFINISHED and path.is_dir())


def encode_record(record: RunRecord) -> bytes:
    """JSON that git can delta."""
    return in_lines(msgspec.json.encode(record))


def in_lines(content: bytes) -> bytes:
    """The same JSON object with a line for each field and each field of a field: few bytes, and still to be read."""
    return _in_lines(msgspec.json.format(content, indent=-1), "", _DEPTH) + b"\n"


def _in_lines(content: bytes, indent: str, depth: int) -> bytes:
    if not depth or not content.startswith(b"{") or content == b"{}":
        return content
    fields = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    inner = f"{indent} "
    lines = (
        inner.encode() + msgspec.json.encode(name) + b": " + _in_lines(bytes(value), inner, depth - 1)
        for name, value in fields.items()
    )
    return b"{\n" + b",\n".join(lines) + b"\n" + indent.encode() + b"}"


def encode_histograms(histograms: Histograms) -> bytes:
    """JSON, one line for each distribution, packed as HdrHistogram does it; as gzip, because it is base64."""
    lines = []
    for window, kinds in histograms.windows.items():
        for kind, counts in kinds.items():
            exact = {name: getattr(counts, name) for name in _EXACT}
            body = msgspec.json.encode({"packed": histogram_codec.packed(counts), **exact}).decode()
            lines.append(f'{{"window":"{window}","kind":"{kind}","counts":{body}}}')
    return gzip.compress(('{"distributions":[\n' + ",\n".join(lines) + "\n]}\n").encode(), mtime=0)


def encode_timeline(seconds: list[Second]) -> bytes:
    """CSV with a header; an empty cell is None."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Second))
    for row in seconds:
        writer.writerow("" if value is None else value for value in dataclasses.astuple(row))
    return out.getvalue().encode()


def read_record(directory: Path) -> RunRecord:
    """Read `record.json`; RecordError says what is wrong with it, without the path."""
    try:
        content = read_bounded(directory / RECORD_FILE, _MOST_RECORD_BYTES)
    except OSError as error:
        raise RecordError(f"{RECORD_FILE} cannot be read: {_plain(error)}") from error
    record = decode_record(content)
    if record.run_id != directory.name:
        raise RecordError(f"run_id {record.run_id[:60]!r} is not the name of its directory")
    return record


def decode_record(content: bytes) -> RunRecord:
    """A record, whose names are safe in a path; RecordError says what is wrong with it."""
    try:
        fields = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        version = fields.get("schema_version")
        if version is None:
            raise RecordError("not a run record: it has no schema_version")
        if bytes(version) not in {str(known).encode() for known in READABLE}:
            known = f"this suite reads schema_version {', '.join(map(str, READABLE))}"
            raise RecordError(f"schema_version {bytes(version).decode(errors='replace')[:20]}; {known}")
        if int(bytes(version)) < RENAMED_IN:
            fields = {RENAMED.get(name, name): value for name, value in fields.items()}
        record = msgspec.json.decode(msgspec.json.encode(fields), type=RunRecord)
    except _UNREADABLE as error:
        raise RecordError(f"{RECORD_FILE} cannot be read: {_plain(error)}") from error
    if not RUN_ID.fullmatch(record.run_id):
        raise RecordError(f"run_id {record.run_id[:60]!r} is no name that this suite makes")
    _require_none(RECORD_FILE, limits.problems(record))
    return record


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredCounts:
    """As HistogramCounts, with one of three forms of the values, by schema: 1 plain, 2 increments, 3 packed."""

    total_us: int
    max_us: int
    min_us: int
    significant_digits: int = 4
    values_us: tuple[int, ...] = ()
    steps_us: tuple[int, ...] = ()  # from value to value, the first from 0
    counts: tuple[int, ...] = ()
    packed: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Distribution:
    window: Window
    kind: str
    counts: _StoredCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class _HistogramsFile:
    distributions: tuple[_Distribution, ...]


def read_histograms(directory: Path) -> Histograms:
    """Read `histograms.json.gz`; RecordError when it cannot be."""
    plain = directory / _PLAIN_HISTOGRAMS_FILE
    name = _PLAIN_HISTOGRAMS_FILE if plain.exists() else HISTOGRAMS_FILE
    try:
        content = read_bounded(directory / name, _MOST_BYTES)
        text = content if name == plain.name else compressed.gunzip(content, _MOST_BYTES)
        found = msgspec.json.decode(text, type=_HistogramsFile)
    except _UNREADABLE as error:
        raise RecordError(f"{name} cannot be read: {_plain(error)}") from error
    windows: dict[Window, dict[str, HistogramCounts]] = {"ramp": {}, "steady": {}, "drain": {}}
    for row in found.distributions:
        try:
            counts = _counts(row.counts)
        except (histogram_codec.PackedError, OverflowError) as error:
            raise RecordError(f"{name}: {row.window} {row.kind} cannot be read: {error}") from error
        if len(counts.values_us) != len(counts.counts):
            raise RecordError(f"{name}: {row.window} {row.kind} has values without counts")
        windows[row.window][row.kind] = counts
    found_whole = Histograms(windows=windows)
    _require_none(name, limits.histogram_problems(found_whole))
    return found_whole


def _counts(stored: _StoredCounts) -> HistogramCounts:
    if stored.packed:
        values, counts = histogram_codec.unpacked(stored.packed, stored.significant_digits)
    else:
        values = (
            np.array(stored.values_us, dtype=np.int64)
            if stored.values_us
            else np.cumsum(stored.steps_us, dtype=np.int64)
        )
        counts = np.array(stored.counts, dtype=np.int64)
    return HistogramCounts(
        values_us=values,
        counts=counts,
        total_us=stored.total_us,
        max_us=stored.max_us,
        min_us=stored.min_us,
        significant_digits=stored.significant_digits,
    )


def read_timeline(directory: Path) -> list[Second]:
    """Read `timeline.csv`; RecordError when it cannot be."""
    try:
        text = read_bounded(directory / TIMELINE_FILE, _MOST_BYTES).decode("utf-8")
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(io.StringIO(text, newline=""))]
        seconds = msgspec.convert(rows, type=list[Second], strict=False)
    except (*_UNREADABLE, csv.Error) as error:
        raise RecordError(f"{TIMELINE_FILE} cannot be read: {_plain(error)}") from error
    _require_none(TIMELINE_FILE, limits.timeline_problems(seconds))
    return seconds


def _require_none(file: str, problems: Iterator[str]) -> None:
    """Raise RecordError with the first problem."""
    problem = next(problems, None)
    if problem is not None:
        raise RecordError(f"{file} is out of limits: {problem}")


def _plain(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
