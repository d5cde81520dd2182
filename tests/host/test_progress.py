"""What a person sees while it runs: plain lines in a log, one live line on a terminal."""

from __future__ import annotations

import io
import logging

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
    progress.head(FOREIGN, 0.0, FOREIGN)
    progress.note(FOREIGN)
    progress.phase("boot")
    progress.done(FOREIGN)
    progress.run(FOREIGN)
    progress.ran(FOREIGN)
    assert out.getvalue().count(FOREIGN) == 6


def test_one_line_a_run(progress: Progress, clock: Clock, out: io.StringIO) -> None:
    """A run is one line: what ran, how long, and what came out; its steps and details are not printed."""
    progress.run("[1/2] 1.12.0 fastapi static_async")
    progress.phase("load")
    clock.now += 60.0
    progress.update("500 users")
    progress.done("ended")
    progress.detail("recorded in results/runs")
    progress.ran("2900 requests")
    assert out.getvalue() == "[1/2] 1.12.0 fastapi static_async  60.0 s  2900 requests\n"


def test_long_run_in_a_log(progress: Progress, clock: Clock, out: io.StringIO) -> None:
    """A run that takes long shows every five minutes that it goes on; a short one shows nothing before its end."""
    progress.run("[1/6] 1.12.0 fastapi static_async")
    progress.phase("load")
    for _ in range(70):
        clock.now += 10.0
        progress.update(f"at {clock.now:.0f}")
    assert out.getvalue().splitlines() == ["  load     at 400", "  load     at 700"]


def test_verbose_run(clock: Clock, out: io.StringIO) -> None:
    """At log level INFO the steps of a run and its details are lines of their own, also on a terminal."""
    logging.getLogger("scripts").setLevel(logging.INFO)
    progress = Progress(clock, Console(file=out, force_terminal=True, width=80, color_system=None))
    progress.run("[1/1] 1.12.0")
    progress.phase("load")
    progress.done("ended")
    progress.detail("recorded in results/runs")
    progress.ran("2900 requests")
    assert out.getvalue().splitlines() == [
        "[1/1] 1.12.0", "  load        0.0 s  ended", "  recorded in results/runs",
        "[1/1] 1.12.0  0.0 s  2900 requests",
    ]  # fmt: skip


def test_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """At log level ERROR nothing is printed; above it, everything goes to standard error."""
    for wanted, lines in ((logging.ERROR, 0), (logging.NOTSET, 2)):
        logging.getLogger("scripts").setLevel(wanted)
        progress = Progress(clock)
        progress.head("round 1 of 8", 60.0)
        progress.note("busy")
        printed = capsys.readouterr()
        assert (printed.out, len(printed.err.splitlines())) == ("", lines)


def test_interrupted_run(progress: Progress, out: io.StringIO) -> None:
    """A run that Ctrl-C ends has its line, too."""

    def left_open() -> None:
        with progress:
            progress.run("[1/1] 1.12.0")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        left_open()
    assert out.getvalue() == "[1/1] 1.12.0  0.0 s  interrupted\n"


@pytest.mark.parametrize(("seconds", "text"), [(-3.0, "0:00"), (59.6, "1:00"), (250.0, "4:10"), (7450.0, "2:04:10")])
def test_time_left(progress: Progress, out: io.StringIO, seconds: float, text: str) -> None:
    """The time that is left is written as a clock shows it, and never below nothing."""
    progress.head("round 3 of 8", seconds)
    assert out.getvalue() == f"round 3 of 8, {text} left\n"


def live(console: Console, clock: Clock) -> Progress:
    """Progress on a terminal, in the middle of a load."""
    progress = Progress(clock, console)
    progress.head("round 3 of 8", 250.0, "CPU per request +0.8 % (-1.3 % to +2.9 %)")
    progress.run("[round 3] 1.12.0")
    progress.phase("load")
    progress.update("500 users")
    return progress


def test_live_lines(clock: Clock, out: io.StringIO) -> None:
    """On a terminal the head line counts down above the current step, and nothing of both stays."""
    progress = live(Console(file=out, force_terminal=True, width=80, highlight=False), clock)
    clock.now += 10.0
    assert str(progress._shown()).splitlines() == [
        "round 3 of 8, 4:00 left, CPU per request +0.8 % (-1.3 % to +2.9 %)", "[round 3] 1.12.0  load 10 s  500 users",
    ]  # fmt: skip
    with progress:
        progress.done("ended")
        progress.ran("2900 requests")
    assert progress._live is None
    assert "[round 3] 1.12.0  10.0 s  2900 requests\n" in out.getvalue()


def test_live_lines_are_cut_at_the_width(clock: Clock) -> None:
    """A terminal that is narrower than the head line shows its beginning on one line, so that redrawing works."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=30, no_color=True)
    progress = live(console, clock)
    with progress, console.capture() as drawn:
        console.print(progress._shown())
    assert max(len(line) for line in drawn.get().splitlines()) <= 30
