"""The flows: what they wait, ask, answer and refuse. Their code runs; promptflow and aiohttp are stubs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

FLOWS = Path(__file__).resolve().parent.parent / "flows"
STUBS = Path(__file__).resolve().parent / "flow_stubs"
DAGS = ("static_sync", "static_async")
ALL = (*DAGS, "flex_async")
BACKEND_ANSWER = {"total_time_sec": 0.0, "min_wait_time_sec": 0.0, "max_wait_time_sec": 0.0}

# Runs one flow as promptflow would and prints its answer, or the error of the node that failed.
RUN_DAG = """
import asyncio, inspect, json, time
import ask_backend, guard
def call(function, *arguments):
    result = function(*arguments)
    return asyncio.run(result) if inspect.iscoroutine(result) else result
started = time.perf_counter()
passed = call(guard.guard, "{question}")
guard_s = time.perf_counter() - started
print(json.dumps([guard_s, call(ask_backend.ask_backend, passed, passed, passed)]))
"""
RUN_FLEX = """
import asyncio, json, time
from guarded_backend import GuardedBackend
started = time.perf_counter()
answer = asyncio.run(GuardedBackend()("{question}", []))
print(json.dumps([time.perf_counter() - started - answer["pf_node_time_sec"], answer]))
"""


class _Backend(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(BACKEND_ANSWER).encode()
        self.send_response(200 if self.path == "/" else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@pytest.fixture
def backend() -> Iterator[str]:
    """Serve a backend that answers at once, on any path but / with status 503."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Backend) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def run(flow: str, endpoint: str, question: str = "Test question") -> subprocess.CompletedProcess[str]:
    """Run a flow once in a process of its own."""
    script = (RUN_DAG if flow in DAGS else RUN_FLEX).replace("{question}", question)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{FLOWS / flow}{os.pathsep}{STUBS}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MOCK_API_ENDPOINT": endpoint,
    }
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def bench(flow: str) -> dict[str, object]:
    """Read the flow's bench.toml."""
    return tomllib.loads((FLOWS / flow / "bench.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("flow", ALL)
def test_answer(flow: str, backend: str) -> None:
    """A flow adds its own duration and name to the backend's answer, and nothing else."""
    _, answer = json.loads(run(flow, backend).stdout)
    assert answer.pop("pf_node_time_sec") > 0
    assert answer == {**BACKEND_ANSWER, "type": flow}


@pytest.mark.parametrize("flow", ALL)
def test_declared_wait(flow: str, backend: str) -> None:
    """A flow's guards wait what its bench.toml declares, and not one after the other."""
    waited_s, _ = json.loads(run(flow, backend).stdout)
    declared_s = bench(flow)["own_wait_s"]
    assert isinstance(declared_s, float)
    assert declared_s <= waited_s < 2 * declared_s


@pytest.mark.parametrize("flow", ALL)
@pytest.mark.parametrize(
    ("path", "question", "message"),
    [
        (None, "q", "MOCK_API_ENDPOINT must hold the URL of the backend"),
        ("broken", "q", "the backend answered with HTTP status 503"),
        ("", "", "a guard refused the question"),
    ],
)
def test_refusal(flow: str, path: str | None, question: str, message: str, backend: str) -> None:
    """A flow that cannot answer says why."""
    failed = run(flow, "" if path is None else backend + path, question)
    assert failed.returncode != 0
    assert failed.stderr.rstrip().endswith(message)


@pytest.mark.parametrize("flow", ALL)
def test_request(flow: str) -> None:
    """Every flow is sent the request of the published benchmark."""
    request = json.loads((FLOWS / flow / "request.json").read_bytes())
    assert request == {"question": "Test question", "chat_history": []}


@pytest.mark.parametrize(("flow", "answer_in"), [(DAGS[0], "answer"), (DAGS[1], "answer"), ("flex_async", None)])
def test_bench_file(flow: str, answer_in: str | None) -> None:
    """A flow declares where its answer is and that it carries its name."""
    assert bench(flow).get("answer_in") == answer_in
    assert bench(flow)["answer"] == {"type": flow}


def test_dags_are_the_same() -> None:
    """The two DAG flows differ in their tools only, so that they can be compared."""
    sync, asynchronous = ((FLOWS / flow / "flow.dag.yaml").read_text(encoding="utf-8") for flow in DAGS)
    assert sync == asynchronous
    assert sync.count("path: guard.py") == 3
