"""What counts as which failure, and what a recording writes; no locust, no load."""

from __future__ import annotations

import csv
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent  # type: ignore[import-untyped]
import pytest
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "locustfiles"))
if TYPE_CHECKING:
    from locustfiles import answers, recorder
else:  # as locust imports them
    import answers
    import recorder

CLOSED = HTTPConnectionClosed("connection closed.")
RACE: dict[str, Any] = {"error": CLOSED, "status": 0, "response_time_ms": 1.9, "idle_s": 1.8, "reused": True}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, answers.KEEPALIVE_RACE),
        ({"error": ConnectionResetError(104, "Connection reset by peer")}, answers.KEEPALIVE_RACE),
        ({"error": BrokenPipeError(32, "Broken pipe")}, answers.KEEPALIVE_RACE),
        ({"idle_s": 1.0, "response_time_ms": 19.99}, answers.KEEPALIVE_RACE),
        ({"reused": False}, answers.CONNECTION),
        ({"idle_s": 0.99}, answers.CONNECTION),
        ({"idle_s": None}, answers.CONNECTION),
        ({"response_time_ms": 100.0}, answers.CONNECTION),
        ({"error": HTTPParseError("connection closed before end of the headers")}, answers.CONNECTION),
        ({"error": ConnectionRefusedError(111, "Connection refused")}, answers.CONNECTION),
        ({"error": HTTPParseError("truncated body"), "status": 200}, answers.CONNECTION),
        ({"error": None}, answers.CONNECTION),
        ({"error": TimeoutError("timed out")}, answers.TIMEOUT),
        ({"error": RetriesExceeded("/score", 0, original=TimeoutError("timed out"))}, answers.TIMEOUT),
        ({"error": RetriesExceeded("/score", 0, original=BrokenPipeError())}, answers.KEEPALIVE_RACE),
        ({"error": Exception("code=503"), "status": 503}, answers.STATUS),
        ({"error": None, "status": 204}, answers.STATUS),
        ({"error": None, "status": 200}, None),
    ],
)
def test_failure_kind(change: dict[str, Any], kind: str | None) -> None:
    """A keep-alive race is distinguished from every other failure by all of its marks."""
    assert answers.failure_kind(**{**RACE, **change}) == kind


EXPECTED = answers.Expected(answer_in="answer", fields={"type": "static_sync"})


@pytest.mark.parametrize(
    ("reply", "backend_s", "node_s"),
    [
        ('{"answer": {"type": "static_sync", "total_time_sec": 1, "pf_node_time_sec": 1.01}}', 1.0, 1.01),
        ('{"answer": {"type": "static_sync", "total_time_sec": "1", "pf_node_time_sec": true}}', None, None),
    ],
)
def test_good_answer(reply: str, backend_s: float | None, node_s: float | None) -> None:
    """A good answer reports its times, if they are numbers."""
    assert EXPECTED.check(reply.encode()) == answers.Answer(backend_s=backend_s, node_s=node_s)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b"[1]", "no JSON object in answer"),
        (b'{"answer": "text"}', "no JSON object in answer"),
        (b'{"output": {"type": "static_sync"}}', "no JSON object in answer"),
        (b'{"answer": {"type": "flex_async"}}', "type is 'flex_async', expected 'static_sync'"),
        (b'{"answer": {}}', "type is None, expected 'static_sync'"),
    ],
)
def test_wrong_answer(reply: bytes, message: str) -> None:
    """A reply that is not the expected one is refused with what is wrong."""
    with pytest.raises(answers.WrongAnswerError, match=message):
        EXPECTED.check(reply)


def test_expected_of_bench_file(tmp_path: Path) -> None:
    """What a good answer is comes from bench.toml; without the file any JSON object will do."""
    bench = tmp_path / "bench.toml"
    assert answers.read_expected(bench) == answers.Expected(fields={})
    bench.write_text('own_wait_s = 0.25\nanswer_in = "answer"\n[answer]\ntype = "static_sync"\n')
    assert answers.read_expected(bench) == EXPECTED
    bench.write_text("answer = 1\n")
    with pytest.raises(ValueError, match="must be a name"):
        answers.read_expected(bench)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("[Errno 111] Connection refused", "[Errno 111] Connection refused"),
        ("GET http://10.0.0.7:8080/score failed", "GET URL failed"),
        ("connect to 127.0.0.1:40123", "connect to ADDRESS"),
        ("localhost:8080 and [::1]:80", "ADDRESS and ADDRESS"),
        ("host='x', port=40123", "host='x', port PORT"),
        ('File "/srv/flow/ask_backend.py", line 3', 'File "PATH", line 3'),
        ("<Flow object at 0x7f00aa>", "<Flow object at 0x...>"),
        ("rate 1/2\n  of   all", "rate 1/2 of all"),
        ("x" * 300, "x" * 200),
    ],
)
def test_public_message(text: str, public: str) -> None:
    """A message keeps its sense and loses addresses, ports, paths and length."""
    assert answers.public_message(text) == public


