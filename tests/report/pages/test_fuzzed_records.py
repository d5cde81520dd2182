"""Records with one field or one byte altered: whatever they hold, the good record beside them is reported."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.strategies import SearchStrategy

from scripts.analysis import run_reader
from scripts.records import storage
from scripts.records.storage import RecordError
from scripts.report.pages import site
from tests.fakes import synthetic_runs

MUTATIONS, PAGES = 2000, 40
SLOWEST_S = 5.0
VALUES: tuple[str, ...] = (
    "0", "-1", "1", "0.5", "1e308", "-1e308", "1e400", "NaN", "Infinity", "-Infinity", str(10**12), "9" * 400, "true",
    "null", "[]", "{}", '""', '"../../x"', '"<script>alert(1)</script>"', '"a\\n# H1\\n| b |"', '"\\u0000"',
    f'"{"f" * 240}"', '"nan"', "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000,
)  # fmt: skip
MARK = '"@@MUTATED@@"'
DIGITS = tuple(b"0123456789-.,en")
GOOD = {
    storage.RECORD_FILE: storage.encode_record(synthetic_runs.record()),
    storage.HISTOGRAMS_FILE: storage.encode_histograms(synthetic_runs.histograms()),
    storage.TIMELINE_FILE: storage.encode_timeline(synthetic_runs.timeline()),
}
WHOLE = json.loads(GOOD[storage.RECORD_FILE])
# The same draws everywhere and always, nothing kept from run to run; time is bounded below, by CPU and not by a clock.
DRAWN = settings(derandomize=True, database=None, deadline=None, phases=(Phase.generate, Phase.shrink))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory, alone in its folder, with one good run; a second is altered again and again."""
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))  # else it makes a folder here
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


PATHS = tuple(leaves(WHOLE))


def with_value(whole: object, path: tuple[str | int, ...], text: str) -> bytes:
    """The record with this JSON text as the value at the path, which need not be JSON that Python can write."""
    copy: Any = json.loads(json.dumps(whole))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = json.loads(MARK)
    return json.dumps(copy).replace(MARK, text).encode()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
NESTED = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
TEXTS = st.sampled_from(VALUES) | NESTED.map(json.dumps)  # what has broken something, and anything else
RECORDS = st.builds(
    lambda path, text: GOOD | {storage.RECORD_FILE: with_value(WHOLE, path, text)}, st.sampled_from(PATHS), TEXTS
)


def with_bytes(content: bytes, changes: dict[int, int]) -> bytes:
    """The content with some bytes replaced, by their place."""
    changed = bytearray(content)
    for place, byte in changes.items():
        changed[place] = byte
    return bytes(changed)


def damaged(name: str) -> SearchStrategy[dict[str, bytes]]:
    """A run whose file is cut short, or has a few bytes replaced, below any compression, which has a checksum."""
    packed = name == storage.HISTOGRAMS_FILE
    good = gzip.decompress(GOOD[name]) if packed else GOOD[name]
    places = st.integers(0, len(good) - 1)
    changes = st.dictionaries(places, st.integers(0, 255) | st.sampled_from(DIGITS), min_size=1, max_size=8)
    contents = places.map(lambda end: good[:end]) | changes.map(partial(with_bytes, good))
    return contents.map(lambda content: GOOD | {name: gzip.compress(content, mtime=0) if packed else content})


DAMAGED = st.one_of(*map(damaged, GOOD))
ALTERED = st.integers(0, 4).flatmap(lambda number: RECORDS if number < 3 else DAMAGED)  # a field more often than bytes


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

    @settings(DRAWN, max_examples=MUTATIONS)
    @given(files=ALTERED)
    def each(files: dict[str, bytes]) -> None:
        directory = put(results, files)
        began_s = time.process_time()
        ((_, found),) = run_reader.each([directory])
        assert time.process_time() - began_s < SLOWEST_S
        assert "cannot be derived" not in str(found), found  # limits refuse it before
        outcomes["skipped" if isinstance(found, RecordError) else "read"] += 1

    each()
    assert min(outcomes.values()) > MUTATIONS / 20


@pytest.mark.fault
def test_good_run_is_on_its_page_beside_an_altered_one(results: Path) -> None:
    """All pages are derived beside an altered run, the good run is on them, and no file is named outside results/."""

    @settings(DRAWN, max_examples=PAGES)
    @given(files=ALTERED)
    def each(files: dict[str, bytes]) -> None:
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

    each()
    assert [one.name for one in results.parent.iterdir()] == ["results"]
