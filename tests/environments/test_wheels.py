"""Wheels of a candidate: what is read of them, and which are refused."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from scripts.config.errors import UsageError
from scripts.environments import wheels
from tests.fakes.wheels import write


def test_read(tmp_path: Path) -> None:
    """A wheel gives its canonical name, its version as its metadata spells it, and the hash of its file."""
    path = write(tmp_path, "promptflow-core", "1.13.0.dev1", said=("PromptFlow_Core", "1.13.0-dev1"))
    wheel = wheels.read(path)
    assert (wheel.name, wheel.version, wheel.path) == ("promptflow-core", "1.13.0-dev1", path)
    assert wheel.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_umbrella_is_first(tmp_path: Path) -> None:
    """The distribution that names the version comes first, whatever the order of the files."""
    for name in reversed(wheels.DISTRIBUTIONS):
        write(tmp_path, name)
    assert tuple(wheel.name for wheel in wheels.read_all(tmp_path)) == wheels.DISTRIBUTIONS


def test_digest_is_of_the_content(tmp_path: Path) -> None:
    """Copies have one digest wherever they lie; another byte is another digest."""
    here, there, other = (tmp_path / name for name in ("here", "there", "other"))
    for folder, module in ((here, "a"), (there, "a"), (other, "b")):
        folder.mkdir()
        for name in ("promptflow", "promptflow-core"):
            write(folder, name, module=module)
    digests = [wheels.digest(wheels.read_all(folder)) for folder in (here, there, other)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("promptflow.whl", "promptflow.whl is not called as a wheel is"),
        ("promptflow-latest-py3-none-any.whl", "is not called as a wheel is"),
        ("promptflow-1.12.0.tar.gz", "is not called as a wheel is"),
        ("promptflow_tools-1.4.0-py3-none-any.whl", "is a wheel of promptflow-tools"),
        ("promptflow-1.12.0-py3-none-any.whl", "cannot be read: File is not a zip file"),
    ],
)
def test_refused(tmp_path: Path, file: str, message: str) -> None:
    """What is not called as a wheel of promptflow, or is no zip file, is refused by name."""
    path = tmp_path / file
    path.write_text("not a wheel", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        wheels.read(path)


def test_torn(tmp_path: Path) -> None:
    """A wheel whose content does not match its own checksums is refused by name."""
    path = write(tmp_path, "promptflow")
    path.write_bytes(path.read_bytes().replace(b"Name: promptflow\n", b"Name: promptflaw\n", 1))
    with pytest.raises(UsageError, match=r"promptflow-1.12.0-py3-none-any.whl cannot be read: Bad CRC-32"):
        wheels.read(path)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("six", "1.12.0"), "says in its METADATA that it is six 1.12.0"),
        (("promptflow", "1.13.0"), "says in its METADATA that it is promptflow 1.13.0"),
        (("promptflow", "new"), "says in its METADATA that it is promptflow new"),
        (("", "1.12.0"), "says in its METADATA that it is nameless 1.12.0"),
    ],
)
def test_metadata_that_disagrees(tmp_path: Path, said: tuple[str, str], message: str) -> None:
    """A wheel whose metadata is not what its file name says is refused."""
    with pytest.raises(UsageError, match=message):
        wheels.read(write(tmp_path, "promptflow", said=said))


@pytest.mark.parametrize("inside", [[], ["a.dist-info/METADATA", "b.dist-info/METADATA"], ["x/y.dist-info/METADATA"]])
def test_not_one_metadata(tmp_path: Path, inside: list[str]) -> None:
    """A wheel without metadata at its top, or with two of them, is refused."""
    path = tmp_path / "promptflow-1.12.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in inside:
            archive.writestr(name, "Name: promptflow\nVersion: 1.12.0\n")
    with pytest.raises(UsageError, match="METADATA files instead of one"):
        wheels.read(path)


def test_two_of_one(tmp_path: Path) -> None:
    """Two wheels of one distribution are refused with both names: nobody could say which is meant."""
    write(tmp_path, "promptflow", "1.12.0")
    write(tmp_path, "promptflow", "1.13.0")
    with pytest.raises(UsageError, match=r"2 wheels of promptflow: promptflow-1.12.0-.*, promptflow-1.13.0-"):
        wheels.read_all(tmp_path)
