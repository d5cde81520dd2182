"""Which runs are where: in tables of releases, in histories over releases, on pages of comparisons."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.report.charts.form import NARROW
from scripts.report.pages import site
from tests.fakes import synthetic_runs


def derive(results: Path) -> dict[str, str]:
    """Every derived file as text."""
    return {name: content.decode() for name, content in site.derive(results, synthetic_runs.SUITE).files.items()}


def test_trial_runs_are_in_no_table_of_figures(tmp_path: Path) -> None:
    """A run of `serves` shows that a release serves a flow, and nothing else."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    synthetic_runs.write(tmp_path, synthetic_runs.record(engine="flask", profile="serves", number=2))
    found = derive(tmp_path)
    assert "## Profile serves" not in found["README.md"]
    assert "serves" not in found["summary.csv"]
    rows = [[cell.strip() for cell in line.split("|")] for line in found["README.md"].splitlines()]
    assert ["1.12.0", "not tried", "serves"] in [row[1:4] for row in rows]


def test_runs_of_a_comparison_are_in_no_table_of_releases(tmp_path: Path) -> None:
    """Runs of interleaved rounds are not pooled with runs of other hours."""
    for one in synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, profile="report"):
        synthetic_runs.write(tmp_path, one.record)
    synthetic_runs.write(tmp_path, synthetic_runs.record(release="1.11.0"))
    found = derive(tmp_path)
    assert "v1.11.0/README.md" in found
    assert "v1.18.5/README.md" not in found
    assert "comparisons/c0ffee123456.md" in found


def test_a_campaign_over_releases_is_shown_release_by_release(tmp_path: Path) -> None:
    """Its picture and changes are in the overview, its figures on the pages of its releases, without a chart there."""
    for one in synthetic_runs.campaign(("1.11.0", "1.12.0", "1.13.0"), 4, profile="report"):
        synthetic_runs.write(tmp_path, one.record)
    found = derive(tmp_path)
    picture = "history-fastapi-static_async"
    assert {f"{picture}{form}{theme}.svg" for form in ("", "-narrow") for theme in ("", "-dark")} <= found.keys()
    page = found["README.md"]
    assert "### FastApi + Async Function Nodes, release by release" in page
    assert "no change beyond noise" in page
    assert (
        "Lower is better for overhead p50, overhead p99, CPU per request, memory end, ready and first answer." in page
    )
    assert re.search(r"^False-positive rate: \d+\.\d % of 2000 shuffled campaigns\.$", page, re.MULTILINE)
    assert "`nox -s compare -- 1.11.0 1.12.0 1.13.0 --rounds 4 --engine fastapi --flow static_async" in page
    assert "| POST " in found["v1.13.0/README.md"]
    assert not [name for name in found if name.startswith("v") and name.endswith(".svg")]
    assert "comparisons/c0ffee123456.md" in found


def test_report_runs_of_three_releases_make_a_picture(tmp_path: Path) -> None:
    """Throughput and response times of releases under the published load have a picture, and the page shows it."""
    for number, release in enumerate(("1.11.0", "1.12.0", "1.18.5"), 1):
        synthetic_runs.write(tmp_path, synthetic_runs.record(release=release, number=number))
    found = derive(tmp_path)
    assert "releases-report-fastapi-static_async-dark.svg" in found
    assert 'src="releases-report-fastapi-static_async.svg"' in found["README.md"]
    source = f'media="(max-width: {NARROW.window_px}px)" srcset="releases-report-fastapi-static_async-narrow.svg"'
    assert f'{source} width="{NARROW.shown_px}"' in found["README.md"]


def test_pages_show_every_picture_and_no_other(tmp_path: Path) -> None:
    """Each picture, in each form and theme, is named by the page beside it, and each that a page names is there."""
    made = [one.record for one in synthetic_runs.campaign(("1.11.0", "1.12.0", "1.13.0"), 4, profile="report")]
    made += [synthetic_runs.record(release=one, number=50 + n) for n, one in enumerate(("1.11.0", "1.12.0", "1.18.5"))]
    for one in made:
        synthetic_runs.write(tmp_path, one)
    found = derive(tmp_path)
    shown = {
        f"{page.rpartition('/')[0]}/{name}".lstrip("/")
        for page, text in found.items() if page.endswith(".md")
        for name in re.findall(r'(?:srcset|src)="([^"]+)"', text)
    }  # fmt: skip
    assert shown == {name for name in found if name.endswith(".svg")}
    assert {name.split("/")[0].split("-")[0] for name in shown} == {"comparisons", "history", "v1.18.5"}


def test_release_that_came_later_is_part_of_the_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joined by pairs, it opens the page, has a row in heat map and changes, and no figure in a table."""
    runs = synthetic_runs.campaign(("1.11.0", "1.12.0", "1.13.0"), 4, ready(1.0, 1.0, 1.0))
    for number, (first, second) in enumerate((("1.12.0", "1.13.0"), ("1.13.0", "1.14.0"), ("1.12.0", "1.14.0")), 1):
        levels = ready(0.5, 0.65 if second == "1.14.0" else 0.5)
        name = f"{number}".rjust(12, "0")
        runs += synthetic_runs.campaign((first, second), 4, levels, profile="duet", name=name, first=10 * number)
    monkeypatch.setattr(run_reader, "read", lambda *_: run_reader.Store(runs=tuple(runs), skipped=()))
    found = derive(tmp_path)
    page = found["README.md"]
    assert "**1.14.0 against 1.13.0**: worse in ready (+30.0 %, FastApi + Async Function Nodes)" in page
    (row,) = [line for line in page.splitlines() if "[1.14.0](v1.14.0/README.md)" in line]
    assert [cell.strip() for cell in row.split("|")[2:5]] == ["ready", "fastapi static_async", "+30.0 %"]
    assert "**Joined by pairs**, loaded at once: 1.14.0 beside 1.13.0." in page
    assert "1.14.0 joined by pairs" in found["history-heat-map.svg"]
    assert "v1.14.0/README.md" in found["history-heat-map.svg"]
    assert "in pairs at once" not in page
    assert "`nox -s compare -- 1.13.0 1.14.0 --rounds 4 --engine fastapi --flow static_async" in page
    assert "## Profile compare" in page
    assert "## Profile duet" not in page


def ready(*levels: float) -> dict[str, list[list[float | None]]]:
    """Seconds until each arm is ready, with hardly any noise."""
    return {"ready_s": [[level * (1 + 0.001 * number) for number in range(4)] for level in levels]}
