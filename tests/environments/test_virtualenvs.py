"""The virtualenv of a release: how it is built, checked and named."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from rich.console import Console

from scripts.config import matrix_file
from scripts.config.errors import EnvironmentBuildError
from scripts.environments import contents, locks, virtualenvs
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host.process import Finished
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.run import Prepared
from tests.fakes import values
from tests.fakes.system import FakeSystem

DOCKERFILE = """\
    pip install -r /flow/{{env.python_requirements_txt}} && \\
    conda run -n {{env.conda_env_name}} pip install promptflow && \\
    pip install promptflow=={{env.sdk_version}} \\
    pip install promptflow \\
    promptflow-tools && \\
    conda run -n {{env.conda_env_name}} pip install keyrings.alt && \\
    conda run -n {{env.conda_env_name}} pip install gunicorn==20.1.0 && \\
    conda run -n {{env.conda_env_name}} pip install 'uvicorn>=0.27.0,<1.0.0' && \\
    conda run -n {{env.conda_env_name}} pip cache purge && \\
"""
SATISFIED = {"promptflow": "1.12.0", "keyrings-alt": "5.0.1", "gunicorn": "20.1.0", "uvicorn": "0.30.1"}


@dataclass(kw_only=True, slots=True)
class Installer(FakeSystem):
    """A fake uv: makes a virtualenv with these distributions, or fails on request."""

    distributions: Mapping[str, str] = field(default_factory=lambda: dict(SATISFIED))
    fails: Mapping[str, str] = field(default_factory=dict)  # by "venv" or "pip": what it says then
    spoilt: Sequence[str] = ()  # distributions whose module is not what their record says

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Answer for uv."""
        assert timeout_s > 0
        assert cwd.is_dir()
        assert not {"PYTHONPATH", "VIRTUAL_ENV", "UV_EXCLUDE_NEWER"} & set(env)
        self.commands.append(tuple(argv))
        if argv[1] in self.fails:
            return Finished(code=1, output=self.fails[argv[1]])
        if argv[1] == "venv":
            _make(Path(argv[-1]))
        elif argv[1] == "pip":
            site_packages = Path(argv[argv.index("--python") + 1]).parent.parent / "lib/python3.11/site-packages"
            for name, version in self.distributions.items():
                _install(site_packages, name, version)
            for name in self.spoilt:
                (site_packages / module(name)).write_text("spoilt = True\n", encoding="utf-8")
            template = site_packages / virtualenvs._IMAGE
            template.parent.mkdir(parents=True)
            template.write_text(DOCKERFILE, encoding="utf-8")
        return Finished(code=0, output="")


def _make(path: Path) -> None:
    (path / "lib/python3.11/site-packages").mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.9\n", encoding="utf-8")


