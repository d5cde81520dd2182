"""Records with one field or one byte altered: whatever they hold, the good record beside them is reported."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.analysis import run_reader
from scripts.records import storage
from scripts.records.storage import RecordError
from scripts.report.pages import site
from tests.fakes import synthetic_runs

MUTATIONS, PAGES = 2000, 100
SLOWEST_S = 5.0
VALUES: tuple[str, ...] = (
    "0", "-1", "1", "0.5", "1e308", "-1e308", "1e400", "NaN", "Infinity", "-Infinity", str(10**12), "9" * 400, "true",
    "null", "[]", "{}", '""', '"../../x"', '"<script>alert(1)</script>"', '"a\\n# H1\\n| b |"', '"\\u0000"',
    f'"{"f" * 240}"', '"nan"', "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000,
)  # fmt: skip
MARK = '"@@MUTATED@@"'


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory, alone in its folder, with one good run; a second is altered again and again."""
    made = tmp_path_factory.mktemp("fuzz") / "results"
    synthetic_runs.write(made, synthetic_runs.record(release="1.18.5"))
    return made


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every leaf, and of every object and list around them."""
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield from leaves(inner, (*path, key))


def with_value(whole: object, path: tuple[str | int, ...], text: str) -> bytes:
    """The record with this JSON text as the value at the path, which need not be JSON that Python can write."""
    copy: Any = json.loads(json.dumps(whole))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = json.loads(MARK)
    return json.dumps(copy).replace(MARK, text).encode()


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The content cut short, or with a few bytes of it drawn."""
    if draw.random() < 0.3:
        return content[: draw.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        place = draw.randrange(len(changed))
        changed[place] = draw.choice((draw.randrange(256), ord(draw.choice("0123456789-.,en"))))
    return bytes(changed)


def mutations(draw: random.Random, number: int) -> Iterator[dict[str, bytes]]:
    """The files of a run, each time with one of them altered."""
    made = synthetic_runs.record()
    good = {
        storage.RECORD_FILE: storage.encode_record(made),
        storage.HISTOGRAMS_FILE: storage.encode_histograms(synthetic_runs.histograms()),
        storage.TIMELINE_FILE: storage.encode_timeline(synthetic_runs.timeline()),
    }
    whole = json.loads(good[storage.RECORD_FILE])
    pairs = [(path, text) for path in leaves(whole) for text in VALUES]
    draw.shuffle(pairs)
    for n in range(number):
        if n % 5 < 3:
            yield good | {storage.RECORD_FILE: with_value(whole, *pairs[n % len(pairs)])}
        else:
            name = draw.choice((storage.HISTOGRAMS_FILE, storage.TIMELINE_FILE, storage.RECORD_FILE))
            yield good | {name: damaged(good[name], draw)}


def put(results: Path, files: dict[str, bytes]) -> Path:
    """The altered run, beside the good one."""
    directory = results / storage.run_path(synthetic_runs.record())
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.mark.fault
def test_altered_run_is_read_or_skipped_by_name(results: Path) -> None:
    """A run with one field or byte altered is read, or skipped with a reason; it never raises, and takes no time."""
    outcomes = {"read": 0, "skipped": 0}
    for files in mutations(random.Random(20261125), MUTATIONS):  # noqa: S311 - nothing secret
        directory = put(results, files)
        began_s = time.process_time()
        ((_, found),) = run_reader.each([directory])
        assert time.process_time() - began_s < SLOWEST_S
        assert "cannot be derived" not in str(found), found  # limits refuse it before
        outcomes["skipped" if isinstance(found, RecordError) else "read"] += 1
    assert min(outcomes.values()) > MUTATIONS / 20


@pytest.mark.fault
def test_good_run_is_on_its_page_beside_an_altered_one(results: Path) -> None:
    """All pages are derived beside an altered run, the good run is on them, and no file is named outside results/."""
    for files in mutations(random.Random(7), PAGES):  # noqa: S311 - nothing secret
        put(results, files)
        began_s = time.process_time()
        derived = site.derive(results, synthetic_runs.SUITE)
        assert time.process_time() - began_s < SLOWEST_S
        assert "1.18.5" in derived.files["v1.18.5/README.md"].decode()
        inside = [os.path.normpath(results / name) for name in derived.files]
        assert all(name.startswith(f"{results}/") for name in inside)
        text = b"".join(content for name, content in derived.files.items() if name.endswith(".md"))
        assert b"<script" not in text
        assert b"\n# H1" not in text
    assert [one.name for one in results.parent.iterdir()] == ["results"]
