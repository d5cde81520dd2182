"""The machine refuses: full disks, results that cannot be written, too few open files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.faults.world import World, fill, make_read_only, small_disk

pytestmark = [pytest.mark.e2e, pytest.mark.fault]


@pytest.fixture
def small_results(world: World) -> Iterator[World]:
    """A world whose results lie on a disk of 256 KiB, the earlier record among them."""
    try:
        with small_disk(world.results, 256):
            world.plant_earlier_record()
            yield world
    except PermissionError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")


@pytest.fixture
def small_scratch(world: World) -> Iterator[World]:
    """A world whose scratch directory lies on a disk of 256 KiB."""
    try:
        with small_disk(world.at / "scratch", 256):
            yield world
    except PermissionError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")


def test_a_full_disk_of_results_loses_nothing_earlier(small_results: World) -> None:
    """A run that cannot be recorded ends with exit code 3 and leaves nothing unfinished, and says what to do."""
    small_results.behave(answer="wrong")
    fill(small_results.results)
    ended = small_results.run()
    assert ended.code == 3, ended.err
    assert "the run could not be recorded: No space left on device; the runs before it are recorded" in ended.err
    assert f"next: make room on the disk of {small_results.results}, then repeat this command" in ended.err
    assert small_results.records() == []
    assert small_results.left() == []


def test_a_disk_that_fills_up_under_load_is_recorded(small_scratch: World) -> None:
    """A load whose recording could not be written is a failed run with a reason, and exit code 3."""
    small_scratch.behave(load="fill_disk")
    ended = small_scratch.run()
    assert ended.code == 3, ended.err
    assert "the disk of the logs is full: " in ended.err
    assert "next: make room on the disk of " in ended.err
    (record,) = small_scratch.records()
    assert record.outcome == "failed"
    assert record.reasons[0].startswith("the disk of the logs is full: ")
    assert record.measurements is None
    assert small_scratch.left() == []


def test_a_scratch_disk_that_is_full_from_the_start_is_recorded(small_scratch: World) -> None:
    """A run without room for its logs and its copy of the flow is recorded as failed, with exit code 3."""
    fill(small_scratch.at / "scratch")
    ended = small_scratch.run()
    assert ended.code == 3, ended.err
    assert "No space left on device" in ended.err
    assert "next: make room on the disk of " in ended.err
    assert [record.outcome for record in small_scratch.records()] == ["failed"]
    assert small_scratch.left() == []


def test_a_scratch_directory_that_is_removed_under_load_is_recorded(world: World) -> None:
    """A load whose folder somebody removes is a failed run that says so, with exit code 3 and without a traceback."""
    session = world.start()
    session.wait_until(world.loads)
    shutil.rmtree(world.at / "scratch")
    ended = session.end()
    assert ended.code == 3, ended.err
    assert "the folder of the run's logs was removed while it ran: " in ended.err
    assert "next: leave .scratch alone while a session runs, and repeat this command" in ended.err
    assert "Traceback" not in ended.out + ended.err
    (record,) = world.records()
    assert record.outcome == "failed"
    assert record.reasons[0].startswith("the folder of the run's logs was removed while it ran")
    assert str(world.at) not in record.reasons[0]
    assert world.left() == []


def test_a_scratch_directory_that_is_removed_at_boot_is_recorded(world: World) -> None:
    """A run whose folder somebody removes before its load is recorded as failed too, and the next run is made."""
    world.behave(answer="slow")
    session = world.start("--rounds", "2")
    session.wait_until(lambda: world.came_to("score"))
    shutil.rmtree(world.at / "scratch")
    ended = session.end()
    assert ended.code == 3, ended.err
    assert "Traceback" not in ended.out + ended.err
    assert [record.outcome for record in world.records()] == ["failed", "ok"]
    assert world.left() == []


def test_results_on_a_read_only_disk_are_refused_before_anything_starts(small_results: World) -> None:
    """A disk that takes no records ends the command with exit code 2 before a server is started."""
    make_read_only(small_results.results)
    ended = small_results.run()
    assert ended.code == 2, ended.err
    assert f"results cannot be written to {small_results.results}: Read-only file system" in ended.err
    assert not (small_results.at / "scratch").exists()
    assert small_results.left() == []


def test_a_file_in_the_place_of_results_is_refused_before_anything_starts(world: World) -> None:
    """A file where the runs belong ends the command with exit code 2, naming the directory to put right."""
    world.results.rename(world.at / "elsewhere")
    world.results.mkdir()
    (world.results / "runs").write_text("not a directory\n", encoding="utf-8")
    ended = world.run()
    assert ended.code == 2, ended.err
    assert f"results cannot be written to {world.results}" in ended.err
    assert f"next: make {world.results} writable, then repeat" in ended.err
    assert not (world.at / "scratch").exists()
    assert world.processes() == []


def test_too_few_open_files_are_refused_before_anything_starts(world: World) -> None:
    """A hard limit of open files below what the users need ends the command with exit code 2, naming the need."""
    ended = world.run(first="ulimit -n 64")
    assert ended.code == 2, ended.err
    assert "5 users need 133 open files, and this system allows 64" in ended.err
    assert "next: raise the hard limit to 133" in ended.err
    assert not (world.at / "scratch").exists()
    assert world.left() == []
