"""The pages of comparisons among the results."""

from __future__ import annotations

from pathlib import Path

from scripts.analysis.grouping import cells
from scripts.analysis.run_reader import Run
from scripts.inference import comparison, paired_rounds
from scripts.report.pages import comparison_index, overview, site, templates
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign, spoilt

TWO, SAME = ("1.12.0", "1.18.5"), ("1.12.0", "1.12.0")
OLDER = campaign(TWO, 4, name="bbbbbbbbbbbb", profile="report")
NEWER = campaign(("1.11.0", *TWO), 4, name="aaaaaaaaaaaa", flow="flex_async", first=20)


def render(runs: list[Run]) -> dict[str, bytes]:
    """The pages and pictures of all campaigns among the runs."""
    campaigns = paired_rounds.pair(runs)
    files: dict[str, bytes] = {}
    for name, found in comparison_index.render(campaigns, comparison.noise_floors(campaigns)).items():
        if isinstance(found, bytes):
            files[name] = found
        else:
            files |= {f"{name}.svg": b"drawn later", f"{name}-dark.svg": b"drawn later"}
    return files


def test_every_campaign_has_a_page_and_pictures_in_both_themes() -> None:
    """One page a campaign, two files an arm beside the baseline, and the index."""
    assert set(render([*OLDER, *NEWER])) == {
        "comparisons/README.md", "comparisons/bbbbbbbbbbbb.md", "comparisons/aaaaaaaaaaaa.md",
        "comparisons/bbbbbbbbbbbb-fastapi-static_async-2.svg",
        "comparisons/bbbbbbbbbbbb-fastapi-static_async-2-dark.svg",
        "comparisons/aaaaaaaaaaaa-fastapi-flex_async-2.svg", "comparisons/aaaaaaaaaaaa-fastapi-flex_async-2-dark.svg",
        "comparisons/aaaaaaaaaaaa-fastapi-flex_async-3.svg", "comparisons/aaaaaaaaaaaa-fastapi-flex_async-3-dark.svg",
    }  # fmt: skip


def test_pages_show_the_pictures_that_there_are() -> None:
    """Each picture is referred to by its page, and by no other name than it has."""
    files = render([*OLDER, *NEWER])
    for name in files:
        if name.endswith(".svg"):
            path = name.removeprefix("comparisons/")
            assert f'"{path}"' in files[f"comparisons/{path.partition('-')[0]}.md"].decode()


def test_index_names_scenario_and_arms_the_newest_first() -> None:
    """Campaigns of different flows can be distinguished before they are opened."""
    lines = render([*OLDER, *NEWER])["comparisons/README.md"].decode().splitlines()
    assert lines[:3] == [templates.MARKER, "", "# Comparisons"]
    assert "[glossary](../../docs/glossary.md)" in lines[5]
    unchanged = "nothing changed beyond its threshold"
    assert [line for line in lines if line.startswith("| [")] == [
        f"| [{arms}]({name}.md), fastapi {flow} | {unchanged} | 4 | {profile} | 2026-11-01 |"
        for arms, name, flow, profile in (
            ("1.12.0, 1.18.5 against 1.11.0", "aaaaaaaaaaaa", "flex_async", "compare"),
            ("1.18.5 against 1.12.0", "bbbbbbbbbbbb", "static_async", "report"),
        )
    ]


def test_answer_has_the_largest_changes_first() -> None:
    """What got worse, then what got better."""
    figures: dict[str, list[list[float | None]]] = {
        "ready_s": [[1.0, 1.01, 1.02, 1.0], [2.0, 2.01, 2.02, 2.0]],
        "memory_end_bytes": [[1e8, 1.01e8, 1e8, 1e8], [1.2e8, 1.21e8, 1.2e8, 1.2e8]],
        "cpu_per_request_ms": [[6.0, 6.01, 6.02, 6.0], [3.0, 3.01, 3.02, 3.0]],
    }
    page = render(campaign(TWO, 4, figures))["comparisons/README.md"].decode()
    assert "| worse: ready +99.3 %, memory end +20.0 %; better: CPU per request -49.9 % |" in page


def test_answer_has_the_largest_change_of_any_arm() -> None:
    """A metric that changed in several arms stands once, where its largest change belongs."""
    figures: dict[str, list[list[float | None]]] = {
        "memory_end_bytes": [
            [1e8, 1.01e8, 1e8, 1e8],
            [1.2e8, 1.21e8, 1.2e8, 1.2e8],
            [1.3e8, 1.31e8, 1.3e8, 1.3e8],
        ],
        "cpu_per_request_ms": [[6.0, 6.01, 6.02, 6.0], [6.6, 6.61, 6.62, 6.6], [12.0, 12.01, 12.02, 12.0]],
    }
    page = render(campaign(("1.11.0", *TWO), 4, figures))["comparisons/README.md"].decode()
    assert "| worse: CPU per request +99.9 %, memory end +29.9 % |" in page


