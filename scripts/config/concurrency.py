"""How independent work is handed over, so that who computes does not know on how many cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Map(Protocol):
    """As the built-in `map`; functions, tasks and results may cross a process."""

    def __call__(self, function: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterable[Result]:
        """The results in the order of the tasks."""


def serial(function: Callable[[Task], Result], tasks: Sequence[Task], /) -> Iterable[Result]:
    """One task after the other, in this process."""
    return map(function, tasks)
