"""Known slowdowns, injected into an installed release and packed as wheels, for the self-test to find.

Repacks installed files; starts nothing and installs nothing. The same files and slowdown give the same bytes, whose
digest is the label of the candidate. So a change of the injected code makes recorded runs those of another candidate.
"""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template

from scripts.config.errors import EnvironmentBuildError

UNCHANGED = "unchanged"  # the candidate that is the release itself
DISTRIBUTIONS = ("promptflow", "promptflow-core", "promptflow-devkit", "promptflow-tracing")
_MODULE = "promptflow/core/_serving/flow_invoker.py"
_PLACES = {  # each request to /score passes one of them once, whatever its flow: Flask the first, FastAPI the second
    ("FlowInvoker", "invoke", ast.FunctionDef),
    ("AsyncFlowInvoker", "invoke_async", ast.AsyncFunctionDef),
}
_ADDED_BY_INSTALLERS = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}
_SCRIPTS = "scripts"  # the part of a wheel's .data directory that is installed into bin
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first day that a zip can name

# The loop of telemetry.reference_loop_ms. A short one costs less an iteration, because its numbers stay small:
# on Python 3.11, 9205 iterations took 5.74 % of what the 150 000 of the reference took (median of 8 runs), which
# is 0.2525 ms where the reference takes 4.4 ms.
_ITERATIONS_PER_MS = 36_500
_REQUEST_INSTRUCTIONS = 10.33e6  # of 1.18.5 on FastAPI with static_async (results/runs/count)
# Iterations by the share of these instructions that they are, in percent. By callgrind on CPython 3.11.7, 1000 loops of
# 100, 110, 210, 380 and 400 iterations are 47.3, 52.2, 101.8, 199.1 and 211.0 million instructions: an iteration costs
# more the larger its numbers.
_ITERATIONS_OF_PERCENT = {0.5: 109, 1.0: 213, 2.0: 393}
REFERENCE_LOOP_MS = 4.4  # of telemetry.reference_loop_ms, where the CPU times above and below hold
_REQUEST_CPU_MS = 5.4  # of 1.12.0 under the `compare` profile, where the reference loop takes 4.4 ms

_INJECTED = Template("""

# Injected to test the benchmark: $what.
def _slow_down():
    import asyncio
    import functools
    import itertools
    import time

    invoke, invoke_async = FlowInvoker.invoke, AsyncFlowInvoker.invoke_async
    calls, kept = itertools.count(), []  # of this process: workers import this module after the fork

    def work(iterations):
        total = 0
        for number in range(iterations):
            total += number * number

    @functools.wraps(invoke)
    def slow_invoke(*args, **kwargs):
        $sync
        return invoke(*args, **kwargs)

    @functools.wraps(invoke_async)
    async def slow_invoke_async(*args, **kwargs):
        $awaited
        return await invoke_async(*args, **kwargs)

    FlowInvoker.invoke, AsyncFlowInvoker.invoke_async = slow_invoke, slow_invoke_async


_slow_down()
""")