def _install(site_packages: Path, name: str, version: str) -> None:
    info = Path(f"{name.replace('-', '_')}-{version}.dist-info")
    files = {
        module(name): f"version = {version!r}\n",
        Path("../../../bin") / name: "#!/bin/sh\n",
        info / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    record = f"{info}/RECORD,,\n"
    for path, text in files.items():
        (site_packages / path).parent.mkdir(parents=True, exist_ok=True)
        (site_packages / path).write_text(text, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    (site_packages / info / "RECORD").write_text(record, encoding="utf-8")


def module(name: str) -> Path:
    """The one module of a distribution that the fake uv installs, within site-packages."""
    return Path(name.replace("-", "_")) / "serving.py"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for virtualenvs."""
    monkeypatch.setattr(virtualenvs, "ROOT", tmp_path)
    monkeypatch.setattr(virtualenvs, "ENVIRONMENTS", tmp_path / ".envs")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2020-01-01")
    return tmp_path


def a_lock(root: Path, **pins: tuple[str, ...]) -> Lock:
    """A lock of what the fake uv installs, some pins changed."""
    whole = {name: (version,) for name, version in SATISFIED.items()} | pins
    lines = [f"{name}=={version}" for name, versions in whole.items() for version in versions]
    return a_lock_of(root, *lines)


def a_lock_of(root: Path, *lines: str) -> Lock:
    """A lock with these lines."""
    requirements = tuple(Requirement(line) for line in lines)
    return Lock(path=root / "locks" / "1.12.0.txt", digest="abcdef0123456789", requirements=requirements)


def build(root: Path, installer: Installer, lock: Lock | None = None) -> Environment:
    """Build the virtualenv."""
    return virtualenvs.build(
        "1.12.0", lock or a_lock(root), "3.11", uv="uv", system=installer, log=root / "install.log"
    )


def test_built(root: Path) -> None:
    """A built virtualenv gives its Python with patch version, its distributions by canonical name, and its commands."""
    built = build(root, Installer(distributions=SATISFIED | {"Keyrings.Alt": "5.0.1"}))
    assert built.path == root / ".envs" / "1.12.0-py3.11-abcdef012345"
    assert built.built
    assert built.python == "3.11.9"
    assert built.distributions == dict(sorted(SATISFIED.items()))
    assert built.command("gunicorn") == built.path / "bin" / "gunicorn"


def test_hashes_are_required(root: Path) -> None:
    """The installer must require hashes, and to install no more than the lock."""
    installer = Installer()
    build(root, installer)
    venv, install, _compile = installer.commands
    assert "--no-python-downloads" in venv
    assert {"--require-hashes", "--no-deps"} < set(install)
    assert install[-2:] == ("--requirements", str(root / "locks" / "1.12.0.txt"))


@pytest.mark.fault
def test_nothing_is_shared_with_the_cache_of_the_installer(root: Path) -> None:
    """The installer must copy: a write into a virtualenv reaches neither its cache nor what else is made from that."""
    installer = Installer()
    build(root, installer)
    install = installer.commands[1]
    assert install[install.index("--link-mode") + 1] == "copy"


def test_compiled_by_its_own_python(root: Path) -> None:
    """Bytecode is compiled by the virtualenv's own Python, after everything is installed."""
    installer = Installer()
    path = build(root, installer).path
    command = installer.commands[-1]
    assert command[0] == str(path / "bin" / "python")
    assert "compileall" in command


def test_wheels_of_a_candidate(root: Path) -> None:
    """The installer finds a candidate's wheels in their folder, and its hashes are required as any release's."""
    installer = Installer()
    build(root, installer, dataclasses.replace(a_lock(root), wheels=root / "wheels"))
    install = installer.commands[1]
    assert install[-2:] == ("--find-links", str(root / "wheels"))
    assert "--require-hashes" in install


def test_built_once(root: Path) -> None:
    """A virtualenv that stands is not built again."""
    build(root, Installer())
    second = Installer()
    assert not build(root, second).built
    assert second.commands == []


@dataclass(kw_only=True, slots=True)
class Slow(Installer):
    """A fake uv that waits until it is told to go on."""

    began: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Wait, then answer."""
        self.began.set()
        assert self.go_on.wait(10)
        return Installer.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)


@pytest.mark.fault
def test_two_builds_at_once(root: Path) -> None:
    """A session that needs a virtualenv which another one is building waits, and does not build it again."""
    slow, second = Slow(), Installer()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(build, root, slow)
        assert slow.began.wait(10)
        waiting = threads.submit(build, root, second)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        slow.go_on.set()
        assert first.result(10).built
        assert not waiting.result(10).built
    assert second.commands == []


def test_unfinished_virtualenv_is_built_again(root: Path) -> None:
    """A virtualenv without its stamp was left by a build that was killed: it is built from nothing."""
    path = build(root, Installer()).path
    (path / virtualenvs._STAMP).unlink()
    (path / "left over").touch()
    assert build(root, Installer()).built
    assert (path / virtualenvs._STAMP).is_file()
    assert not (path / "left over").exists()


def test_another_lock_is_another_virtualenv(root: Path) -> None:
    """The directory's name changes with the lock and with the Python."""
    lock = a_lock(root)
    other = Lock(path=lock.path, digest="fedcba9876543210", requirements=lock.requirements)
    places = {virtualenvs.directory("1.12.0", some, python) for some in (lock, other) for python in ("3.11", "3.12")}
    assert len(places) == 4


def test_python_not_installed(root: Path) -> None:
    """A Python that is not installed is named, with the command that installs it; nothing is downloaded."""
    installer = Installer(fails={"venv": "error: No interpreter found for Python 3.11 in managed installations"})
    with pytest.raises(EnvironmentBuildError, match=r"Python 3.11 is not installed") as caught:
        build(root, installer)
    assert "uv python install 3.11" in caught.value.then
    assert not list((root / ".envs").glob("*"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (None, None),
        ("error: No interpreter found for Python 3.12 in the search path", "Python 3.12 is not installed"),
        ("error: Failed to inspect it", "Python 3.12 cannot be used here:\n    error: Failed to inspect it"),
    ],
)
def test_python_of_the_machine(root: Path, said: str | None, message: str | None) -> None:
    """What uv says of a Python is the reason; it downloads none, and takes none of a virtualenv."""
    installer = Installer(fails={} if said is None else {"python": said})
    error = virtualenvs.missing_python("3.12", uv="uv", system=installer)
    assert (error and error.message) == message
    assert error is None or error.then == "uv python install 3.12"
    (command,) = installer.commands
    assert {"find", "--no-python-downloads", "--system", "3.12"} <= set(command)
    assert not (root / ".envs").exists()


@pytest.mark.parametrize(
    ("step", "said", "message"),
    [
        ("venv", "error: disk full", "no virtualenv for Python 3.11:\n    error: disk full"),
        ("pip", "Hash mismatch for `six`", "locks/1.12.0.txt cannot be installed:\n    Hash mismatch for `six`"),
    ],
)
def test_failed_build(root: Path, step: str, said: str, message: str) -> None:
    """A step that fails is quoted, logged, and leaves no virtualenv that would be taken for a good one."""
    with pytest.raises(EnvironmentBuildError) as caught:
        build(root, Installer(fails={step: said}))
    assert caught.value.message == message
    assert (root / "install.log").read_text(encoding="utf-8") == said
    assert build(root, Installer()).built


def test_installer_that_hangs(root: Path, outside: FakeSystem) -> None:
    """An installer that does not end is an error of the environment."""
    outside.shell = None
    with pytest.raises(EnvironmentBuildError, match="uv did not end within 1800 s"):
        virtualenvs.build("1.12.0", a_lock(root), "3.11", uv="uv", system=outside, log=root / "install.log")


@pytest.mark.parametrize("pins", [{"gunicorn": ("22.0.0",)}, {"gunicorn": ()}])
def test_foreign_content(root: Path, pins: dict[str, tuple[str, ...]]) -> None:
    """A virtualenv that holds what its lock does not is refused, with how to remove it."""
    with pytest.raises(EnvironmentBuildError, match=r"holds what its lock does not: gunicorn 20.1.0") as caught:
        build(root, Installer(), a_lock(root, **pins))
    assert caught.value.then.startswith("rm -r .envs/1.12.0-py3.11-")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("marker", "selected"),
    [
        ("python_full_version < '3.11'", False),
        ("python_full_version >= '3.11'", True),
        ("sys_platform == 'win32'", False),
        ("platform_python_implementation != 'PyPy'", True),
    ],
)
def test_markers_decide_what_must_be_there(root: Path, marker: str, *, selected: bool) -> None:
    """What the markers of the lock select for the virtualenv's own Python must be there, and nothing else."""
    lock = a_lock_of(root, *(f"{name}=={version}" for name, version in SATISFIED.items()), f"tomli==2.0.1 ; {marker}")
    if not selected:
        assert build(root, Installer(), lock).built
        with pytest.raises(EnvironmentBuildError, match="holds what its lock does not: tomli"):
            rebuilt(root, Installer(distributions=SATISFIED | {"tomli": "2.0.1"}), lock)
    else:
        with pytest.raises(EnvironmentBuildError, match=r"lacks what its lock holds: tomli 2\.0\.1"):
            build(root, Installer(), lock)
        assert rebuilt(root, Installer(distributions=SATISFIED | {"tomli": "2.0.1"}), lock).built


def rebuilt(root: Path, installer: Installer, lock: Lock) -> Environment:
    """Build it from nothing."""
    shutil.rmtree(root / ".envs")
    return build(root, installer, lock)


def refused(root: Path, installer: Installer | None = None) -> EnvironmentBuildError:
    """The error of a session before which the virtualenv was changed."""
    with pytest.raises(EnvironmentBuildError) as caught:
        build(root, installer or Installer())
    return caught.value


@pytest.mark.fault
def test_a_file_edited_in_place_is_refused(root: Path) -> None:
    """An edit is found that leaves size and time as they were; the error names distribution, file and what to type."""
    built = build(root, Installer())
    file = built.site_packages / module("keyrings-alt")
    before = file.stat()
    file.chmod(0o644)
    file.write_text(file.read_text(encoding="utf-8").replace("5.0.1", "9.9.9"), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    error = refused(root)
    assert error.message == (
        "the virtualenv of 1.12.0 was altered after it was built:\n"
        "  - keyrings-alt: lib/python3.11/site-packages/keyrings_alt/serving.py changed"
    )
    assert error.then == "rm -r .envs/1.12.0-py3.11-abcdef012345, then repeat this command"


@pytest.mark.fault
@pytest.mark.parametrize("place", ["bin/gunicorn", "pyvenv.cfg", "lib/python3.11/site-packages/gunicorn/serving.py"])
def test_a_file_that_is_gone_or_cut_short_is_refused(root: Path, place: str) -> None:
    """A console script, a module or the virtualenv's own settings: emptied or deleted, each is named."""
    path = build(root, Installer()).path
    (path / place).chmod(0o644)
    (path / place).write_text("", encoding="utf-8")
    assert f"{place} changed" in refused(root).message
    (path / place).unlink()
    assert f"{place} is gone" in refused(root).message


@pytest.mark.fault
def test_a_distribution_removed_with_its_metadata_is_refused(root: Path) -> None:
    """What the lock holds and the virtualenv no longer has is named, though no trace of it is left."""
    site_packages = build(root, Installer()).site_packages
    for folder in ("gunicorn", "gunicorn-20.1.0.dist-info", "uvicorn", "uvicorn-0.30.1.dist-info"):
        shutil.rmtree(site_packages / folder)
    error = refused(root)
    assert error.message == "the virtualenv of 1.12.0 lacks what its lock holds: gunicorn 20.1.0, uvicorn 0.30.1"
    assert error.then == "rm -r .envs/1.12.0-py3.11-abcdef012345, then repeat this command"


@pytest.mark.fault
@pytest.mark.parametrize("version", ["19.0.0", "0.1"])
def test_an_extra_distribution_is_refused(root: Path, version: str) -> None:
    """A distribution that somebody installed is named, also beside another version of the same."""
    name = "gunicorn" if version == "19.0.0" else "debugger"
    _install(build(root, Installer()).site_packages, name, version)
    assert refused(root).message == f"the virtualenv of 1.12.0 holds what its lock does not: {name} {version}"


@pytest.mark.fault
@pytest.mark.parametrize("name", ["sitecustomize.py", "slow.pth"])
def test_a_file_that_python_takes_up_by_itself_is_refused(root: Path, name: str) -> None:
    """A file of no distribution that Python runs as it starts is named."""
    (build(root, Installer()).site_packages / name).write_text("import time; time.sleep(0.3)\n", encoding="utf-8")
    assert f"lib/python3.11/site-packages/{name} is new" in refused(root).message


@pytest.mark.fault
def test_a_new_link_is_refused(root: Path) -> None:
    """A link beside the packages is named, wherever it leads."""
    (build(root, Installer()).site_packages / "package").symlink_to(root / "nowhere")
    assert "lib/python3.11/site-packages/package is new" in refused(root).message


@pytest.mark.fault
def test_a_compiled_module_that_was_exchanged_is_refused(root: Path) -> None:
    """Python runs the compiled file, so that one is held against the build too; one compiled since is not."""
    site_packages = build(root, Compiling()).site_packages
    folder = site_packages / "gunicorn" / "__pycache__"
    (folder / "later.cpython-311.pyc").touch()
    assert not build(root, Installer()).built
    (folder / "serving.cpython-311.pyc").unlink()
    (folder / "serving.cpython-311.pyc").write_bytes(b"another")
    assert "gunicorn: lib/python3.11/site-packages/gunicorn/__pycache__/serving" in refused(root).message


@dataclass(kw_only=True, slots=True)
class Compiling(Installer):
    """It compiles one module, too."""

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Answer for uv and for the compiler."""
        if "compileall" in argv:
            folder = Path(argv[-1]) / "gunicorn" / "__pycache__"
            folder.mkdir(exist_ok=True)
            (folder / "serving.cpython-311.pyc").write_bytes(b"compiled")
        return Installer.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)


@pytest.mark.fault
def test_only_the_first_changes_are_named(root: Path) -> None:
    """Of many changes the error names five, and says how many more there are."""
    shutil.rmtree(build(root, Installer()).path / "bin")
    installer = Installer()
    for name in SATISFIED:
        (root / ".envs/1.12.0-py3.11-abcdef012345/lib/python3.11/site-packages" / module(name)).unlink()
    assert refused(root, installer).message.endswith("\n  - and 3 more")
    assert installer.commands == []


@pytest.mark.fault
def test_emptied_metadata_is_refused(root: Path) -> None:
    """A distribution whose metadata was emptied counts as missing."""
    file = build(root, Installer()).site_packages / "gunicorn-20.1.0.dist-info" / "METADATA"
    file.unlink()
    file.touch()
    assert refused(root).message == "the virtualenv of 1.12.0 lacks what its lock holds: gunicorn 20.1.0"


@pytest.mark.fault
def test_packages_that_are_gone_altogether_are_refused(root: Path) -> None:
    """A virtualenv without its packages ends with the command that removes it."""
    shutil.rmtree(build(root, Installer()).path / "lib")
    assert refused(root).message == "the virtualenv of 1.12.0 holds no packages"


@pytest.mark.fault
def test_an_altered_cache_of_the_installer_is_refused(root: Path) -> None:
    """What is installed unlike its own record is not used: the error names it and the command that cleans the cache."""
    error = refused(root, Installer(spoilt=["gunicorn"]))
    assert error.message == "uv's cache holds altered files:\n  - gunicorn: gunicorn/serving.py"
    assert error.then == "uv cache clean gunicorn, then repeat this command"
    assert build(root, Installer()).built


@pytest.mark.fault
def test_an_altered_shared_file_does_not_reach_a_new_virtualenv(root: Path) -> None:
    """A write in place reaches what shares the file, which is refused; removing the virtualenv heals it."""
    path = build(root, Installer()).path
    for name in SATISFIED:
        file = path / "lib/python3.11/site-packages" / module(name)
        (stored,) = (one for one in (root / ".envs" / "files").rglob("*") if one.samefile(file))
        stored.chmod(0o644)
        stored.write_text("", encoding="utf-8")
    assert refused(root).message.count(" changed") == len(SATISFIED)
    shutil.rmtree(path)
    assert build(root, Installer()).built
    assert not build(root, Installer()).built


@pytest.mark.fault
def test_a_virtualenv_without_its_list_is_built_again(root: Path) -> None:
    """A virtualenv of which it cannot be said what it held, as one of an older version of the suite, is built again."""
    path = build(root, Installer()).path
    (path / contents.LIST).unlink()
    assert build(root, Installer()).built


@pytest.mark.parametrize(
    ("change", "mismatches"),
    [
        ({}, []),
        ({"gunicorn": "22.0.0"}, ["the image has gunicorn==20.1.0, the lock 22.0.0"]),
        ({"uvicorn": "1.0.0"}, ["the image has uvicorn<1.0.0,>=0.27.0, the lock 1.0.0"]),
        ({"keyrings-alt": None}, ["the image has keyrings.alt, the lock does not"]),
    ],
)
def test_image_pins(root: Path, change: dict[str, str | None], mismatches: list[str]) -> None:
    """The pins of the release's own image template are compared with what is installed; its own name is not."""
    installed = {name: version for name, version in (SATISFIED | change).items() if version is not None}
    lock = a_lock_of(root, *(f"{name}=={version}" for name, version in installed.items()))
    assert virtualenvs.image_mismatches(build(root, Installer(distributions=installed), lock)) == mismatches


def test_no_image_template(root: Path) -> None:
    """A release that ships no image template is a mismatch, not a silent pass."""
    built = build(root, Installer())
    shutil.rmtree(built.site_packages / "promptflow")
    assert virtualenvs.image_mismatches(built) == [f"the release ships no {virtualenvs._IMAGE}"]


def in_session(root: Path, monkeypatch: pytest.MonkeyPatch) -> Progress:
    """What a session with a fake uv needs."""
    monkeypatch.setattr(session, "SCRATCH", root / ".scratch")
    monkeypatch.setattr(virtualenvs, "find_uv", lambda: "uv")
    return Progress(FakeSystem().monotonic, Console(file=io.StringIO()))


def prepare(root: Path, monkeypatch: pytest.MonkeyPatch, installed: Mapping[str, str]) -> Prepared | None:
    """What a session does before its first run, with a fake uv."""
    lock = a_lock(root, **{name: (version,) for name, version in installed.items()})
    monkeypatch.setattr(locks, "read", lambda _inputs: lock)
    progress = in_session(root, monkeypatch)
    return session.prepare(matrix_file.load(), values.spec(root), Installer(distributions=installed), progress)


def test_prepare(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session builds the virtualenv of its release."""
    prepared = prepare(root, monkeypatch, SATISFIED)
    assert prepared is not None
    assert prepared.environment.built


def test_prepare_refuses_what_the_image_has_not(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtualenv unlike the release's own image is refused with all differences and where to correct them."""
    with pytest.raises(EnvironmentBuildError) as caught:
        prepare(root, monkeypatch, SATISFIED | {"gunicorn": "22.0.0", "uvicorn": "0.1.0"})
    assert "image has gunicorn==20.1.0, the lock 22.0.0" in caught.value.message
    assert "image has uvicorn<1.0.0,>=0.27.0, the lock 0.1.0" in caught.value.message
    assert caught.value.then == "correct `image` of the release line in suite.toml, then nox -s lock -- 1.12.0"


def test_python_that_is_compared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that is compared by its Python has the same virtualenv as a run of that release on that Python."""
    lock, installer, progress = a_lock(root), Installer(), in_session(root, monkeypatch)
    found = [
        session.install(label, lock, "3.11", installer, progress).environment for label in ("1.12.0+py3.11", "1.12.0")
    ]
    assert [one.built for one in found] == [True, False]
    assert found[0].path == found[1].path
