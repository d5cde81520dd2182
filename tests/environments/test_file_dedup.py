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
    assert [(tmp_path / name / "script").stat().st_mode & 0o777 for name in "ab"] == [0o755, 0o644]


def test_the_cache_of_the_installer_stays_as_it_was(tmp_path: Path) -> None:
    """A file that the installer linked from its cache is put in another's place here, and not there."""
    file_dedup.share(installed(tmp_path / "a", module="text"), tmp_path / "store")
    cached = installed(tmp_path / "cache", module="text") / "module"
    folder = installed(tmp_path / "b")
    os.link(cached, folder / "module")
    file_dedup.share(folder, tmp_path / "store")
    assert not cached.samefile(folder / "module")
    assert cached.read_text(encoding="utf-8") == "text"


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
