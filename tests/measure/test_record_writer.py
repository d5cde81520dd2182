"""Keeping a run: whole or not at all, and never over another."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.measure import record_writer
from scripts.records.storage import UNFINISHED, read_histograms, read_record, read_timeline, run_path
from tests.fakes import values


def everything(path: Path) -> dict[Path, bytes]:
    """All files under a directory, with their content."""
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def full(*_arguments: object) -> NoReturn:
    """A disk that takes no more."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_kept(tmp_path: Path) -> None:
    """A run is written to its own directory and reads back as it was; nothing unfinished is left beside it."""
    directory = record_writer.write_run(tmp_path, values.RECORD, values.HISTOGRAMS, values.TIMELINE)
    assert directory == tmp_path / run_path(values.RECORD)
    assert read_record(directory) == values.RECORD
    assert read_histograms(directory) == values.HISTOGRAMS
    assert read_timeline(directory) == values.TIMELINE
    assert [path.name for path in directory.parent.iterdir()] == [values.RECORD.run_id]


def test_without_measurements(tmp_path: Path) -> None:
    """A run that measured nothing is a record alone."""
    directory = record_writer.write_run(tmp_path, values.RECORD, None, [])
    assert [path.name for path in directory.iterdir()] == ["record.json"]


def test_same_run_twice(tmp_path: Path) -> None:
    """A record is never written over: the first stays, byte for byte."""
    record_writer.write_run(tmp_path, values.RECORD, values.HISTOGRAMS, values.TIMELINE)
    before = everything(tmp_path)
    with pytest.raises(NothingMeasuredError, match="could not be recorded"):
        record_writer.write_run(tmp_path, values.RECORD, None, [])
    assert everything(tmp_path) == before


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while a run is written costs this run only, and leaves nothing unfinished."""
    earlier = record_writer.write_run(tmp_path, values.RECORD, values.HISTOGRAMS, values.TIMELINE)
    earlier.rename(earlier.with_name("20261116T110000Z-0a1b2c"))
    before = everything(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        NothingMeasuredError, match="No space left on device; the runs before it are recorded"
    ) as caught:
        record_writer.write_run(tmp_path, values.RECORD, values.HISTOGRAMS, values.TIMELINE)
    assert str(tmp_path) not in caught.value.message
    assert everything(tmp_path) == before
    assert not list(tmp_path.rglob(f"*{UNFINISHED}"))


def test_unfinished_records_are_removed(tmp_path: Path) -> None:
    """What a harness that was killed while writing left is removed; runs stay."""
    directory = record_writer.write_run(tmp_path, values.RECORD, None, [])
    unfinished = directory.with_name(f"20261116T130000Z-ffffff{UNFINISHED}")
    unfinished.mkdir()
    (unfinished / "record.json").write_text("{", encoding="utf-8")
    probe = tmp_path / "runs" / f"probe-123{UNFINISHED}"
    probe.mkdir()
    record_writer.remove_unfinished(tmp_path)
    assert list(directory.parent.iterdir()) == [directory]
    assert not probe.exists()


@pytest.mark.parametrize(
    "name",
    [
        "mine.tmp",
        "20261116T130000Z-ffffff.tmp",
        "a/b/c/mine.tmp",
        "a/b/c/probe-1.tmp",
        "a/b/c/d/20261116T130000Z-ffffff.tmp",
    ],
)
def test_foreign_files_are_not_removed(tmp_path: Path, name: str) -> None:
    """What only looks like an unfinished record, by its name or by its place, stays."""
    mine = tmp_path / "runs" / name
    mine.mkdir(parents=True)
    record_writer.remove_unfinished(tmp_path)
    assert mine.exists()


def test_nothing_to_remove(tmp_path: Path) -> None:
    """Before the first run there is nothing to remove, and that is no error."""
    record_writer.remove_unfinished(tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_writable(tmp_path: Path) -> None:
    """Results that can be written to leave no trace of the question."""
    record_writer.require_writable(tmp_path / "results")
    assert list((tmp_path / "results" / "runs").iterdir()) == []


def test_not_writable(tmp_path: Path) -> None:
    """Results that cannot be written to are refused before anything starts, with what to do."""
    (tmp_path / "runs").write_text("in the way", encoding="utf-8")
    with pytest.raises(UsageError, match="results cannot be written") as caught:
        record_writer.require_writable(tmp_path)
    assert str(tmp_path) in caught.value.then
