"""Explanations as files: written whole, read back with every limit checked."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.records import explanations
from scripts.records.explanations import Explanation, Frame
from scripts.records.storage import RecordError
from tests.fakes import sampled

FOUND = sampled.explanation([({0: 5, 2: 3}, {0: 4, 1: 2})] * 2)


def written(results: Path, content: bytes, identity: str = FOUND.id) -> Path:
    """A file of that content."""
    path = explanations.path(results, identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_round_trip(tmp_path: Path) -> None:
    """What is read is what was written, and the same explanation gives the same bytes."""
    content = explanations.encode(FOUND)
    assert explanations.read(written(tmp_path, content)) == FOUND
    assert explanations.encode(explanations.read(explanations.path(tmp_path, FOUND.id))) == content


def test_found(tmp_path: Path) -> None:
    """All files are found by their ids, and what is wrong with one stands in its place."""
    later = dataclasses.replace(FOUND, id="20261128T081500Z-0a1b2c")
    for one in (later, FOUND):
        written(tmp_path, explanations.encode(one), one.id)
    written(tmp_path, b"no gzip", "20261128T091500Z-0a1b2c")
    first, second, (_, bad) = explanations.found(tmp_path)
    assert (first[1], second[1]) == (FOUND, later)
    assert isinstance(bad, RecordError)


def altered(**fields: Any) -> Explanation:  # noqa: ANN401 - fields of a dataclass
    """An explanation with other fields."""
    return dataclasses.replace(FOUND, **fields)


def with_run(**fields: Any) -> Explanation:  # noqa: ANN401 - fields of a dataclass
    """An explanation whose first run has other fields."""
    (first, second), *others = FOUND.repeats
    return altered(repeats=((dataclasses.replace(first, **fields), second), *others))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (altered(started_at="yesterday"), "started_at is not a time"),
        (altered(engine="../fastapi"), "engine is no name"),
        (altered(flow="a b"), "flow is no name"),
        (altered(arms=(dataclasses.replace(FOUND.arms[0], release="../1"), FOUND.arms[1])), "a release is no name"),
        (altered(rate_hz=0), "rate_hz"),
        (altered(frames=(Frame(module="a" * 300, function="f"), *FOUND.frames[1:])), "no name of a module"),
        (altered(frames=(Frame(module="a", function="f\0"), *FOUND.frames[1:])), "no name of a module"),
        (altered(stacks=((99,), *FOUND.stacks[1:])), "stack 0 is empty, too deep, or has frames that are not there"),
        (altered(stacks=((-1,), *FOUND.stacks[1:])), "stack 0 is empty, too deep, or has frames that are not there"),
        (altered(stacks=((), *FOUND.stacks[1:])), "stack 0 is empty"),
        (with_run(requests=0), "a run has no requests"),
        (with_run(failed=401), "more failures than requests"),
        (with_run(cpu_ms=0.0), "a CPU time that cannot be"),
        (with_run(unread=-1), "unread samples"),
        (with_run(samples=((99, 1),)), "a stack that is not there"),
        (with_run(samples=((0, 1), (0, 1))), "one twice"),
        (with_run(samples=((0, 0),)), "a number of samples that cannot be"),
    ],
)
def test_limits(tmp_path: Path, bad: Explanation, problem: str) -> None:
    """What is out of limits is refused, with what it is."""
    with pytest.raises(RecordError, match=problem):
        explanations.read(written(tmp_path, explanations.encode(bad)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cut off"),
        (b"no gzip", "cannot be read"),
        (explanations.encode(FOUND)[:-20], "cut off"),
        (gzip.compress(b"[1]"), "cannot be read"),
        (gzip.compress(b"{}"), "schema_version none"),
        (gzip.compress(b'{"schema_version": 2}'), "schema_version 2; this suite reads 1"),
        (gzip.compress(b" " * (65 * 2**20)), "larger than 64 MiB"),
    ],
    ids=["empty", "no gzip", "cut off", "no object", "no schema", "another schema", "large"],
)
def test_files_that_are_no_explanation(tmp_path: Path, content: bytes, problem: str) -> None:
    """A file that is cut off, of another schema, or larger than any explanation is refused."""
    with pytest.raises(RecordError, match=problem):
        explanations.read(written(tmp_path, content))


def test_the_name_of_the_file_is_the_id(tmp_path: Path) -> None:
    """A file under another name is refused, because pages are named after the id."""
    with pytest.raises(RecordError, match="is not the name of its file"):
        explanations.read(written(tmp_path, explanations.encode(FOUND), "20261128T081500Z-ffffff"))


def test_an_id_cannot_lead_out_of_the_results(tmp_path: Path) -> None:
    """An id with a path in it is refused."""
    fields = json.loads(gzip.decompress(explanations.encode(FOUND))) | {"id": "x"}
    with pytest.raises(RecordError, match="id is no name"):
        explanations.read(written(tmp_path, gzip.compress(json.dumps(fields).encode()), "x"))
