"""sha256 of everything that decides the numbers, and texts made fit for a public record."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

import msgspec

from scripts.measure import loadgen
from scripts.measure.locks import Lock
from scripts.plan import RunSpec
from scripts.record import Digests
from scripts.suite import ROOT

_ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:[\w.+@-]+/)+")


def of(spec: RunSpec, lock: Lock | None, tools_lock: str) -> Digests:
    """The digests of a run."""
    return Digests(
        lock=lock.digest if lock else "",
        flow=spec.target.flow.digest if spec.target else "",
        locustfile=_files(*sorted(loadgen.LOCUSTFILES.glob("*.py"))),
        mock_api=_files(ROOT / "scripts" / "measure" / "mock_api_app.py"),
        profile=hashlib.sha256(msgspec.json.encode(spec.profile, order="sorted")).hexdigest(),
        tools=tools_lock,
    )


def without_paths(text: str) -> str:
    """The text with this machine's directories taken out: a record is public."""
    for path in (ROOT, Path.home(), Path(tempfile.gettempdir())):
        text = re.sub(rf"{re.escape(str(path))}(?:/|(?![\w.@+-]))", "", text)
    return _ABSOLUTE.sub("", text)


def _files(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
