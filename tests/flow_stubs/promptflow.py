"""Stands for a promptflow up to 1.6.0, which has no `promptflow.core`: `tool` only marks a function."""

from __future__ import annotations

from collections.abc import Callable


def tool(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function as it is."""
    return function
