"""The collate command on real files."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from scripts.commands import collate
from scripts.config.errors import NotComparableError, NothingMeasuredError, UsageError
from scripts.report.pages import templates
from scripts.report.tables import exports
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
    """A second run writes nothing, and says so in its one line."""
    before = listing(results)
    capsys.readouterr()
    assert run(results) == 0
    answer = "8 derived files: 0 written, 0 removed, the others are up to date\n"
    assert (listing(results), *capsys.readouterr()) == (before, answer, "")


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
    assert "removed v1.18.5/README.md" in capsys.readouterr().err


def test_narrow_picture_without_records_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When a campaign over releases has no records any more its pictures go in all forms."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    campaign = [
        synthetic_runs.write(tmp_path, one.record)
        for one in synthetic_runs.campaign(("1.11.0", "1.12.0", "1.13.0"), 4, profile="report")
    ]
    assert run(tmp_path) == 0
    assert (tmp_path / "history-heat-map-narrow.svg").exists()
    for directory in campaign:
        shutil.rmtree(directory)
    assert run(tmp_path) == 0
    assert "removed history-heat-map-narrow-dark.svg" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.svg"))


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
    """A record that cannot be read is named on standard error, and the command succeeds."""
    broken = synthetic_runs.write(results, synthetic_runs.record(number=2))
    (broken / "record.json").unlink()
    assert run(results) == 0
    assert f"skipped {broken.relative_to(results).as_posix()}: record.json cannot be read" in capsys.readouterr().err


def test_no_records_derive_nothing_and_remove_nothing(results: Path) -> None:
    """Without records the command fails with exit code 3 before it removes anything."""
    shutil.rmtree(results / "runs")
    before = listing(results)
    with pytest.raises(NothingMeasuredError):
        run(results)
    assert listing(results) == before


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.fault
@pytest.mark.parametrize("name", ["v0.9", "v1.12.0", "comparisons"])
def test_link_to_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    """A folder of results/ that is a link elsewhere stops the command before it writes or removes anything."""
    results, outside = tmp_path / "results", tmp_path / "outside"
    for made in synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, profile="report"):
        synthetic_runs.write(results, made.record)
    synthetic_runs.write(results, synthetic_runs.record())
    outside.mkdir()
    (outside / "README.md").write_text(f"{templates.MARKER}\nmine", encoding="utf-8")
    (outside / "picture.svg").write_text("mine", encoding="utf-8")
    (results / name).symlink_to(outside)
    before, within = tree(outside), sorted(results.iterdir())
    with pytest.raises(UsageError, match=f"{name} is a link to .*outside") as caught:
        run(results)
    assert caught.value.then == f"rm {results / name}, then repeat this command"
    assert (tree(outside), sorted(results.iterdir())) == (before, within)


@pytest.mark.fault
def test_link_to_a_file_is_refused(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A derived file that is a link is not replaced, and what it leads to stays as it is."""
    mine = tmp_path_factory.mktemp("outside") / "mine.md"
    mine.write_text("mine", encoding="utf-8")
    (results / "README.md").unlink()
    (results / "README.md").symlink_to(mine)
    with pytest.raises(UsageError, match=r"README\.md is a link to"):
        run(results)
    assert mine.read_text(encoding="utf-8") == "mine"


@pytest.mark.fault
def test_no_name_leads_out_of_the_results(tmp_path: Path) -> None:
    """A file beside results/ is refused, but for the glossary."""
    collate.require_inside(tmp_path, "../docs/glossary.md")
    for name in ("../outside.md", "comparisons/../../outside.md", "/outside.md", "../docs/other.md"):
        with pytest.raises(UsageError, match="is not in"):
            collate.require_inside(tmp_path, name)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "value"), [("campaign", "../../../outside/evil"), ("campaign", "README"), ("flow", "f" * 240)]
)
def test_record_with_a_path_for_a_name_is_skipped(tmp_path: Path, name: str, value: str) -> None:
    """A record whose campaign is a path, or whose flow has 240 characters, is skipped; nothing is written outside."""
    results = tmp_path / "base" / "results"
    synthetic_runs.write(results, synthetic_runs.record())
    for made in synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, profile="report"):
        requested = dataclasses.replace(made.record.requested, **{name: value})  # type: ignore[arg-type]
        synthetic_runs.write(results, dataclasses.replace(made.record, requested=requested))
    assert run(results) == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if "runs" not in path.parts}
    assert written == {"base", "base/results"} | {
        f"base/results/{path}"
        for path in (
            "README.md",
            "summary.csv",
            "v1.12.0",
            "v1.12.0/README.md",
            "v1.12.0/report-fastapi-static_async.svg",
            "v1.12.0/report-fastapi-static_async-dark.svg",
        )
    }
    assert (results / "README.md").read_text(encoding="utf-8").count(f"requested.{name} is ") == 8


@pytest.mark.fault
def test_campaign_of_two_machines_is_skipped_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A campaign with one run of another machine is named as left out, and everything else is derived."""
    good = synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, name="0123456789ab", profile="report", first=10)
    bad = [one.record for one in synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, profile="report")]
    bad[3] = dataclasses.replace(bad[3], machine=dataclasses.replace(bad[3].machine, cores=2))
    for record in [*bad, *(one.record for one in good), synthetic_runs.record()]:
        synthetic_runs.write(tmp_path, record)
    assert run(tmp_path) == 0
    assert "skipped campaign c0ffee123456: runs 2026" in capsys.readouterr().err
    assert (tmp_path / "comparisons" / "0123456789ab.md").is_file()
    assert not (tmp_path / "comparisons" / "c0ffee123456.md").exists()
    assert "- `campaign c0ffee123456`: `runs " in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("form", exports.FORMATS)
def test_export(results: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--export` writes one more file, also beside a check, and says how many figures are in it."""
    path = tmp_path / "out"
    assert run(results, "--check", "--export", form, str(path)) == 0
    assert f"figures as {form}" in capsys.readouterr().out
    assert "1.18.5" in path.read_text(encoding="utf-8")


def test_export_of_an_unknown_form(results: Path, tmp_path: Path) -> None:
    """The nearest known form is named, and the next command has it."""
    with pytest.raises(UsageError, match="bmf") as caught:
        run(results, "--export", "bfm", str(tmp_path / "out"))
    assert caught.value.then.startswith("nox -s collate -- --export bmf")


def test_export_into_a_folder_that_is_missing(results: Path, tmp_path: Path) -> None:
    """The command that makes the folder is named."""
    with pytest.raises(UsageError) as caught:
        run(results, "--export", "bmf", str(tmp_path / "none" / "out"))
    assert caught.value.then.startswith(f"mkdir -p {tmp_path / 'none'}")
