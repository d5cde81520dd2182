"""Somebody interrupts, terminates or kills a session, or starts a second one beside it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.faults.world import Session, World

pytestmark = [pytest.mark.e2e, pytest.mark.fault]

EXIT_CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
WORDS = {130: "interrupted", 143: "terminated"}


def to_boot(world: World, sigterm: str = "ok") -> Session:
    """A session whose server is booting."""
    world.behave(boot="never_ready", sigterm=sigterm)
    session = world.start()
    session.wait_until(lambda: world.came_to("boot"))
    return session


def to_verify(world: World, sigterm: str = "ok", **variables: str) -> Session:
    """A session that waits for the first answer."""
    world.behave(answer="hang", sigterm=sigterm)
    session = world.start(**variables)
    session.wait_until(lambda: world.came_to("score"))
    return session


def to_load(world: World, sigterm: str = "ok") -> Session:
    """A session under load."""
    world.behave(sigterm=sigterm)
    session = world.start()
    session.wait_until(world.loads)
    return session


def to_collect(world: World) -> Session:
    """A session that waits for the mock's counts, because the mock has been halted."""
    session = to_load(world)
    session.wait_until(lambda: any(world.at.glob("scratch/*/recorded/load.json")))
    (mock,) = world.processes("mock_api_app")
    mock.suspend()
    session.wait_until(lambda: not world.processes("locust "))
    return session


@pytest.mark.parametrize("phase", [to_boot, to_verify, to_load, to_collect])
@pytest.mark.parametrize(("number", "code"), EXIT_CODES, ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_session_stops_everything(
    world: World, phase: Callable[[World], Session], number: signal.Signals, code: int
) -> None:
    """Ctrl-C or SIGTERM in any phase stops all processes, keeps no record, and ends with 130 or 143."""
    session = phase(world)
    session.signal(number)
    for halted in world.processes("mock_api_app"):
        halted.resume()
    ended = session.end()
    assert ended.code == code, ended.err
    assert ended.err.endswith(f"{WORDS[code]}: everything that was started has been stopped\n")
    assert "Traceback" not in ended.err
    assert world.records() == []
    assert world.left() == []


def test_an_interrupt_ends_what_left_its_session(world: World) -> None:
    """Ctrl-C also ends the processes that a flow has started in sessions of their own."""
    world.behave(answer="hang", strays="two")
    session = world.start()
    session.wait_until(lambda: world.came_to("score"))
    assert len(world.strays()) == 2
    session.signal(signal.SIGINT)
    ended = session.end()
    assert ended.code == 130, ended.err
    assert world.left() == []


def test_a_closed_terminal_does_not_end_what_nohup_started(world: World) -> None:
    """A session under nohup that gets SIGHUP, as when its terminal closes, goes on to its record."""
    session = world.start(first="trap '' HUP")  # what nohup does
    session.wait_until(world.loads)
    session.signal(signal.SIGHUP)
    ended = session.end()
    assert ended.code == 0, ended.err
    assert [record.outcome for record in world.records()] == ["ok"]
    assert world.left() == []


def test_a_second_interrupt_does_not_disturb_the_cleaning_up(world: World) -> None:
    """Somebody who presses Ctrl-C again and again still leaves no server that ignores SIGTERM."""
    session = to_verify(world, sigterm="ignore", FORCE_COLOR="1")  # with a live line, as on a terminal: it has a thread
    for _ in range(3):
        session.signal(signal.SIGINT)
        assert session.runs_on(0.2)  # the server has 1 s before it is killed
    ended = session.end()
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    assert world.left() == []


def test_an_interrupt_just_after_a_start_misses_no_process(world: World) -> None:
    """Ctrl-C in the moment between the start of a server and the note of it leaves no server."""
    world.behave(boot="never_ready", sigterm="ignore")
    ended = world.run("--interrupt-at", "server")
    assert ended.code == 130, ended.err
    assert world.left() == []


def test_an_interrupt_while_a_record_is_written_waits_for_it(world: World) -> None:
    """Ctrl-C between the writing of a record and its move to its place waits for the record."""
    world.behave(answer="wrong")
    ended = world.run("--interrupt-at", "keep")
    assert ended.code == 130, ended.err
    assert [record.outcome for record in world.records()] == ["verify-failed"]
    assert world.left() == []


def test_finished_runs_survive_an_interrupt(world: World) -> None:
    """The rounds before the one that is interrupted stay, and the interrupted one leaves no record."""
    session = world.start("--rounds", "2")
    session.wait_until(lambda: len(world.records()) == 1)
    kept = world.record_bytes()
    session.wait_until(lambda: bool(world.processes("locust ")))
    session.signal(signal.SIGINT)
    assert session.end().code == 130
    assert [record.outcome for record in world.records()] == ["ok"]
    assert world.record_bytes() == kept
    assert world.left() == []


@pytest.mark.parametrize("phase", [to_boot, to_load])
def test_what_a_killed_session_left_is_ended_by_the_next(world: World, phase: Callable[[World, str], Session]) -> None:
    """After kill -9 the next session ends the leftovers, removes the unfinished record and folder, and succeeds."""
    session = phase(world, "ignore")
    session.signal(signal.SIGKILL)
    assert session.end().code == -signal.SIGKILL
    leftovers = world.processes()
    assert leftovers  # a server that ignores the SIGTERM which the kernel sent in the session's name
    unfinished = world.results / "runs" / "fault" / "1.12.0" / "flask-flow" / "20240101T000000Z-abcdef.tmp"
    unfinished.mkdir(parents=True)
    assert len(world.folders()) == 1
    world.behave()
    ended = world.run()
    assert ended.code == 0, ended.err
    assert world.folders() == []
    assert not [process for process in leftovers if process.is_running()]
    assert [record.outcome for record in world.records()] == ["ok"]
    assert world.left() == []


def test_logs_that_were_kept_outlive_the_next_session(world: World) -> None:
    """The folder of a failed run, which names its logs, is none of a killed session: the next session keeps it."""
    world.behave(answer="wrong")
    assert world.run().code == 5
    kept = world.folders()
    world.behave()
    assert world.run().code == 0
    assert len(kept) == 1
    assert world.folders() == kept


def test_a_second_session_on_the_machine_is_refused(world: World) -> None:
    """A session that finds another one refuses with exit code 2, and leaves that one alone."""
    first = to_load(world)
    (load,) = world.processes("-m locust")
    load.suspend()
    second = world.run()
    load.resume()
    assert second.code == 2
    assert "another measurement runs on this machine" in second.err
    assert "next: wait until it has ended, then repeat this command" in second.err
    ended = first.end()
    assert ended.code == 0, ended.err
    assert [record.outcome for record in world.records()] == ["ok"]
    assert world.left() == []


def test_a_killed_campaign_goes_on(world: World) -> None:
    """A campaign killed in the middle of its second round keeps the first, and makes the second again whole."""
    session = world.start("--campaign", "--rounds", "2")
    session.wait_until(lambda: len(world.records()) == 3)
    session.wait_until(lambda: bool(world.processes("locust ")))
    session.signal(signal.SIGKILL)
    assert session.end().code == -signal.SIGKILL
    kept = world.record_bytes()
    ended = world.run("--campaign", "--rounds", "2")
    assert ended.code == 0, ended.err
    assert "1 round(s) of this campaign are measured already" in ended.err
    assert kept.items() <= world.record_bytes().items()
    assert sorted(record.requested.round for record in world.records()) == [1, 1, 2, 2, 2]
    assert len({record.requested.round_id for record in world.records()}) == 3
    assert world.left() == []