def test_comparisons_of_one_release_are_folded() -> None:
    """A release with itself, and with candidates of the same version, answer no question about releases."""
    runs = [
        *OLDER,
        *campaign(SAME, 4, name="aa", first=40),
        *campaign(("1.12.0", "1.12.0+abc"), 4, name="bb", first=60),
    ]
    before, fold, after = render(runs)["comparisons/README.md"].decode().partition("<details>")
    assert fold
    assert "(bbbbbbbbbbbb.md)" in before
    assert "2 comparisons of a release with itself" in after
    assert "(aa.md)" in after
    assert "(bb.md)" in after


def test_series_of_one_campaign_share_a_page() -> None:
    """Also when another campaign was made between them."""
    runs = [
        *campaign(TWO, 4, name="aaaaaaaaaaaa"),
        *campaign(TWO, 4, first=10),
        *campaign(TWO, 4, name="aaaaaaaaaaaa", flow="x", first=20),
    ]
    files = render(runs)
    assert [line for line in files["comparisons/aaaaaaaaaaaa.md"].decode().splitlines() if line.startswith("## ")] == [
        "## fastapi static_async: 1.18.5 against 1.12.0", "## fastapi x: 1.18.5 against 1.12.0",
    ]  # fmt: skip
    assert files["comparisons/README.md"].count(b"(aaaaaaaaaaaa.md)") == 1


def test_noise_floor_of_one_campaign_is_used_by_another() -> None:
    """An A/A campaign among the records raises the threshold, and the page says that it is noise."""
    moved: list[float | None] = [1e8, 1.3e8] * 4
    quiet = campaign(SAME, 8, {"memory_end_bytes": (moved, moved[::-1])}, name="aa", first=50, profile="report")
    page = render([*OLDER, *quiet])["comparisons/bbbbbbbbbbbb.md"].decode()
    (row,) = [line for line in page.splitlines() if line.startswith("| memory end ")]
    assert " (noise) |" in row
    assert "No noise floor" not in page


def test_a_release_against_itself_has_a_table_and_no_picture() -> None:
    """All its changes are noise, which the self-test shows better."""
    files = render(campaign(SAME, 4, name="aa"))
    assert set(files) == {"comparisons/README.md", "comparisons/aa.md"}
    assert b"<picture>" not in files["comparisons/aa.md"]


def test_many_arms_have_no_page() -> None:
    """A campaign over many releases is shown release by release in the overview, and the index leads there."""
    many = [f"1.{number}.0" for number in range(comparison_index.MOST_ARMS + 1)]
    (index,) = render(campaign(many, 4)).items()
    assert index[0] == "comparisons/README.md"
    assert b"[9 releases from 1.0.0 to 1.8.0](../README.md), fastapi static_async" in index[1]
    assert "comparisons/c0ffee123456.md" in render(campaign(many[:-1], 4))


def test_same_runs_give_the_same_bytes() -> None:
    """In whatever order they are found."""
    runs = [*OLDER, *NEWER]
    assert render(runs[::-1]) == render(runs)


def test_without_a_whole_round_there_is_nothing() -> None:
    """Single arms, excluded rounds and runs outside campaigns make no page and no index."""
    runs = campaign(TWO, 1)
    alone = [
        *campaign(("1.12.0",), 4, name="aaaaaaaaaaaa"),
        runs[0],
        spoilt(runs[1]),
        synthetic_runs.run(synthetic_runs.record()),
    ]
    assert render(alone) == {}


def test_pages_are_derived_from_the_records_and_found_again(tmp_path: Path) -> None:
    """Collating writes them, knows them the next time, and leaves what people wrote beside them alone."""
    for one in OLDER:
        synthetic_runs.write(tmp_path, one.record)
    derived = site.derive(tmp_path, synthetic_runs.SUITE).files
    ours = {name for name in derived if name.startswith("comparisons/")}
    assert len(ours) == 4
    assert b"](comparisons/README.md)" in derived["README.md"]
    for name in ours:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(derived[name])
    (tmp_path / "comparisons" / "notes.md").write_text("# Ours\n", encoding="utf-8")
    assert {path.relative_to(tmp_path).as_posix() for path in site.of_releases(tmp_path)} == ours


def test_results_link_to_comparisons_when_there_are_any() -> None:
    """A link to nothing is not made."""
    found = cells(OLDER)
    for compared in (True, False):
        files = overview.render(synthetic_runs.SUITE, found, skipped=[], reports={}, served=OLDER, compared=compared)
        page = files["README.md"]
        assert isinstance(page, bytes)
        assert (b"](comparisons/README.md)" in page) == compared
