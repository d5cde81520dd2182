"""Archives of records: what goes in comes out, and nothing that an archive brings lands elsewhere."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from scripts.records import archives, storage
from scripts.records.storage import RecordError
from tests.fakes import synthetic_runs

GOOD = "runs/duet/1.18.5/fastapi-static_async/20261128T000000Z-abcdef/record.json"


def archive(folder: Path, *members: tarfile.TarInfo, text: bytes = b"{}") -> Path:
    """An archive of these members, each with this text."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for member in members:
            member.size = len(text) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(text))
    made = folder / f"made{archives.SUFFIX}"
    made.write_bytes(lzma.compress(content.getvalue()))
    return made


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    """A member that leads to another file."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/hostname"
    return member


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


def test_records_come_out_as_they_went_in(tmp_path: Path) -> None:
    """Every file of every finished run has the same bytes, and a run that is being written is not packed."""
    results, unpacked, packed = tmp_path / "results", tmp_path / "unpacked", tmp_path / "packed"
    for number in (1, 2):
        synthetic_runs.write(results, synthetic_runs.record(number=number))
    expected = files(results)
    unfinished = storage.run_directories(results)[0].with_suffix(storage.UNFINISHED)
    unfinished.mkdir()
    (unfinished / storage.RECORD_FILE).write_text("{")
    packed.write_bytes(archives.packed(results))
    archives.unpack(packed, unpacked)
    assert files(unpacked) == expected


def test_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    """Neither when a file was written nor who may read it is in an archive."""
    directory = synthetic_runs.write(tmp_path, synthetic_runs.record())
    before = archives.packed(tmp_path)
    os.utime(directory / storage.RECORD_FILE, (1, 1))
    (directory / storage.RECORD_FILE).chmod(0o600)
    assert archives.packed(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    [
        "../outside", "/etc/outside", GOOD.replace("1.18.5", ".."), GOOD.replace("1.18.5", "."), GOOD + "/deeper",
        "runs/duet/record.json", GOOD.replace("duet", "du et"), GOOD.replace("runs", "comparisons"), GOOD + "\n",
        GOOD.replace("1.18.5", "1" * 300),
    ],
)  # fmt: skip
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    """Only names that records have are unpacked; what came before a bad one is not written either."""
    made = archive(tmp_path, tarfile.TarInfo(GOOD), tarfile.TarInfo(name))
    with pytest.raises(RecordError, match="is no file of a record"):
        archives.unpack(made, tmp_path / "into")
    assert files(tmp_path) == {made.name: made.read_bytes()}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    """A link, a directory, a device or a pipe is no file of a record, whatever its name."""
    with pytest.raises(RecordError, match="is no file of a record"):
        archives.unpack(archive(tmp_path, link(GOOD, kind)), tmp_path / "into")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    """One that is cut off anywhere, or is something else, is named as unreadable."""
    whole = archive(tmp_path, tarfile.TarInfo(GOOD), text=os.urandom(5000)).read_bytes()
    made = tmp_path / "damaged"
    for content in (
        b"",
        b"no archive",
        whole[:20],
        whole[:-1],
        whole[: len(whole) // 2],
        lzma.compress(b"no tar" * 999),
    ):
        made.write_bytes(content)
        with pytest.raises(RecordError):
            archives.unpack(made, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_archive_cut_within_is_refused(tmp_path: Path) -> None:
    """A tar that ends within a file gives an error, not a shorter file."""
    content = lzma.decompress(archive(tmp_path, tarfile.TarInfo(GOOD), text=b"x" * 2000).read_bytes())
    made = tmp_path / "cut"
    made.write_bytes(lzma.compress(content[:1500]))
    with pytest.raises(RecordError):
        archives.unpack(made, tmp_path / "into")


def test_bombs_are_refused(tmp_path: Path) -> None:
    """A small file that unpacks to more than any records have stops at the bound."""
    made = tmp_path / "bomb"
    made.write_bytes(lzma.compress(bytes(80 * 2**20), preset=0))
    assert made.stat().st_size < 2**20
    with pytest.raises(RecordError, match="cut off, or larger than 64 MiB"):
        archives.unpack(made, tmp_path / "into")


def test_missing_archive(tmp_path: Path) -> None:
    """An archive that is not there, or is a directory, is named as unreadable too."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(RecordError, match="cannot be unpacked"):
            archives.unpack(path, tmp_path / "into")


def test_no_place_to_write_is_no_damaged_archive(tmp_path: Path) -> None:
    """A directory that cannot be written to, as on a full disk, is the error of the system and not of the archive."""
    made = archive(tmp_path, tarfile.TarInfo(GOOD))
    with pytest.raises(NotADirectoryError):
        archives.unpack(made, made / "into")
