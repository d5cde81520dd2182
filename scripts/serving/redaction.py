"""Removes what is private from texts and variables: paths, host, user, addresses and ports of this machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.config.matrix import ROOT
from scripts.host import telemetry

_ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:[\w.+@-]+/)+")
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b")
_LOOPBACK = re.compile(r"\b(127\.0\.0\.1|localhost):\d+")
_SHORTEST_NAME = 3  # a shorter host or user name would occur in ordinary words


def text(private: str) -> str:
    """The text without what is this machine's own. Files keep their names, and lose their directories."""
    for path in (ROOT, Path.home(), Path(tempfile.gettempdir())):
        private = re.sub(rf"{re.escape(str(path))}(?:/|(?![\w.@+-]))", "", private)
    private = _LOOPBACK.sub(r"\1:PORT", _ABSOLUTE.sub("", private))
    private = _ADDRESS.sub(lambda match: match[0] if match[0].startswith("127.") else "ADDRESS", private)
    for name, stand_in in _names():
        if len(name) >= _SHORTEST_NAME:
            private = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", stand_in, private)
    return private


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """A server's variables; a value that is a path, or several, is written as PATH, and the marker is left out."""
    return {
        name: "PATH" if value.startswith(os.sep) else text(value)
        for name, value in sorted(variables.items())
        if name != telemetry.MARKER
    }


def _names() -> Iterator[tuple[str, str]]:
    yield platform.node(), "HOST"
    with contextlib.suppress(OSError, KeyError):  # a user without a name
        user = getpass.getuser()
        if user != "root":  # says nothing, and is a word of many messages
            yield user, "USER"
