"""What was measured around a load: the steady window, CPU by second, and how the status line reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.config.errors import InvalidMeasurementError
from scripts.host.telemetry import MemorySample, TreeSample
from scripts.measure import assembly, loadgen
from scripts.measure.loadgen import Probe
from scripts.records.schema import SoakSample
from tests.fakes import values
from tests.fakes.values import RECORDED, request


def samples(*pairs: tuple[float, float]) -> list[TreeSample]:
    """Looks at a tree of one process: when, and CPU seconds so far."""
    return [TreeSample(at_s=at_s, cpu_s={1: cpu_s}) for at_s, cpu_s in pairs]


@pytest.mark.parametrize(
    ("times", "inside"),
    [
        ([100.5, 101.0, 102.0, 104.0, 104.1], [101.0, 102.0, 104.0]),
        ([100.9, 101.1, 103.9, 105.0], [101.1, 103.9]),
    ],
)
def test_window(times: list[float], inside: list[float]) -> None:
    """The steady window is from the last user's start to the stop, both included."""
    found = assembly.window(samples(*((at_s, 0.0) for at_s in times)), RECORDED, 101.0)
    assert [sample.at_s for sample in found] == inside


@pytest.mark.parametrize("times", [[], [100.0, 102.0, 105.0], [100.0, 100.5]])
def test_no_window(times: list[float]) -> None:
    """Fewer than two samples in the window are no measurement, and the message does not blame the users."""
    said = (
        r"all users had started, and the steady window of 3.0 s has too few samples of CPU time: [01], and it needs 2"
    )
    with pytest.raises(InvalidMeasurementError, match=said):
        assembly.window(samples(*((at_s, 0.0) for at_s in times)), RECORDED, 101.0)


def test_window_of_a_ramp_that_never_ended() -> None:
    """When not all users came to start, there is no window, and the message says how many did."""
    recorded = dataclasses.replace(RECORDED, all_users_at_s=None, users_reached=1)
    with pytest.raises(InvalidMeasurementError, match="the load ended before its ramp, with 1 of 2 users"):
        assembly.window(samples((101.0, 0.0), (102.0, 0.0)), recorded, 104.0)


@pytest.mark.fault
def test_window_of_a_load_that_ended_early() -> None:
    """When all users had started and the load then ended early, the message says after how long of how long."""
    recorded = dataclasses.replace(RECORDED, options={"users": "2", "run_time_s": "60"})
    with pytest.raises(InvalidMeasurementError, match=r"the load ended after 4.0 s of 60 s; there is no steady"):
        assembly.window(samples((100.0, 0.0), (102.0, 0.0)), recorded, 103.5)


@pytest.mark.parametrize(
    ("looks", "cpu_s"),
    [
        ([(99.0, 0.0), (105.0, 6.0)], [1.0, 1.0, 1.0, 1.0]),
        ([(100.0, 2.0), (102.0, 4.0), (104.0, 4.5)], [1.0, 1.0, 0.25, 0.25]),
        ([(99.5, 0.0), (100.5, 1.0), (101.5, 3.0), (104.5, 3.0)], [1.5, 1.0, 0.0, 0.0]),
        ([(101.0, 0.0), (103.0, 1.0)], [None, 0.5, 0.5, None]),
        ([(101.5, 0.0), (102.5, 1.0)], [None, None, None, None]),
        ([(99.0, 5.0), (102.0, 5.0), (103.0, 4.0), (105.0, 6.0)], [0.0, 0.0, None, 1.0]),
        ([], []),
    ],
)
def test_cpu_by_second(looks: list[tuple[float, float]], cpu_s: list[float | None]) -> None:
    """CPU is interpolated between looks; a second without looks, or one in which a process ended, has none."""
    assert assembly.cpu_by_second(samples(*looks), RECORDED) == cpu_s


@pytest.mark.fault
@pytest.mark.parametrize(
    ("probes", "stall_s"),
    [
        ([(99.0, 0.9), (101.0, 0.01), (102.0, 0.3), (104.1, 0.8)], 0.3),
        ([(99.5, 0.6), (101.0, 0.01)], 0.6),  # still waited for when the load began
        ([(98.0, 0.5)], None),
        ([], None),
    ],
)
def test_stall(probes: list[tuple[float, float]], stall_s: float | None) -> None:
    """The mock API's largest stall is that of the load; how slow it was before or after does not matter."""
    found = [Probe(sent_s=sent_s, took_s=took_s) for sent_s, took_s in probes]
    assert assembly.stall_s(found, RECORDED) == stall_s


