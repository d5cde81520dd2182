"""Known slowdowns: the wheels hold what was installed, and the slowdown does what it says."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import itertools
import os
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from scripts.analysis.metrics import METRICS
from scripts.config.errors import EnvironmentBuildError
from scripts.config.matrix import ROOT
from scripts.selftest import slowdowns
from scripts.selftest.slowdowns import DISTRIBUTIONS, PLACES, SLOWDOWNS, Place, Slowdown, cpu_at

RELEASE = "1.12.0"
BY_NAME = {slowdown.name: slowdown for slowdown in SLOWDOWNS}
SERVING = '''\
class FlowInvoker:
    def invoke(self, data, run_id=None):
        """Answer."""
        return "sync", data, run_id


class AsyncFlowInvoker(FlowInvoker):
    async def invoke_async(self, data, run_id=None):
        return "async", data, run_id
'''
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(kw_only=True, slots=True)
class Slowed:
    """The module of a slowdown, imported as a worker would; waits and loops are noted instead of spent."""

    code: CodeType
    waits: list[tuple[str, float]] = field(default_factory=list)
    loops: list[int] = field(default_factory=list)

    def worker(self) -> Callable[[bool], object]:
        """A new process: what serves one request, awaited or not."""

        def counted(number: int) -> range:
            self.loops.append(number)
            return range(number)

        module: dict[str, object] = {"__name__": "flow_invoker", "range": counted}
        exec(self.code, module)  # noqa: S102 - the code under test
        owner = module["AsyncFlowInvoker"]
        assert isinstance(owner, type)
        invoker = owner()

        def serve(awaited: bool) -> object:
            return asyncio.run(invoker.invoke_async(1, run_id="a")) if awaited else invoker.invoke(1, run_id="a")

        return serve


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The site-packages of a release of four distributions, as an installer leaves it."""
    site_packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (tmp_path / "bin").mkdir()
    for command in ("pf", "pf.sh"):
        (tmp_path / "bin" / command).write_text(f"#!{tmp_path}/bin/python\n", encoding="utf-8")
    for name in DISTRIBUTIONS:
        install(site_packages, name)
    return site_packages


def install(site_packages: Path, name: str) -> None:
    """Install one distribution."""
    snake = name.replace("-", "_")
    info = f"{snake}-{RELEASE}.dist-info"
    contents = {
        f"promptflow/{snake}, a.py": f"NAME = '{name}'\n",
        f"promptflow/__pycache__/{snake}.cpython-311.pyc": "compiled",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {RELEASE}\n",
        f"{info}/WHEEL": WHEEL,
        **{f"{info}/{added}": "" for added in ("INSTALLER", "REQUESTED", "direct_url.json")},
    }
    listed = ""
    if name == "promptflow-core":
        contents[slowdowns._MODULE] = SERVING
    if name == "promptflow-devkit":
        contents[f"{info}/entry_points.txt"] = "[console_scripts]\npf=promptflow._cli.pf:main\n"
        listed = "../../../bin/pf,,\n../../../bin/pf.sh,,\n"
    for path, text in contents.items():
        (site_packages / path).parent.mkdir(parents=True, exist_ok=True)
        (site_packages / path).write_text(text, encoding="utf-8")
    rows = "".join(f'"{path}",,\n' for path in (*contents, f"{info}/RECORD"))
    (site_packages / info / "RECORD").write_text(rows + listed, encoding="utf-8")


def wheel(directory: Path, name: str) -> dict[str, bytes]:
    """What a wheel holds, by path."""
    with zipfile.ZipFile(directory / f"{name.replace('-', '_')}-{RELEASE}-py3-none-any.whl") as archive:
        assert archive.testzip() is None
        return {path: archive.read(path) for path in archive.namelist()}


def slowed(site_packages: Path, monkeypatch: pytest.MonkeyPatch, slowdown: Slowdown) -> Slowed:
    """The module out of a slowdown's wheel, with the ways to wait replaced."""
    text = wheel(slowdowns.build(slowdown, site_packages, site_packages.parent / "wheels"), "promptflow-core")
    found = Slowed(code=compile(text[slowdowns._MODULE], slowdowns._MODULE, "exec"))

    async def sleep(wait_s: float) -> None:
        found.waits.append(("asyncio", wait_s))

    monkeypatch.setattr(time, "sleep", lambda wait_s: found.waits.append(("time", wait_s)))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


