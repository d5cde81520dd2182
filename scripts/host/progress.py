"""What people see during a run, on standard error: live lines on a terminal, plain lines elsewhere.

The head line says how far the session is. Each run leaves one line. Its steps are printed at log level INFO, as
--verbose sets it, and nothing at all at ERROR, as --quiet does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from scripts.config.errors import EXIT_BROKEN_PIPE

logger = logging.getLogger(__name__)
_PLAIN_EVERY_S = 10.0  # between two lines of a long step in a log
_PLAIN_OF_A_RUN_S = 300.0  # the same where a run has one line: only what takes long shows that it goes on


class _Console(Console):
    """rich's console; when its reader goes away, e.g. `| head`, the command ends as others do then, not with 1."""

    def on_broken_pipe(self) -> None:
        """Send the rest to nowhere, and leave as an interrupted command does."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
        raise SystemExit(EXIT_BROKEN_PIPE) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """How far the whole session is."""

    place: str  # e.g. "round 3 of 8"
    ends_s: float  # estimated, on the progress's clock
    standing: str  # what is known so far; may be empty

    def line(self, now_s: float) -> str:
        """The head line, with the time that is left."""
        left = f"{remaining(self.ends_s - now_s)} left"
        return ", ".join(filter(None, [self.place, left, self.standing]))


class Progress:
    """Use as a context manager around the work, so that the live lines are gone before anything else prints."""

    def __init__(self, clock: Callable[[], float], console: Console | None = None, label: str = "") -> None:
        self._label = label  # of one of several runs at a time: begins each of its lines, and nothing lives
        self._console = console or _Console(
            stderr=True, highlight=False, soft_wrap=True, quiet=not logger.isEnabledFor(logging.WARNING)
        )
        self._clock = clock
        self._verbose = logger.isEnabledFor(logging.INFO)
        self._live: Live | None = None
        self._head: Head | None = None
        self._run = ""
        self._run_began = 0.0
        self._name = ""
        self._text = ""
        self._began = 0.0
        self._printed = 0.0

    def __enter__(self) -> Self:
        """Nothing to show yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the live lines away; a step or a run that did not finish is named."""
        ended = "done" if kind is None else "FAILED" if issubclass(kind, Exception) else "interrupted"
        if self._name:
            self._end(ended)
        if self._run:
            self.ran(ended)
        self._head = None
        self._refresh()

    def head(self, place: str, left_s: float, standing: str = "") -> None:
        """Show how far the session is, about how long it still takes, and what is known so far."""
        now = self._clock()
        self._head = Head(place=place, ends_s=now + left_s, standing=standing)
        if self._lives:
            self._refresh()
        else:
            self._console.print(f"{self._label}{self._head.line(now)}", markup=False)

    def run(self, title: str) -> None:
        """Begin a run, to which the next steps belong."""
        self._run, self._run_began = title, self._clock()
        if self._verbose:
            self._console.print(title, style="bold", markup=False)

    def ran(self, result: str) -> None:
        """End the run with its result, on its one line."""
        took_s, title = self._clock() - self._run_began, self._run
        self._run = ""
        # A label is in the title of its run already.
        self._console.print(f"{title}  {took_s:.1f} s  {result}", markup=False)
        self._refresh()

    def labelled(self, label: str) -> Progress:
        """One for a run beside others, whose lines come in between."""
        return Progress(self._clock, self._console, f"{label} ")

    def phase(self, name: str) -> None:
        """Begin a step."""
        self._name, self._text, self._began = name, "", self._clock()
        self._printed = self._began
        self._refresh()

    def update(self, text: str) -> None:
        """Show the progress of the step."""
        self._text, now = text, self._clock()
        every_s = _PLAIN_EVERY_S if self._told else _PLAIN_OF_A_RUN_S
        if not self._lives and now - self._printed >= every_s:
            self._printed = now
            self._console.print(f"{self._label}  {self._name:<8} {text}", markup=False)

    def done(self, result: str) -> float:
        """End the step with its result; return the seconds it took."""
        took = self._clock() - self._began
        self._end(result)
        return took

    def abandon(self) -> None:
        """End a step that failed."""
        if self._name:
            self._end("FAILED")

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"{self._label}  {text}", markup=False)

    def detail(self, text: str) -> None:
        """The same, for those who want to know everything."""
        if self._verbose:
            self.note(text)

    @property
    def _told(self) -> bool:
        """Whether steps are printed: a run has one line unless everything is wanted."""
        return self._verbose or not self._run

    @property
    def _lives(self) -> bool:
        return self._console.is_terminal and not self._label and not self._verbose and not self._console.quiet

    def _end(self, result: str) -> None:
        took_s, name = self._clock() - self._began, self._name
        self._name = ""
        if self._told:
            self._console.print(f"{self._label}  {name:<8} {took_s:6.1f} s  {result}", markup=False)
        self._refresh()

    def _refresh(self) -> None:
        """Begin, redraw or end the live lines."""
        wanted = self._lives and bool(self._head or self._name)
        if wanted and self._live is None:
            # Twice a second, not rich's 4 times: the cores are being measured.
            self._live = Live(
                get_renderable=self._shown, console=self._console, refresh_per_second=2, transient=True,
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._live.start()
        elif not wanted and self._live is not None:
            self._live.stop()
            self._live = None

    def _shown(self) -> Text:
        """The live lines, each cut at the width of the terminal."""
        lines = [self._head.line(self._clock())] if self._head else []
        if self._name:
            step = f"{self._name} {self._clock() - self._began:.0f} s"
            lines.append("  ".join(filter(None, [self._run, step, self._text])))
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def remaining(seconds: float) -> str:
    """A time as a clock shows it: 4:10, or 2:04:10."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
