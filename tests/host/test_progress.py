"""What a person sees while it runs: plain lines in a log, one live line on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from scripts.config.errors import EnvironmentBuildError, Terminated
from scripts.host.progress import Progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at 100 s."""
    return Clock()


@pytest.fixture
def out() -> io.StringIO:
    """What was printed."""
    return io.StringIO()


@pytest.fixture
def progress(clock: Clock, out: io.StringIO) -> Progress:
    """Progress into a log, which is no terminal."""
    return Progress(clock, Console(file=out, force_terminal=False, highlight=False, soft_wrap=True))


def test_phase(progress: Progress, clock: Clock, out: io.StringIO) -> None:
    """A phase is one line with the seconds it took and its result, and returns them."""
    progress.phase("boot")
    clock.now += 2.5
    assert progress.done("8 workers ready") == 2.5
    assert out.getvalue() == "  boot        2.5 s  8 workers ready\n"


def test_labelled_lines(progress: Progress, clock: Clock, out: io.StringIO) -> None:
    """Lines of runs at the same time say of which run they are."""
    first, second = progress.labelled("[1/2]"), progress.labelled("[2/2]")
    first.phase("boot")
    second.phase("boot")
    clock.now += 2.5
    second.done("ready")
    first.note("busy")
    assert out.getvalue() == "[2/2]   boot        2.5 s  ready\n[1/2]   busy\n"


def test_long_phase_in_a_log(progress: Progress, clock: Clock, out: io.StringIO) -> None:
    """A long phase writes a line to a log every ten seconds, and no more often."""
    progress.phase("load")
    for _ in range(25):
        clock.now += 1.0
        progress.update(f"at {clock.now:.0f}")
    assert out.getvalue().splitlines() == ["  load     at 110", "  load     at 120"]


def test_failed_phase(progress: Progress, clock: Clock, out: io.StringIO) -> None:
    """A phase that failed is named as such; without one, nothing is printed."""
    progress.abandon()
    assert out.getvalue() == ""
    progress.phase("verify")
    clock.now += 1.0
    progress.abandon()
    progress.abandon()
    assert out.getvalue() == "  verify      1.0 s  FAILED\n"


@pytest.mark.parametrize(
    ("error", "word"),
    [(KeyboardInterrupt, "interrupted"), (Terminated, "interrupted"), (EnvironmentBuildError, "FAILED")],
)
def test_open_phase(progress: Progress, out: io.StringIO, error: type[BaseException], word: str) -> None:
    """A phase that Ctrl-C or SIGTERM leaves open was interrupted; one that an error leaves open has failed."""

    def left_open() -> None:
        with progress:
            progress.phase("load")
            raise error("x")

    with pytest.raises(error):
        left_open()
    assert out.getvalue() == f"  load        0.0 s  {word}\n"


def test_open_phase_at_the_end(progress: Progress, out: io.StringIO) -> None:
    """A phase that is open when the work ends well is done."""
    with progress:
        progress.phase("install")
    assert out.getvalue() == "  install     0.0 s  done\n"


FOREIGN = "[bold]x[/bold] [/opt/app] [2026-11-16 12:00] [INFO] [link=x]"


def test_foreign_text(progress: Progress, out: io.StringIO) -> None:
    """Brackets in names, messages and logs are printed as they are."""
    progress.heading(FOREIGN)
    progress.note(FOREIGN)
    progress.phase("boot")
    progress.done(FOREIGN)
    assert out.getvalue().count(FOREIGN) == 3


def test_live_line_is_gone_at_the_end(clock: Clock, out: io.StringIO) -> None:
    """On a terminal, a phase shows a live line, and leaves one line behind."""
    progress = Progress(clock, Console(file=out, force_terminal=True, width=80, no_color=True))
    with progress:
        progress.phase("load")
        progress.update("500 users")
        progress.done("ended")
    assert progress._live is None
    assert out.getvalue().rstrip().endswith("ended")