def test_wheels_hold_what_was_installed(installed: Path, tmp_path: Path) -> None:
    """The wheels hold what the installed ones held, without what an installer adds or generates."""
    directory = slowdowns.build(BY_NAME["cpu-5"], installed, tmp_path / "wheels")
    assert directory == tmp_path / "wheels" / "cpu-5"
    assert len(list(directory.iterdir())) == len(DISTRIBUTIONS)
    info = f"promptflow_devkit-{RELEASE}"
    devkit = wheel(directory, "promptflow-devkit")
    assert set(devkit) == {
        "promptflow/promptflow_devkit, a.py",
        f"{info}.data/scripts/pf.sh",
        *(f"{info}.dist-info/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD")),
    }
    assert devkit["promptflow/promptflow_devkit, a.py"] == b"NAME = 'promptflow-devkit'\n"
    assert wheel(directory, "promptflow-core")[slowdowns._MODULE].startswith(SERVING.encode())


def test_same_bytes(installed: Path, tmp_path: Path) -> None:
    """The same files and slowdown give the same bytes, wherever, in whatever order and at whatever time."""
    slowdown = BY_NAME["cpu-5"]
    first = slowdowns.build(slowdown, installed, tmp_path / "first")
    for file in installed.rglob("*.*"):
        os.utime(file, (1e9, 1e9))
    for record in installed.rglob("RECORD"):
        record.write_text("".join(reversed(record.read_text(encoding="utf-8").splitlines(keepends=True))))
    second = slowdowns.build(slowdown, installed, tmp_path / "second")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
        assert {member.date_time[0] for member in zipfile.ZipFile(path).infolist()} == {1980}


