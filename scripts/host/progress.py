"""What people see during a run: one live line for each phase on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from scripts.config.errors import EXIT_BROKEN_PIPE

_PLAIN_EVERY_S = 10.0  # between two lines of a long phase in a log


class _Console(Console):
    """rich's console; when its reader goes away, e.g. `| head`, the command ends as others do then, not with 1."""

    def on_broken_pipe(self) -> None:
        """Send the rest to nowhere, and leave as an interrupted command does."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            raise SystemExit(EXIT_BROKEN_PIPE) from None


class Progress:
    """Use as a context manager around the work, so that the live line is gone before anything else prints."""

    def __init__(self, clock: Callable[[], float], console: Console | None = None, label: str = "") -> None:
        self._label = label  # of one of several runs at a time: begins each of its lines, and there is no live one
        self._console = console or _Console(highlight=False, soft_wrap=True)
        self._clock = clock
        self._live: Status | None = None
        self._name = ""
        self._began = 0.0
        self._printed = 0.0

    def __enter__(self) -> Self:
        """Nothing to show yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the live line away; a phase that did not finish is named."""
        if self._name and kind is not None:
            self._end("FAILED" if issubclass(kind, Exception) else "interrupted")
        elif self._name:
            self._end("done")

    def heading(self, text: str) -> None:
        """Print which run the next phases belong to."""
        self._console.print(text, style="bold", markup=False)

    def labelled(self, label: str) -> Progress:
        """One for a run beside others, whose lines come in between."""
        return Progress(self._clock, self._console, f"{label} ")

    def phase(self, name: str) -> None:
        """Begin a phase."""
        self._name, self._began = name, self._clock()
        self._printed = self._began
        if self._console.is_terminal and not self._label:
            # Twice a second, not rich's 12.5 times: the cores are being measured.
            self._live = self._console.status(f"{name} ...", spinner_style="default", refresh_per_second=2)
            self._live.start()

    def update(self, text: str) -> None:
        """Show the progress of the phase."""
        now = self._clock()
        if self._live is not None:
            self._live.update(f"{self._name:<8} {text}")
        elif now - self._printed >= _PLAIN_EVERY_S:
            self._printed = now
            self._console.print(f"{self._label}  {self._name:<8} {text}", markup=False)

    def done(self, result: str) -> float:
        """End the phase with its result; return the seconds it took."""
        took = self._clock() - self._began
        self._end(result)
        return took

    def abandon(self) -> None:
        """End a phase that failed."""
        if self._name:
            self._end("FAILED")

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"{self._label}  {text}", markup=False)

    def _end(self, result: str) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        took_s = self._clock() - self._began
        self._console.print(f"{self._label}  {self._name:<8} {took_s:6.1f} s  {result}", markup=False)
        self._name = ""
