"""sha256 of everything that decides the numbers, and texts made fit for a public record."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import tempfile
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.measure import loadgen
from scripts.measure.locks import Lock
from scripts.plan import RunSpec
from scripts.record import Digests
from scripts.suite import ROOT

_ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:[\w.+@-]+/)+")


def of(spec: RunSpec, lock: Lock | None) -> Digests:
    """The digests of a run."""
    return Digests(
        lock=lock.digest if lock else "",
        flow=spec.target.flow.digest if spec.target else "",
        locustfile=_files(*sorted(loadgen.LOCUSTFILES.glob("*.py"))),
        mock_api=_files(ROOT / "scripts" / "measure" / "mock_api_app.py"),
        profile=hashlib.sha256(msgspec.json.encode(spec.profile, order="sorted")).hexdigest(),
        tools=_installed("locust", "fastapi", "uvicorn", "uvloop", "httptools"),
    )


def without_paths(text: str) -> str:
    """The text with this machine's directories taken out: a record is public."""
    for path in (ROOT, Path.home(), Path(tempfile.gettempdir())):
        text = re.sub(rf"{re.escape(str(path))}(?:/|(?![\w.@+-]))", "", text)
    return _ABSOLUTE.sub("", text)


def _installed(*names: str) -> str:
    """Over the versions installed beside this Python of some distributions and everything that they need."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # not needed on this platform after all
            continue
        found[name] = distribution.version
        needs = [Requirement(text) for text in distribution.requires or ()]
        waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return hashlib.sha256("\n".join(f"{name}=={found[name]}" for name in sorted(found)).encode()).hexdigest()


def _files(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
