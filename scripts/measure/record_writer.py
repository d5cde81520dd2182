"""Writes the record of a finished run: beside its final place first, made durable, then moved there in one go."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.host.process import shielded
from scripts.records.schema import Histograms, RunRecord, Second
from scripts.records.storage import (
    HISTOGRAMS_FILE,
    RECORD_FILE,
    RUN_ID,
    RUNS,
    TIMELINE_FILE,
    UNFINISHED,
    RecordError,
    encode_histograms,
    encode_record,
    encode_timeline,
    run_path,
)

_PROBE = re.compile(r"probe-\d+")


def require_writable(results: Path) -> None:
    """UsageError when records cannot be written; better now than after the load."""
    probe = results / RUNS.name / f"probe-{os.getpid()}{UNFINISHED}"
    try:
        probe.mkdir(parents=True)
        probe.rmdir()
    except OSError as error:
        raise UsageError(
            f"results cannot be written to {results}: {error.strerror}",
            then=f"make {results} writable, then repeat this command",
        ) from error


def remove_unfinished(results: Path) -> None:
    """Remove the unfinished records of a killed harness, and nothing else that ends in .tmp."""
    runs = results / RUNS.name
    for pattern, name in ((f"*/*/*/*{UNFINISHED}", RUN_ID), (f"*{UNFINISHED}", _PROBE)):
        for unfinished in runs.glob(pattern):
            if name.fullmatch(unfinished.stem):
                shutil.rmtree(unfinished, ignore_errors=True)


def write_run(results: Path, record: RunRecord, histograms: Histograms | None, timeline: list[Second]) -> Path:
    """Write the run and return its directory; NothingMeasuredError when the disk refuses, and nothing unfinished."""
    files = {RECORD_FILE: encode_record(record)}
    if histograms is not None:
        files |= {HISTOGRAMS_FILE: encode_histograms(histograms), TIMELINE_FILE: encode_timeline(timeline)}
    return _write_whole(results, run_path(record), files)


def write_received(results: Path, record: RunRecord, files: Mapping[str, bytes]) -> Path | None:
    """The same of a run as another machine has recorded it; None when it is here already.

    Where it is written is by the record alone; RecordError for a file that no run has.
    """
    unknown = sorted(files.keys() - {RECORD_FILE, HISTOGRAMS_FILE, TIMELINE_FILE})
    if unknown:
        raise RecordError(f"a run has no file {unknown[0][:60]!r}")
    path = run_path(record)
    return None if (results / path).exists() else _write_whole(results, path, files)


@shielded()  # from Ctrl-C: a record is written whole
def _write_whole(results: Path, path: PurePosixPath, files: Mapping[str, bytes]) -> Path:
    final = results / path
    unfinished = final.with_name(final.name + UNFINISHED)
    try:
        unfinished.mkdir(parents=True)
        for name, content in files.items():
            _write(unfinished / name, content)
        unfinished.rename(final)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise NothingMeasuredError(
            f"the run could not be recorded: {error.strerror}; the runs before it are recorded",
            then=f"make room on the disk of {results}, then repeat this command",
        ) from error
    return final


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