def test_samples_of_a_soak() -> None:
    """Each sample has the requests up to it and the median overhead since the one before; outside the load is none."""
    rows = [
        request(101.0, 1260.0),
        request(101.5, 1270.0),
        request(101.9, 0.64, "keepalive_race"),
        request(102.0, 1290.0),
        request(103.0, 0.5, "status"),
    ]
    taken = [MemorySample(at_s=at_s, sizes=(round(at_s), 2)) for at_s in (99.0, 102.0, 103.0, 104.5)]
    assert assembly.soak(taken, RECORDED, rows, 0.25) == (
        SoakSample(at_s=2.0, requests=4, memory_bytes=(102, 2), overhead_p50_ms=20.0),
        SoakSample(at_s=3.0, requests=5, memory_bytes=(103, 2), overhead_p50_ms=None),
    )
    assert [one.overhead_p50_ms for one in assembly.soak(taken, RECORDED, rows, None)] == [None, None]
    assert assembly.soak([], RECORDED, rows, 0.25) == ()


def test_tree_total() -> None:
    """A tree's CPU time is that of all its processes."""
    assert TreeSample(at_s=0.0, cpu_s={1: 0.25, 2: 0.5}).total_cpu_s == 0.75


HEAD = "t_s,users,requests,failures,p95_ms\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (HEAD + "1.0,2,10,0,1300.4\n", (2, "2 users, 0.0 rps, p95 1300 ms, 3 s left")),
        (HEAD + "1.0,2,10,0,\n2.0,2,15,0,\n", (2, "2 users, 5.0 rps, p95 -, 2 s left")),
        (HEAD + "1.0,2,10,0,1\n3.0,2,20,4,2\n", (2, "2 users, 5.0 rps, p95 2 ms, 4 failed, 1 s left")),
        (HEAD + "9.0,2,10,0,1\n", (2, "2 users, 0.0 rps, p95 1 ms, 0 s left")),
        (HEAD, (0, "locust starts")),
        (HEAD + "1.0,2", (0, "locust starts")),
        (HEAD + "x,2,3,4,5\n", (0, "locust starts")),
        (None, (0, "locust starts")),
    ],
)
def test_status(tmp_path: Path, text: str | None, status: tuple[int, str]) -> None:
    """The line about the load is from the recorder's last rows, and never fails on one half written."""
    if text is not None:
        (tmp_path / "progress.csv").write_text(text, encoding="utf-8")
    assert loadgen.status(tmp_path / "progress.csv", 4) == status


def test_rate_is_of_the_last_five_seconds(tmp_path: Path) -> None:
    """The rate shown looks back five seconds, not to the start."""
    rows = "".join(f"{n}.0,2,{0 if n < 10 else (n - 9) * 7},0,1\n" for n in range(1, 21))
    (tmp_path / "progress.csv").write_text(HEAD + rows, encoding="utf-8")
    assert "7.0 rps" in loadgen.status(tmp_path / "progress.csv", 60)[1]


def test_command_of_a_release(tmp_path: Path) -> None:
    """Locust gets the profile, the seed and the flow's request, and cuts requests off at the end."""
    command = " ".join(loadgen.command(values.spec(tmp_path), [4242], "DIR"))
    assert "--host http://127.0.0.1:4242 --users 2 --spawn-rate 2 --run-time 4s" in command
    assert "--wait-min-s 0.1 --wait-max-s 0.2 --seed 42 --record-to DIR" in command
    assert command.endswith(f"--request-file {tmp_path / 'request.json'}")
    assert "score.py" in command
    assert "--stop-timeout" not in command


def test_command_with_a_drain() -> None:
    """A profile that drains lets requests in flight finish."""
    spec = values.spec(None)
    drained = dataclasses.replace(spec, profile=dataclasses.replace(values.PROFILE, drain_s=7))
    command = loadgen.command(drained, [4242], "DIR")
    assert command[command.index("--stop-timeout") + 1] == "7"
    assert "--request-file" not in command


def test_command_of_two_arms(tmp_path: Path) -> None:
    """Two arms get one locust, with both hosts and the users of both."""
    profile = dataclasses.replace(values.PROFILE, at_once=2)
    spec = dataclasses.replace(values.spec(tmp_path), profile=profile)
    command = " ".join(loadgen.command(spec, [4242, 4343], "DIR"))
    assert "duet.py" in command
    assert "--host http://127.0.0.1:4242 --users 4 --spawn-rate 4 --run-time 4s" in command
    assert "--second-host http://127.0.0.1:4343" in command
