"""Adding the next release: the newest is taken out of a checkout, and added again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.config import matrix_file
from scripts.config.matrix import ROOT
from scripts.records.storage import RECORD_FILE, read_record
from tests.faults import checkout
from tests.faults.checkout import Checkout
from tests.faults.world import Ended

pytestmark = pytest.mark.e2e

LONGEST_S = 300.0
BEFORE, NEWEST = matrix_file.load().releases[-2:]
ROW = f'[[release]]\nversion = "{NEWEST.version}"\nuploaded = {NEWEST.uploaded}\nas_of = {NEWEST.as_of}\n'


@pytest.fixture
def older(tmp_path: Path) -> Checkout:
    """A copy of the checkout from the time before the newest release."""
    copy = checkout.copied(tmp_path / "checkout")
    suite = copy.root / "suite.toml"
    text = suite.read_text(encoding="utf-8")
    assert ROW in text
    campaigns = text.replace(ROW, "").replace(f'last = "{NEWEST.version}"', f'last = "{BEFORE.version}"')
    suite.write_text(campaigns, encoding="utf-8")
    copy.lock(NEWEST.version).unlink()
    return copy


def call(copy: Checkout, verb: str, *args: str) -> Ended:
    """Call a verb in the copy; it may build a virtualenv and make two runs."""
    process = copy.start(verb, *args).popen
    out, err = process.communicate(timeout=LONGEST_S)
    return Ended(code=process.returncode, out=out, err=err)


def test_index_tells_the_row(older: Checkout) -> None:
    """The upload day that the package index tells gives the committed row, and a dry run says so and writes nothing."""
    suite = older.root / "suite.toml"
    causes = re.compile(rf'\[\[cause\]\]\nrelease = "{re.escape(NEWEST.version)}"\n(?:.+\n)+')
    suite.write_text(causes.sub("", suite.read_text(encoding="utf-8")), encoding="utf-8")
    before = suite.read_bytes()
    planned = call(older, "add-release", NEWEST.version, "--dry-run")
    assert planned.code == 0, planned
    assert f"uploaded on {NEWEST.uploaded}, with its dependencies as of {NEWEST.as_of}" in planned.out
    assert suite.read_bytes() == before
    assert not older.lock(NEWEST.version).exists()


def pins(lock: Path) -> list[str]:
    """What a lock pins, without markers and hashes."""
    return sorted(re.findall(r"^[a-z0-9-]+==[^ ;\\]+", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_row_lock_bench(older: Checkout, tmp_path: Path) -> None:
    """Without its row it is unknown; with it, it is locked as the committed lock is, and measured as that release."""
    results = tmp_path / "results"
    bench = ("--release", NEWEST.version, "--engine", "fastapi", "--profile", "smoke", "--results", str(results))
    assert "unknown release" in call(older, "bench", *bench).err
    with (older.root / "suite.toml").open("a", encoding="utf-8") as stream:
        stream.write(ROW)
    assert f"nox -s lock -- {NEWEST.version}" in call(older, "bench", *bench).err
    locked = call(older, "lock", NEWEST.version)
    assert locked.code == 0, locked
    assert pins(older.lock(NEWEST.version)) == pins(ROOT / "locks" / f"{NEWEST.version}.txt")
    done = call(older, "bench", *bench)
    assert done.code in (0, 6), done  # 6: this machine is too busy for the generator
    found = [read_record(path.parent) for path in results.rglob(RECORD_FILE)]
    assert sorted(record.requested.flow for record in found) == ["flex_async", "static_async"]
    assert {record.observed.promptflow for record in found if record.observed} == {NEWEST.version}
