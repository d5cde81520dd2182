"""Where a sampled stack belongs: to the package and the function that runs, and to the part of promptflow behind it."""

from __future__ import annotations

import functools
import itertools

from scripts.records.explanations import Frame, Stack

_PROMPTFLOW = "promptflow"
EVENT_LOOP = "event loop"
_LOOPS = ("python/asyncio/", "uvloop/")
NOBODY = "no part of promptflow"  # a stack without promptflow: the server's own work


def package(frame: Frame) -> str:
    """The import package; of promptflow also its part: "promptflow.tracing", "opentelemetry", "python", "flow"."""
    first, _, rest = frame.module.partition("/")
    if first == _PROMPTFLOW and rest:
        return f"{first}.{_without_suffix(rest.partition('/')[0])}"
    return _without_suffix(first)


def function(frame: Frame) -> str:
    """The function with its module: "promptflow.tracing._trace: traced.<locals>.wrapper"."""
    return f"{_without_suffix(frame.module).replace('/', '.')}: {frame.function}"


def part(stack: Stack) -> str:
    """The innermost part of promptflow on the stack, for which everything above it is done."""
    behind = (package(frame) for frame in reversed(stack) if frame.module.startswith(f"{_PROMPTFLOW}/"))
    return next(behind, NOBODY)


def drawn(stack: Stack) -> list[str]:
    """Its functions in words, the outermost caller first, for a picture of two releases.

    The frames of the event loop, which runs all else, are one: uvloop is no Python and has none, so that with them all
    stacks of a release that changes its loop would differ.
    """
    served = list(itertools.dropwhile(lambda frame: not _is_of_loop(frame), stack))
    above = list(itertools.dropwhile(_is_of_loop, served))
    below = stack[: len(stack) - len(served)]
    return [*map(_in_words, below), *([EVENT_LOOP] if served else []), *map(_in_words, above)]


def _is_of_loop(frame: Frame) -> bool:
    return frame.module.startswith(_LOOPS)


@functools.lru_cache(65_536)  # an explanation has thousands of stacks, of a few hundred frames
def _in_words(frame: Frame) -> str:
    return f"{frame.function} ({package(frame)})"


def _without_suffix(name: str) -> str:
    return name.removesuffix(".py")