def test_only_one_module_differs(installed: Path, tmp_path: Path) -> None:
    """Slowdowns differ in one module of promptflow-core, which begins as installed, and in its record."""
    first, *others = (slowdowns.build(slowdown, installed, tmp_path) for slowdown in SLOWDOWNS)
    modules = {wheel(first, "promptflow-core")[slowdowns._MODULE]}
    for directory in others:
        for name in DISTRIBUTIONS:
            one, another = wheel(first, name), wheel(directory, name)
            differing = {path for path in one | another if one.get(path) != another.get(path)}
            record = f"promptflow_core-{RELEASE}.dist-info/RECORD"
            assert differing == ({slowdowns._MODULE, record} if name == "promptflow-core" else set())
        modules.add(wheel(directory, "promptflow-core")[slowdowns._MODULE])
    assert len(modules) == len(SLOWDOWNS)
    assert all(module.startswith(SERVING.encode()) for module in modules)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_record(installed: Path, tmp_path: Path, name: str) -> None:
    """A wheel's RECORD lists every file with its own hash and length, and itself with neither."""
    contents = wheel(slowdowns.build(BY_NAME["wait-3"], installed, tmp_path), name)
    record = next(path for path in contents if path.endswith("/RECORD"))
    rows = {path: (digest, size) for path, digest, size in csv.reader(io.StringIO(contents[record].decode()))}
    assert rows.pop(record) == ("", "")
    assert rows == {
        path: (f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')}", str(size))
        for path, content in contents.items()
        if path != record
        for size in [len(content)]
    }


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_places(tmp_path: Path, installed: Path, place: Place) -> None:
    """CPU time that is injected at a place is spent there, once for each call, and answers are passed on."""
    module = f"class {place.owner}:\n    async def {place.method}(self, data):\n        return data\n"
    (installed / place.module).parent.mkdir(parents=True, exist_ok=True)
    (installed / place.module).write_text(module, encoding="utf-8")
    record = installed / f"promptflow_core-{RELEASE}.dist-info" / "RECORD"
    if place.module != slowdowns._MODULE:
        record.write_text(f"{record.read_text(encoding='utf-8')}{place.module},,\n", encoding="utf-8")
    contents = wheel(slowdowns.build(cpu_at(place, 5, 4.0), installed, tmp_path / "wheels"), "promptflow-core")
    loops: list[int] = []

    def counted(number: int) -> range:
        loops.append(number)
        return range(number)

    found: dict[str, Any] = {"__name__": "module", "range": counted}
    exec(contents[place.module], found)  # noqa: S102 - the code under test
    assert asyncio.run(getattr(found[place.owner](), place.method)("answer")) == "answer"
    assert loops == [7300 // place.calls]


def test_a_request_passes_each_node_once() -> None:
    """What is injected where a node is called is spread over all nodes of the flow that is explained."""
    flow = (ROOT / "flows" / "static_async" / "flow.dag.yaml").read_text(encoding="utf-8")
    (place,) = (one for one in PLACES if one.method == "invoke_tool_async")
    assert place.calls == flow.count("\n- name: ")


def test_a_place_that_is_not_there(installed: Path, tmp_path: Path) -> None:
    """A release without the method is refused, by the names of both."""
    with pytest.raises(EnvironmentBuildError, match=r"FlowExecutor\._exec_async"):
        slowdowns.build(cpu_at(PLACES[1], 5, 4.0), installed, tmp_path / "wheels")


def test_names() -> None:
    """No two slowdowns share a name."""
    assert len(BY_NAME) == len(SLOWDOWNS)


@pytest.mark.parametrize("metric", sorted({slowdown.metric for slowdown in SLOWDOWNS}))
def test_metric(metric: str) -> None:
    """A slowdown names a metric that exists."""
    assert metric in {row.name for row in METRICS}


@pytest.mark.parametrize("slowdown", SLOWDOWNS, ids=lambda slowdown: slowdown.name)
def test_answers_are_passed_on(installed: Path, monkeypatch: pytest.MonkeyPatch, slowdown: Slowdown) -> None:
    """A slowed worker gives the answers of the release to the same arguments."""
    serve = slowed(installed, monkeypatch, slowdown).worker()
    assert [serve(awaited) for awaited in (False, True)] == [("sync", 1, "a"), ("async", 1, "a")]


@pytest.mark.parametrize(
    ("name", "loops", "sync", "awaited"),
    [
        ("cpu-2", 3942, [], []),
        ("cpu-5", 9855, [], []),
        ("cpu-10", 19710, [], []),
        ("wait-3", 0, [("time", 0.003)], [("asyncio", 0.003)]),
        ("wait-10", 0, [("time", 0.01)], [("asyncio", 0.01)]),
    ],
)
@pytest.mark.parametrize("served_awaited", [False, True])
def test_every_request(
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    loops: int,
    sync: list[tuple[str, float]],
    awaited: list[tuple[str, float]],
    served_awaited: bool,
) -> None:
    """Each request works or waits as stated, on FastAPI without blocking its event loop while it waits."""
    found = slowed(installed, monkeypatch, BY_NAME[name])
    serve = found.worker()
    assert (found.loops, found.waits) == ([], [])
    for _ in range(3):
        serve(served_awaited)
    assert found.loops == [loops] * 3 * bool(loops)
    assert found.waits == (awaited if served_awaited else sync) * 3


@pytest.mark.parametrize("awaited", [False, True])
def test_first_answer(installed: Path, monkeypatch: pytest.MonkeyPatch, awaited: bool) -> None:
    """Only the first request of each worker is late, and it holds the worker up on both engines."""
    found = slowed(installed, monkeypatch, BY_NAME["first-400"])
    for _ in range(2):
        serve = found.worker()
        for _ in range(3):
            serve(awaited)
    assert found.waits == [("time", 0.4)] * 2


@pytest.mark.parametrize("awaited", [False, True])
def test_memory(installed: Path, monkeypatch: pytest.MonkeyPatch, awaited: bool) -> None:
    """Each worker holds 20 MB more from its first request on, and no more after others."""
    found = slowed(installed, monkeypatch, BY_NAME["memory-20"])
    tracemalloc.start()
    try:
        held = [tracemalloc.get_traced_memory()[0]]
        workers = [found.worker(), found.worker()]
        for serve in (*workers, *workers):
            serve(awaited)
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    grown = [(after - before) / 1e6 for before, after in itertools.pairwise(held)]
    assert grown == pytest.approx([20, 20, 0, 0], abs=0.5)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (("def invoke(", "def call("), "FlowInvoker.invoke"),
        (("async def", "def"), "AsyncFlowInvoker.invoke_async"),
        ((SERVING, "def invoke(): pass\n"), "AsyncFlowInvoker.invoke_async and no FlowInvoker.invoke"),
    ],
)
def test_no_such_place(installed: Path, tmp_path: Path, change: tuple[str, str], missing: str) -> None:
    """A release whose serving looks different is refused before a wheel is written, with what it lacks."""
    (installed / slowdowns._MODULE).write_text(SERVING.replace(*change), encoding="utf-8")
    with pytest.raises(EnvironmentBuildError) as caught:
        slowdowns.build(BY_NAME["cpu-5"], installed, tmp_path / "wheels")
    assert caught.value.message == f"cpu-5 cannot be injected: {slowdowns._MODULE} has no {missing}"
    assert not (tmp_path / "wheels").exists()


def test_no_such_module(installed: Path, tmp_path: Path) -> None:
    """A release whose serving lies elsewhere is refused."""
    record = installed / f"promptflow_core-{RELEASE}.dist-info" / "RECORD"
    record.write_text(record.read_text(encoding="utf-8").replace("flow_invoker", "elsewhere"), encoding="utf-8")
    (installed / slowdowns._MODULE).rename((installed / slowdowns._MODULE).with_name("elsewhere.py"))
    with pytest.raises(EnvironmentBuildError, match=r"flow_invoker\.py has no AsyncFlowInvoker"):
        slowdowns.build(BY_NAME["cpu-5"], installed, tmp_path / "wheels")


def test_not_installed(tmp_path: Path) -> None:
    """A release that is one distribution still, or is not installed, is refused by the name of what it lacks."""
    install(tmp_path, "promptflow")
    with pytest.raises(EnvironmentBuildError, match="promptflow-core is not installed"):
        slowdowns.build(SLOWDOWNS[0], tmp_path, tmp_path / "wheels")
