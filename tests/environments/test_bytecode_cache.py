"""Compiled modules are shared between virtualenvs, and never taken for another source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.environments import bytecode_cache, file_dedup

TAG = str(sys.implementation.cache_tag)
WHERE = "def where():\n    return where.__code__.co_filename\n"

pytestmark = pytest.mark.process


def cached(folder: Path, source: str, at: float = 1_000_000_000) -> Path:
    """A module in an installer's cache, unpacked at that time."""
    folder.mkdir(parents=True)
    path = folder / "module.py"
    path.write_text(source, encoding="utf-8")
    os.utime(path, (at, at))
    return path


def installed(site_packages: Path, module: Path) -> Path:
    """A site-packages with that module linked into it."""
    (site_packages / "package").mkdir(parents=True)
    os.link(module, site_packages / "package" / "module.py")
    return site_packages


def compiled(site_packages: Path, store: Path) -> Path:
    """The compiled file of its module, made the way a build makes it."""
    build(site_packages, store)
    return site_packages / "package" / "__pycache__" / f"module.{TAG}.pyc"


def build(site_packages: Path, store: Path) -> None:
    """Share and compile what is there; some of it may be no Python."""
    digests = file_dedup.share(site_packages, store / "files")
    with bytecode_cache.shared(site_packages, digests, TAG, store / "bytecode"):
        subprocess.run(bytecode_cache.command(Path(sys.executable), site_packages), check=False)


def answer(site_packages: Path, expression: str) -> str:
    """What an expression gives when the module is imported from there, with no source compiled anew."""
    code = f"import sys; sys.path.insert(0, {str(site_packages)!r}); from package import module; print({expression})"
    return subprocess.run([sys.executable, "-B", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_one_file(tmp_path: Path) -> None:
    """Two virtualenvs with the same source have one compiled file between them."""
    module, store = cached(tmp_path / "cache", WHERE), tmp_path / "store"
    first, second = (compiled(installed(tmp_path / name, module), store) for name in ("a", "b"))
    assert first.samefile(second)


def test_own_path(tmp_path: Path) -> None:
    """A module that came from another virtualenv still names its own path, so tracebacks lead to the right place."""
    module, store = cached(tmp_path / "cache", WHERE), tmp_path / "store"
    for name in ("a", "b"):
        compiled(installed(tmp_path / name, module), store)
    assert answer(tmp_path / "b", "module.where()") == str(tmp_path / "b" / "package" / "module.py")


def test_loaded_and_not_compiled_anew(tmp_path: Path) -> None:
    """Python takes the shared file for valid."""
    module, store = cached(tmp_path / "cache", WHERE), tmp_path / "store"
    for name in ("a", "b"):
        compiled(installed(tmp_path / name, module), store)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'b')!r}); import package.module"
    said = subprocess.run([sys.executable, "-v", "-c", code], check=True, capture_output=True, text=True).stderr
    assert f"{TAG}.pyc matches {tmp_path / 'b' / 'package' / 'module.py'}" in said


def test_another_source(tmp_path: Path) -> None:
    """A source of the same path, second and size but another text has a compiled file of its own."""
    store = tmp_path / "store"
    for name, text in (("a", "VERSION = '1.10.0'\n"), ("b", "VERSION = '1.11.0'\n")):
        compiled(installed(tmp_path / name, cached(tmp_path / f"cache-{name}", text)), store)
    assert [answer(tmp_path / name, "module.VERSION") for name in ("a", "b")] == ["1.10.0", "1.11.0"]


def test_another_time(tmp_path: Path) -> None:
    """The same source unpacked at another time, as by another version of a distribution, has the same compiled file."""
    store = tmp_path / "store"
    first, second = (
        compiled(installed(tmp_path / name, cached(tmp_path / f"cache-{name}", WHERE, at)), store)
        for name, at in (("a", 1e9), ("b", 1.1e9))
    )
    assert first.samefile(second)
    assert answer(tmp_path / "b", "module.where()") == str(tmp_path / "b" / "package" / "module.py")


@pytest.mark.fault
@pytest.mark.parametrize("kept_bytes", [0, 20, None])
def test_an_altered_stored_file_is_compiled_anew(tmp_path: Path, kept_bytes: int | None) -> None:
    """A stored compiled file that was emptied, cut short or exchanged is not used again: a good one takes its place."""
    module, store = cached(tmp_path / "cache", WHERE), tmp_path / "store"
    good = compiled(installed(tmp_path / "a", module), store).read_bytes()
    (stored,) = (store / "bytecode").rglob("*.pyc")
    stored.chmod(0o644)
    stored.write_bytes(good[:kept_bytes] if kept_bytes is not None else good[:-1] + bytes([good[-1] ^ 1]))
    for name in ("b", "c"):
        assert compiled(installed(tmp_path / name, module), store).read_bytes() == good
    (stored,) = (store / "bytecode").rglob("*.pyc")
    assert stored.samefile(compiled(tmp_path / "c", store))


@pytest.mark.fault
def test_shared_compiled_files_are_read_only(tmp_path: Path) -> None:
    """Nobody may write into a compiled file that others share."""
    file = compiled(installed(tmp_path / "a", cached(tmp_path / "cache", WHERE)), tmp_path / "store")
    assert file.stat().st_mode & 0o777 == 0o444


def test_broken_module(tmp_path: Path) -> None:
    """A module that is no Python, as templates in wheels are, does not keep the others from being compiled."""
    site_packages = installed(tmp_path / "a", cached(tmp_path / "cache", WHERE))
    (site_packages / "package" / "template.py").write_text("{{ name }} = {%", encoding="utf-8")
    build(site_packages, tmp_path / "store")
    assert list(site_packages.rglob("*.pyc")) == [site_packages / "package" / "__pycache__" / f"module.{TAG}.pyc"]


def test_what_distributions_test_themselves_with(tmp_path: Path) -> None:
    """It is not compiled, wherever the virtualenv lies."""
    site_packages = installed(tmp_path / "tests" / "a", cached(tmp_path / "cache", WHERE))
    (site_packages / "package" / "tests").mkdir()
    (site_packages / "package" / "tests" / "test_module.py").write_text(WHERE, encoding="utf-8")
    build(site_packages, tmp_path / "store")
    assert list(site_packages.rglob("*.pyc")) == [site_packages / "package" / "__pycache__" / f"module.{TAG}.pyc"]
