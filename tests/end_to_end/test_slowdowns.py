"""Slowdowns of a real release: the wheels install as the release does, and every slowdown fits the real module."""

from __future__ import annotations

import ast
import os
import subprocess
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from scripts.config import matrix_file
from scripts.environments import locks, virtualenvs
from scripts.host.process import RealSystem
from scripts.selftest import slowdowns
from scripts.selftest.slowdowns import DISTRIBUTIONS, SLOWDOWNS, Slowdown

pytestmark = pytest.mark.e2e

RELEASE = "1.12.0"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of a real release."""
    suite = matrix_file.load()
    lock = locks.read(locks.of_release(suite, suite.release(RELEASE)))
    log = tmp_path_factory.mktemp("log") / "install.log"
    uv, system = virtualenvs.find_uv(), RealSystem()
    return virtualenvs.build(RELEASE, lock, suite.python, uv=uv, system=system, log=log).site_packages


def test_all_but_one_module_is_the_release(released: Path, tmp_path: Path) -> None:
    """The repacked wheels of a real release install, and each file but the slowed module is the released one."""
    uv, venv = virtualenvs.find_uv(), str(tmp_path / "venv")
    packed = slowdowns.build(SLOWDOWNS[0], released, tmp_path)
    subprocess.run([uv, "venv", "--quiet", "--python", "3.11", venv], check=True)
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--no-index", "--python", venv]
    subprocess.run([*command, *map(str, packed.iterdir())], check=True)
    site_packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    for name in DISTRIBUTIONS:
        before, after = (files(place, name) for place in (released, site_packages))
        if name == "promptflow-core":
            assert after[slowdowns._MODULE].startswith(before.pop(slowdowns._MODULE))
            del after[slowdowns._MODULE]
        assert len(before) > 5
        assert before == after
    assert all(os.access(tmp_path / "venv" / "bin" / script, os.X_OK) for script in ("pf", "pf.autocomplete.sh"))


def files(site_packages: Path, name: str) -> dict[str, bytes]:
    """A distribution's own files, in site-packages and in bin."""
    (distribution,) = metadata.distributions(name=name, path=[str(site_packages)])
    added = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json", "pf")
    listed = [file for file in distribution.files or () if file.suffix != ".pyc" and file.name not in added]
    return {str(file): file.read_binary() for file in listed}


@pytest.mark.parametrize("slowdown", SLOWDOWNS, ids=lambda slowdown: slowdown.name)
def test_real_release(released: Path, tmp_path: Path, slowdown: Slowdown) -> None:
    """Every slowdown of a real release can be built, and its module is Python."""
    (core,) = slowdowns.build(slowdown, released, tmp_path).glob("promptflow_core-*.whl")
    with zipfile.ZipFile(core) as wheel:
        module = wheel.read(slowdowns._MODULE)
    assert module.startswith((released / slowdowns._MODULE).read_bytes())
    assert ast.parse(module)
