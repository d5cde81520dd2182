"""Virtualenvs share files of the same content, whatever distribution they came with."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from scripts.environments import file_dedup


def installed(folder: Path, **files: str) -> Path:
    """A folder with files of those names and texts."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_one_file(tmp_path: Path) -> None:
    """What two hold alike is one file; what differs stays each one's own."""
    first = installed(tmp_path / "a", same="text", other="one")
    second = installed(tmp_path / "b", moved="text", other="two")
    for folder in (first, second):
        file_dedup.share(folder, tmp_path / "store")
    assert (first / "same").samefile(second / "moved")
    assert [(folder / "other").read_text(encoding="utf-8") for folder in (first, second)] == ["one", "two"]
    assert sorted(path.name for path in second.iterdir()) == ["moved", "other"]


def test_permissions(tmp_path: Path) -> None:
    """A script that may be run and its copy that may not are two."""
    for name, mode in (("a", 0o755), ("b", 0o644)):
        (installed(tmp_path / name, script="text") / "script").chmod(mode)
        file_dedup.share(tmp_path / name, tmp_path / "store")
    assert [(tmp_path / name / "script").stat().st_mode & 0o777 for name in "ab"] == [0o555, 0o444]


def stored(store: Path) -> Path:
    """The one file of a store."""
    (file,) = (path for path in store.rglob("*") if path.is_file())
    return file


@pytest.mark.fault
@pytest.mark.parametrize("text", ["", "text altered", "TEXT"])
def test_an_altered_stored_file_is_replaced_by_the_good_one(tmp_path: Path, text: str) -> None:
    """A stored file that was emptied or altered in place reaches no new folder: the good one takes its place."""
    first = installed(tmp_path / "a", module="text")
    file_dedup.share(first, tmp_path / "store")
    stored(tmp_path / "store").chmod(0o644)
    stored(tmp_path / "store").write_text(text, encoding="utf-8")
    assert (first / "module").read_text(encoding="utf-8") == text
    for name in ("b", "c"):
        file_dedup.share(installed(tmp_path / name, module="text"), tmp_path / "store")
    assert (tmp_path / "b" / "module").read_text(encoding="utf-8") == "text"
    assert (tmp_path / "b" / "module").samefile(tmp_path / "c" / "module")
    assert (tmp_path / "b" / "module").samefile(stored(tmp_path / "store"))


@pytest.mark.fault
def test_shared_files_are_read_only(tmp_path: Path) -> None:
    """Nobody may write into a file that others share; the folder with it can be deleted all the same."""
    for name in ("a", "b"):
        file_dedup.share(installed(tmp_path / name, module="text"), tmp_path / "store")
    for file in (tmp_path / "a" / "module", tmp_path / "b" / "module", stored(tmp_path / "store")):
        assert file.stat().st_mode & 0o777 == 0o444
    shutil.rmtree(tmp_path / "a")
    assert (tmp_path / "b" / "module").read_text(encoding="utf-8") == "text"


@pytest.mark.fault
def test_a_stored_file_that_may_be_written_again_is_protected_again(tmp_path: Path) -> None:
    """Whoever made a stored file writable has not made that so for good."""
    file_dedup.share(installed(tmp_path / "a", module="text"), tmp_path / "store")
    stored(tmp_path / "store").chmod(0o644)
    file_dedup.share(installed(tmp_path / "b", module="text"), tmp_path / "store")
    assert (tmp_path / "b" / "module").stat().st_mode & 0o777 == 0o444


def test_digests(tmp_path: Path) -> None:
    """Every file has its digest, empty ones too, which stay as they are; links are passed over."""
    folder = installed(tmp_path / "a" / "package", empty="", full="text")
    (folder / "link").symlink_to("full")
    digests = file_dedup.share(tmp_path / "a", tmp_path / "store")
    assert digests == {
        folder / name: hashlib.sha256(text).hexdigest() for name, text in (("empty", b""), ("full", b"text"))
    }
    assert (folder / "empty").stat().st_nlink == 1
    assert (folder / "link").is_symlink()


def test_too_many_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system takes no more links the file stays as it was."""
    file_dedup.share(installed(tmp_path / "a", module="text"), tmp_path / "store")
    folder = installed(tmp_path / "b", module="text")

    def refused(*_: object) -> None:
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    monkeypatch.setattr(os, "link", refused)
    file_dedup.share(folder, tmp_path / "store")
    assert [path.read_text(encoding="utf-8") for path in folder.iterdir()] == ["text"]


def test_what_nobody_shares_any_more_goes(tmp_path: Path) -> None:
    """After a folder is deleted the store keeps only what another one still has."""
    for name in ("a", "b"):
        file_dedup.share(installed(tmp_path / name, both="text", own=name), tmp_path / "store")
    shutil.rmtree(tmp_path / "a")
    file_dedup.prune(tmp_path / "store")
    kept = [path.read_text(encoding="utf-8") for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert sorted(kept) == ["b", "text"]
