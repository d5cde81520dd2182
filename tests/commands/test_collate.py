"""The collate command on real files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.commands import collate
from scripts.config.errors import NotComparableError, NothingMeasuredError
from tests.fakes import synthetic_runs


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two releases, derived."""
    for release in ("1.12.0", "1.18.5"):
        synthetic_runs.write(tmp_path, synthetic_runs.record(release=release))
    assert collate.main(["--results", str(tmp_path)]) == 0
    return tmp_path


def listing(results: Path) -> dict[str, int]:
    """Every file with its time of change."""
    return {str(path.relative_to(results)): path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}


def run(results: Path, *options: str) -> int:
    """Call the command."""
    return collate.main(["--results", str(results), *options])


def test_fresh_files_pass_the_check(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was just written is up to date, and no temporary file is left."""
    assert run(results, "--check") == 0
    assert "8 derived files are up to date" in capsys.readouterr().out
    assert not list(results.rglob("*.tmp"))


def test_unchanged_files_are_not_touched(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run writes nothing and says nothing."""
    before = listing(results)
    capsys.readouterr()
    assert run(results) == 0
    assert (listing(results), capsys.readouterr().out) == (before, "")


def test_check_names_what_is_wrong_and_writes_nothing(results: Path) -> None:
    """Changed, missing and left-over files are named, with exit code 7 and the next command."""
    (results / "README.md").write_text("mine", encoding="utf-8")
    (results / "summary.csv").unlink()
    (results / "v1.0.0").mkdir()
    page = (results / "v1.12.0" / "README.md").read_text(encoding="utf-8")
    (results / "v1.0.0" / "README.md").write_text(page, encoding="utf-8")
    before = listing(results)
    with pytest.raises(NotComparableError) as caught:
        run(results, "--check")
    assert (caught.value.exit_code, caught.value.then) == (7, "nox -s collate")
    assert caught.value.message.splitlines()[1:] == [
        "  - left over: v1.0.0/README.md",
        "  - differs: README.md",
        "  - missing: summary.csv",
    ]
    assert listing(results) == before


def test_check_sees_a_picture_that_was_altered(results: Path) -> None:
    """A picture is taken as it stands only where it is as it was drawn; an altered one differs, and is drawn again."""
    picture = results / "v1.12.0" / "report-fastapi-static_async.svg"
    drawn = picture.read_bytes()
    picture.write_bytes(drawn.replace(b"Users", b"Nobody"))
    with pytest.raises(NotComparableError, match=r"differs: v1\.12\.0/report-fastapi-static_async\.svg"):
        run(results, "--check")
    assert run(results) == 0
    assert picture.read_bytes() == drawn


def test_long_list_of_problems_is_cut(results: Path) -> None:
    """Of many problems the first twenty are named and the rest counted."""
    for number in range(30):
        (results / "v1.12.0" / f"{number}.svg").write_text("", encoding="utf-8")
    with pytest.raises(NotComparableError, match="30 derived file") as caught:
        run(results, "--check")
    assert caught.value.message.endswith("  - and 10 more")


def test_files_without_records_are_removed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When a release has no records any more its derived files go, and nobody else's."""
    shutil.rmtree(results / "runs" / "report" / "1.18.5")
    shutil.rmtree(results / "runs" / "report" / "1.12.0" / "flask-static_sync", ignore_errors=True)
    kept = results / "self.md"
    kept.write_text("not derived here", encoding="utf-8")
    assert run(results) == 0
    assert not (results / "v1.18.5").exists()
    assert kept.exists()
    assert "removed v1.18.5/README.md" in capsys.readouterr().out


def test_foreign_file_in_a_release_folder_stays(results: Path) -> None:
    """A folder that holds something not derived is left in place with it."""
    note = results / "v1.18.5" / "note.txt"
    note.write_text("mine", encoding="utf-8")
    shutil.rmtree(results / "runs" / "report" / "1.18.5")
    run(results)
    assert [path.name for path in note.parent.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("folder", ["v1.0.0", "vendor"])
def test_page_of_somebody_else_stays(results: Path, folder: str) -> None:
    """A page that was not generated, or not for a release, is left alone, and so are the pictures beside it."""
    page = (results / "v1.12.0" / "README.md").read_text(encoding="utf-8")
    (results / folder).mkdir()
    (results / folder / "README.md").write_text(page if folder == "vendor" else "# Mine\n", encoding="utf-8")
    (results / folder / "photo.svg").touch()
    (results / "vacant").mkdir()
    before = listing(results)
    assert run(results) == 0
    assert run(results, "--check") == 0
    assert listing(results) == before
    assert (results / "vacant").exists()


def test_records_left_out_are_printed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that cannot be read is named on standard output, and the command succeeds."""
    broken = synthetic_runs.write(results, synthetic_runs.record(number=2))
    (broken / "record.json").unlink()
    assert run(results) == 0
    assert f"skipped {broken.relative_to(results).as_posix()}: record.json cannot be read" in capsys.readouterr().out


def test_no_records_derive_nothing_and_remove_nothing(results: Path) -> None:
    """Without records the command fails with exit code 3 before it removes anything."""
    shutil.rmtree(results / "runs")
    before = listing(results)
    with pytest.raises(NothingMeasuredError):
        run(results)
    assert listing(results) == before
