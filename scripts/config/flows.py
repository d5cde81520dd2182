"""A flow directory as the suite sees it: the request to send, and what a good answer is.

Reads `request.json` and `bench.toml`; never imports the flow.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.errors import UsageError, did_you_mean
from scripts.config.matrix import ROOT
from scripts.config.toml_tables import NAME

FLOWS = ROOT / "flows"
CLOCK_SLACK_S = 0.001  # by which an answer may beat its ideal time: asyncio may wake a sleeper one clock tick early
REQUEST_FILE, BENCH_FILE = "request.json", "bench.toml"
_MOST_REQUEST_BYTES, _MOST_BENCH_BYTES = 16 * MIB, MIB
_LONGEST_WAIT_S = 100_000  # more than a day
_DEFINITIONS = ("flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml")
_NOT_OF_THE_FLOW = "__pycache__"  # beside hidden names, such as promptflow's own .promptflow and .runs


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """One flow directory."""

    name: str
    path: Path
    request: bytes  # the body of every request
    own_wait_s: float | None  # what the flow itself waits; None: not declared, so its ideal time is unknown
    answer_in: str | None  # the output that holds the answer; None: the whole reply does
    answer: Mapping[str, object]  # fields of every good answer
    digest: str  # sha256 over all of its files

    @property
    def of_suite(self) -> bool:
        """Whether it lies in flows/, so that suite.toml may know which releases cannot serve it."""
        return self.path.parent == FLOWS


def find(name_or_path: str) -> Flow:
    """A flow of the suite by name, or any flow by its directory; UsageError says what it lacks."""
    known = sorted(path.name for path in FLOWS.iterdir() if (path / REQUEST_FILE).is_file())
    if name_or_path in known:
        return read(FLOWS / name_or_path)
    path = Path(name_or_path).resolve()
    if not name_or_path or not path.is_dir():
        raise UsageError(
            f"unknown flow {name_or_path!r}, and no such directory; {did_you_mean(name_or_path, known)}",
            then="repeat this command with --flow and a name from flows/, or the path of a flow directory",
        )
    if path.name in known and path.parent != FLOWS:
        raise UsageError(f"{path.name!r} is the name of a flow of the suite", then=f"rename {path}")
    return read(path)


def find_all(names_or_paths: Iterable[str]) -> list[Flow]:
    """As `find`, in order; UsageError for two directories of one name, because their records would be mixed."""
    found = [find(text) for text in names_or_paths]
    paths: dict[str, Path] = {}
    for flow in found:
        if paths.setdefault(flow.name, flow.path) != flow.path:
            raise UsageError(f"two flow directories are called {flow.name!r}", then=f"rename {flow.path}")
    return found


def read(path: Path) -> Flow:
    """Read a flow directory; UsageError says what is wrong with it."""
    if not NAME.fullmatch(path.name):
        raise UsageError(
            f"flow directory {path.name!r}: a name has letters, digits, '_', '.' and '-'", then=f"rename {path}"
        )
    if not any((path / name).is_file() for name in _DEFINITIONS):
        raise UsageError(f"flow {path.name!r} has none of {', '.join(_DEFINITIONS)}", then=f"add one to {path}")
    bench = _bench(path)
    own_wait = bench.get("own_wait_s")
    answer_in, answer = bench.get("answer_in"), bench.get("answer", {})
    if own_wait is not None and (
        isinstance(own_wait, bool) or not isinstance(own_wait, int | float) or not 0 <= own_wait <= _LONGEST_WAIT_S
    ):
        raise _wrong(path, f"own_wait_s must be a number of seconds, not negative, and at most {_LONGEST_WAIT_S}")
    if answer_in is not None and not isinstance(answer_in, str):
        raise _wrong(path, "answer_in must be the name of an output")
    if not isinstance(answer, dict):
        raise _wrong(path, "[answer] must be a table of fields and values")
    return Flow(
        name=path.name,
        path=path,
        request=_request(path),
        own_wait_s=None if own_wait is None else float(own_wait),
        answer_in=answer_in,
        answer=answer,
        digest=_digest(path),
    )


def files(path: Path) -> Iterator[Path]:
    """Every file that belongs to the flow, in a stable order: no virtualenv, nothing hidden, no linked directory."""
    for child in sorted(path.iterdir()):
        if child.name.startswith(".") or child.name == _NOT_OF_THE_FLOW:
            continue
        if child.is_file():
            yield child
        elif child.is_dir() and not child.is_symlink() and not (child / "pyvenv.cfg").exists():
            yield from files(child)


def _request(path: Path) -> bytes:
    try:
        body = read_bounded(path / REQUEST_FILE, _MOST_REQUEST_BYTES)
        if not isinstance(json.loads(body), dict):
            raise UsageError(
                f"{path / REQUEST_FILE} is not a JSON object",
                then=f"write the body of a POST /score into {path / REQUEST_FILE}",
            )
    except FileNotFoundError as error:
        raise UsageError(
            f"flow {path.name!r} has no {REQUEST_FILE}",
            then=f"write the body of a POST /score into {path / REQUEST_FILE}",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path / REQUEST_FILE} cannot be read: {error}", then="correct that file") from error
    return body


def _bench(path: Path) -> dict[str, object]:
    file = path / BENCH_FILE
    if not file.exists():
        return {}
    try:
        bench = tomllib.loads(read_bounded(file, _MOST_BENCH_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read: {error}", then="correct that file") from error
    known = ("own_wait_s", "answer_in", "answer")
    for key in bench:
        if key not in known:
            raise _wrong(path, f"unknown key {key}; {did_you_mean(key, known)}")
    return bench


def _wrong(path: Path, what: str) -> UsageError:
    return UsageError(f"{path / BENCH_FILE}: {what}", then=f"see {FLOWS / 'static_async' / BENCH_FILE} for an example")


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    for file in files(path):
        try:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise UsageError(
                f"{file} cannot be read: {error.strerror}", then="correct that file, or take it out of the flow"
            ) from error
        total.update(f"{file.relative_to(path).as_posix()} {content}\n".encode())
    return total.hexdigest()
