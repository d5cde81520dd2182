"""Where a sampled stack belongs: to the package and the function that runs, and to the part of promptflow behind it."""

from __future__ import annotations

from scripts.records.explanations import Frame, Stack

_PROMPTFLOW = "promptflow"
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


def _without_suffix(name: str) -> str:
    return name.removesuffix(".py")