@pytest.mark.parametrize(
    ("ascending", "share", "expected"),
    [([], 0.5, None), ([3.0], 0.99, 3.0), ([1.0, 2.0], 0.5, 1.0), ([1.0, 2.0, 3.0, 4.0], 0.95, 4.0)],
)
def test_percentile(ascending: list[float], share: float, expected: float | None) -> None:
    """Percentiles are values that occurred."""
    assert recorder.percentile(ascending, share) == expected


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeEntry:
    """One row of locust's statistics, of two requests."""

    method: str
    name: str
    num_requests: int = 2
    num_failures: int = 1
    median_response_time: float = 1200
    avg_response_time: float = 1250.5
    min_response_time: float | None = None
    max_response_time: float = 1301.25
    avg_content_length: float = 139.5
    total_rps: float = 0.5
    total_fail_per_sec: float = 0.25

    def get_response_time_percentile(self, share: float) -> int:
        """Say which percentile was asked for."""
        return int(share * 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeStats:
    """locust's statistics."""

    entries: dict[tuple[str, str], FakeEntry]
    total: FakeEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeRunner:
    """As much of a runner as a recording asks for."""

    user_count: int = 3
    stats: FakeStats = field(
        default_factory=lambda: FakeStats(
            entries={("/score", "POST"): FakeEntry(method="POST", name="/score")},
            total=FakeEntry(method="", name="Aggregated", num_requests=0),
        )
    )
    exceptions: dict[int, dict[str, int]] = field(default_factory=lambda: {1: {"count": 2}, 2: {"count": 3}})


@pytest.fixture
def runner() -> Any:  # noqa: ANN401 - stands for locust's Runner
    """Make a runner with three users and five exceptions."""
    return FakeRunner()


def read_load(directory: Path) -> dict[str, Any]:
    """Read load.json."""
    loaded: dict[str, Any] = json.loads((directory / "load.json").read_text(encoding="utf-8"))
    return loaded


def test_recording(tmp_path: Path, runner: Any) -> None:  # noqa: ANN401
    """A recording holds every request in full precision, and what was in flight, and locust's own rows."""
    recording = recorder.Recording(tmp_path, runner)
    recording.all_users_started()
    recording.add((10.5, 1250.1234567890123, "ok", 139, 1.0, 1.01, None, 0, 40001))
    recording.add((11.5, 1.9, "keepalive_race", 0, None, None, 1.75, 1, None))
    recording.fail("keepalive_race", "HTTPConnectionClosed: connection closed.")
    recording.cut_off(30.0)
    recording.cut_off(20.0)
    gevent.sleep(1.1)
    recording.stop()
    assert not (tmp_path / "load.json").exists()
    recording.write(user_class="FastHttpUser", options={"users": "3"})
    load = read_load(tmp_path)
    with (tmp_path / "requests.csv").open(encoding="utf-8", newline="") as stream:
        first, second = csv.DictReader(stream)
    assert list(first) == list(recorder.REQUEST_COLUMNS)
    assert float(first["response_time_ms"]) == 1250.1234567890123
    assert (first["idle_s"], second["idle_s"], second["backend_s"]) == ("", "1.75", "")
    assert load["started_s"] <= load["all_users_at_s"] < load["stopped_s"] <= time.monotonic()
    assert (load["users_reached"], load["users_by_second"], load["exceptions"]) == (3, [3], 5)
    assert (load["in_flight_at_stop"], load["in_flight_age_ms"]) == (2, [20.0, 30.0])
    assert load["failures"] == [
        {"kind": "keepalive_race", "message": "HTTPConnectionClosed: connection closed.", "count": 1}
    ]
    assert 0 <= load["lag_ms"]["p50"] <= load["lag_ms"]["p99"] <= load["lag_ms"]["max"]
    assert [row["name"] for row in load["locust_rows"]] == ["/score", "Aggregated"]
    assert load["locust_rows"][0]["percentiles"] == [500, 660, 750, 800, 900, 950, 980, 990, 999, 999, 1000]
    assert (load["locust_rows"][0]["min_response_time"], load["locust_rows"][1]["percentiles"]) == (0, [])
    progress = (tmp_path / "progress.csv").read_text(encoding="utf-8").splitlines()
    assert progress == ["t_s,users,requests,failures,p95_ms", "1.0,3,2,1,1250.1"]
    assert {path.name for path in tmp_path.iterdir()} == {"load.json", "requests.csv", "progress.csv"}


def test_recording_replaces_an_older_one(tmp_path: Path, runner: Any) -> None:  # noqa: ANN401
    """A directory never holds the summary of an earlier test beside an unfinished one."""
    (tmp_path / "load.json").write_text("{}", encoding="utf-8")
    recording = recorder.Recording(tmp_path, runner)
    assert not (tmp_path / "load.json").exists()
    recording.stop()


def test_ramp_that_never_ended(tmp_path: Path, runner: Any) -> None:  # noqa: ANN401
    """A test that stops before all users have started says so."""
    recording = recorder.Recording(tmp_path, runner)
    recording.stop()
    recording.write(user_class="FastHttpUser", options={})
    load = read_load(tmp_path)
    assert load["all_users_at_s"] is None
    assert load["users_reached"] == 3


def test_many_kinds_of_message(tmp_path: Path, runner: Any) -> None:  # noqa: ANN401
    """Messages that never repeat do not grow without end, and none of them is lost from the count."""
    recording = recorder.Recording(tmp_path, runner)
    for number in range(100):
        recording.fail("status", f"HTTP 500 number {number}")
    recording.stop()
    recording.write(user_class="FastHttpUser", options={})
    failures = read_load(tmp_path)["failures"]
    assert len(failures) == 21
    assert {"kind": "status", "message": "other messages", "count": 80} in failures