_INJECTED_AT = Template("""

# Injected to test the benchmark: $what.
def _slow_down():
    import functools

    original = $owner.$method

    def work(iterations):
        total = 0
        for number in range(iterations):
            total += number * number

    @functools.wraps(original)
    async def slow(*args, **kwargs):
        $awaited
        return await original(*args, **kwargs)

    $owner.$method = slow


_slow_down()
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A coroutine method of promptflow-core to inject into."""

    name: str  # of its part of promptflow
    module: str
    owner: str  # class
    method: str
    calls: int  # of each request to static_async, which has four nodes


PLACES = (
    Place(name="core", module=_MODULE, owner="AsyncFlowInvoker", method="invoke_async", calls=1),
    Place(
        name="executor", module="promptflow/executor/flow_executor.py", owner="FlowExecutor", method="_exec_async",
        calls=1,
    ),
    Place(
        name="_core", module="promptflow/_core/flow_execution_context.py", owner="FlowExecutionContext",
        method="invoke_tool_async", calls=4,
    ),
)  # fmt: skip
INJECTED_FUNCTION = "_slow_down.<locals>.work"
"""What takes the CPU time that is injected at a place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slowdown:
    """A slowdown to inject."""

    name: str  # of its directory
    what: str  # one line for people
    metric: str  # the name of the metric that should show it
    size: float  # what it adds, in the unit of the metric; CPU time where the reference loop takes REFERENCE_LOOP_MS
    sync: str  # one line of Python that runs before each request on Flask; see _INJECTED for what it may use
    awaited: str  # the same on FastAPI, in a coroutine
    place: Place | None = None  # None: where requests enter, on either engine


def cpu(percent: int, request_ms: float = _REQUEST_CPU_MS) -> Slowdown:
    """Counted work, not a clock: like all other work it takes longer where cores are slower."""
    spent_ms = request_ms * percent / 100
    work = f"work({round(spent_ms * _ITERATIONS_PER_MS)})"
    what = f"{spent_ms:.2f} ms more CPU time in each request, about {percent} %"
    return Slowdown(
        name=f"cpu-{percent}", what=what, metric="cpu_per_request_ms", size=spent_ms, sync=work, awaited=work
    )  # fmt: skip


def cpu_at(place: Place, percent: int, request_ms: float) -> Slowdown:
    """CPU time at a place, on FastAPI alone."""
    spent_ms = request_ms * percent / 100
    work = f"work({round(spent_ms * _ITERATIONS_PER_MS / place.calls)})"
    return Slowdown(
        name=f"{place.name.strip('_')}-{place.method.strip('_')}-{percent}",
        what=f"{spent_ms:.2f} ms more CPU time in each request, about {percent} %, at {place.owner}.{place.method}",
        metric="cpu_per_request_ms", size=spent_ms, sync="", awaited=work, place=place,
    )  # fmt: skip


def work(percent: float) -> Slowdown:
    """Work by a share of a request's instructions, for verdicts on counts: 0.5, 1 or 2 percent."""
    iterations = _ITERATIONS_OF_PERCENT[percent]
    loop = f"work({iterations})"
    what = f"{percent:g} % more instructions in each request ({iterations} iterations of a loop)"
    return Slowdown(
        name=f"work-{percent:g}", what=what, metric="instructions_per_request",
        size=_REQUEST_INSTRUCTIONS * percent / 100, sync=loop, awaited=loop,
    )  # fmt: skip


def wait(wait_ms: int) -> Slowdown:
    """A wait in each request."""
    sleep = f"sleep({wait_ms / 1000})"
    return Slowdown(
        name=f"wait-{wait_ms}",
        what=f"a wait of {wait_ms} ms more in each request",
        metric="overhead_p50_ms",
        size=wait_ms,
        sync=f"time.{sleep}",
        awaited=f"await asyncio.{sleep}",
    )


def once(name: str, what: str, metric: str, size: float, statement: str) -> Slowdown:
    """At the first request of each worker; `size` is that of one worker.

    The count is a single step, so that of two threads only one is first.
    """
    code = f"if next(calls) == 0: {statement}"
    return Slowdown(name=name, what=what, metric=metric, size=size, sync=code, awaited=code)


SLOWDOWNS: tuple[Slowdown, ...] = (
    cpu(2),
    cpu(5),
    cpu(10),
    wait(3),
    wait(10),
    # Not zeros: the kernel would not back them by memory of their own.
    once("memory-20", "20 MB more memory in each worker", "memory_end_bytes", 20e6,
          'kept.append(bytearray(b"1") * 20_000_000)'),
    # Blocks FastAPI's event loop, as a late import would, but for a time that no core's speed changes.
    once("first-400", "400 ms more in the first request of each worker", "first_answer_ms", 400, "time.sleep(0.4)"),
)  # fmt: skip


def build(slowdown: Slowdown | None, site_packages: Path, into: Path) -> Path:
    """Write a wheel of each of DISTRIBUTIONS to a directory of `into` named after the slowdown; return the directory.

    None: wheels of the unchanged release, in a directory called "unchanged".

    EnvironmentBuildError when a distribution or the place to inject into is missing.
    """
    wheels = {}
    for name in DISTRIBUTIONS:
        installed = _installed(name, site_packages)
        contents = _contents(installed)
        if name == "promptflow-core" and slowdown is not None:
            module = slowdown.place.module if slowdown.place else _MODULE
            contents[module] = _inject(slowdown, module, contents.get(module, b""))
        wheels[_wheel_name(installed)] = _wheel(contents, _dist_info(installed))
    directory = into / (slowdown.name if slowdown else UNCHANGED)
    directory.mkdir(parents=True, exist_ok=True)
    for wheel_name, content in wheels.items():
        (directory / wheel_name).write_bytes(content)
    return directory


def _installed(name: str, site_packages: Path) -> metadata.Distribution:
    found = next(iter(metadata.distributions(name=name, path=[str(site_packages)])), None)
    if found is None or not found.files:
        raise EnvironmentBuildError(
            f"cannot inject a slowdown: {name} is not installed",
            then="choose a release that has promptflow-core, promptflow-devkit and promptflow-tracing",
        )
    return found


def _dist_info(installed: metadata.Distribution) -> str:
    return next(file.parent.name for file in installed.files or () if file.name == "RECORD")


def _wheel_name(installed: metadata.Distribution) -> str:
    tag = next(line for line in (installed.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:"))
    return f"{_dist_info(installed).removesuffix('.dist-info')}-{tag.removeprefix('Tag:').strip()}.whl"


def _contents(installed: metadata.Distribution) -> dict[str, bytes]:
    """The files of the wheel by their path there, without those that the installer added."""
    data = _dist_info(installed).removesuffix(".dist-info") + ".data"
    generated = {point.name for point in installed.entry_points.select(group="console_scripts")}
    contents = {}
    for file in installed.files or ():
        if file.suffix == ".pyc" or file.name in _ADDED_BY_INSTALLERS:
            continue
        outside = file.parts[0] == ".."  # of site-packages: in bin
        if outside and file.name in generated:
            continue
        path = f"{data}/{_SCRIPTS}/{file.name}" if outside else file.as_posix()
        contents[path] = file.read_binary()
    return contents


def _inject(slowdown: Slowdown, name: str, module: bytes) -> bytes:
    """The module with the slowdown's code at its end, which wraps the methods whatever they look like."""
    place = slowdown.place
    wanted = _PLACES if place is None else {(place.owner, place.method, ast.AsyncFunctionDef)}
    found = {
        (owner.name, method.name, type(method))
        for owner in ast.parse(module).body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    missing = sorted(f"{owner}.{method}" for owner, method, _ in wanted - found)
    if missing:
        raise EnvironmentBuildError(
            f"{slowdown.name} cannot be injected: {name} has no {' and no '.join(missing)}",
            then="choose a release that has them, or adapt scripts/selftest/slowdowns.py to this one",
        )
    if place is None:
        code = _INJECTED.substitute(what=slowdown.what, sync=slowdown.sync, awaited=slowdown.awaited)
    else:
        code = _INJECTED_AT.substitute(
            what=slowdown.what, owner=place.owner, method=place.method, awaited=slowdown.awaited
        )  # fmt: skip
    return module + code.encode()


def _wheel(contents: Mapping[str, bytes], dist_info: str) -> bytes:
    """Stored, not compressed: what zlib makes differs from version to version."""
    archive = io.BytesIO()
    record = _record(contents, f"{dist_info}/RECORD")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as wheel:
        for path, content in [*sorted(contents.items()), (f"{dist_info}/RECORD", record)]:
            member = zipfile.ZipInfo(path, _LONG_AGO)
            member.external_attr = (0o100755 if f".data/{_SCRIPTS}/" in path else 0o100644) << 16
            wheel.writestr(member, content)
    return archive.getvalue()


def _record(contents: Mapping[str, bytes], itself: str) -> bytes:
    """The wheel's list of its files, with their hashes: packaging.python.org, "Recording installed projects"."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for path, content in sorted(contents.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((path, f"sha256={digest}", len(content)))
    rows.writerow((itself, "", ""))
    return text.getvalue().encode()
