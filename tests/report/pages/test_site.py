"""The pages and the summary, from runs on disk."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import shutil
from pathlib import Path

import pytest

from scripts.config.errors import NothingMeasuredError
from scripts.config.matrix import ROOT
from scripts.records import explanations
from scripts.records.schema import RunRecord
from scripts.report.pages import site, templates
from tests.fakes import synthetic_runs
from tests.report.pages.test_explanation_page import FASTER

OTHER_MACHINE = dataclasses.replace(synthetic_runs.MACHINE, cores=2)


def derive(results: Path) -> dict[str, str]:
    """Every derived file as text."""
    return {name: content.decode() for name, content in site.derive(results, synthetic_runs.SUITE).files.items()}


def elsewhere(made: RunRecord) -> RunRecord:
    """The same run on another machine."""
    return dataclasses.replace(made, machine=OTHER_MACHINE)


def saturated(number: int, profile: str) -> RunRecord:
    """A run of sync nodes whose slowest requests were dropped when the load stopped."""
    measured = synthetic_runs.measurements(mean_ms=15600, rps=24.9, number=1480, in_flight=462)
    return synthetic_runs.record(number=number, engine="flask", flow="static_sync", profile=profile, measured=measured)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind: ok, truncated, invalid, without figures, on another machine, unreported, mock, broken."""
    root = tmp_path_factory.mktemp("results")
    (root / "published").mkdir()
    shutil.copy(ROOT / "results" / "published" / "promptflow-serve-v1.12.0.json", root / "published")
    made = [
        synthetic_runs.record(number=1),
        synthetic_runs.record(number=2),
        synthetic_runs.record(number=3, outcome="failed", reasons=("the server died | signal 9",)),
        elsewhere(synthetic_runs.record(number=4, outcome="failed", reasons=("no memory",))),
        synthetic_runs.record(number=7, flow="flex_async", outcome="verify-failed", reasons=("wrong type",)),
        synthetic_runs.record(number=8, release="1.17.2", outcome="failed", reasons=("no wheel",)),
        elsewhere(synthetic_runs.record(number=9, release="1.18.5")),
        synthetic_runs.record(number=10, release="mock", engine="uvicorn", flow="mock_api"),
        synthetic_runs.record(number=11, profile="smoke"),
    ]
    for one in made:
        synthetic_runs.write(root, one)
    for number, profile in ((5, "report"), (6, "report-8-threads")):
        synthetic_runs.write(root, saturated(number, profile), synthetic_runs.histograms(1270, 205, 5, 15600))
    late = synthetic_runs.measurements()
    late = dataclasses.replace(late, generator=dataclasses.replace(late.generator, lag_p99_ms=25.0))
    synthetic_runs.write(root, synthetic_runs.record(number=13, release="1.11.0", flow="flex_async", measured=late))
    broken = synthetic_runs.write(root, synthetic_runs.record(number=12))
    (broken / "record.json").write_text("{", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def files(results: Path) -> dict[str, str]:
    """What is derived from these."""
    return derive(results)


def test_explanations(results: Path, tmp_path: Path) -> None:
    """Every explanation has a page and pictures, the first page leads to them, and a broken one is named."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(results, copy)
    for identity, content in ((FASTER.id, explanations.encode(FASTER)), ("20261128T091500Z-0a1b2c", b"no gzip")):
        path = explanations.path(copy, identity)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    files = derive(copy)
    assert {f"explanations/{FASTER.id}.md", f"explanations/{FASTER.id}-stacks-narrow-dark.svg"} <= set(files)
    assert "[Explanations](explanations/README.md)" in files["README.md"]
    assert "explanations/20261128T091500Z-0a1b2c.json.gz" in files["README.md"]


def test_same_records_give_the_same_bytes(results: Path, files: dict[str, str], tmp_path: Path) -> None:
    """A copy of the records elsewhere, written in another order, gives the same files."""
    copy = tmp_path / "elsewhere"
    for directory in sorted((path.parent for path in results.rglob("record.json")), reverse=True):
        shutil.copytree(directory, copy / directory.relative_to(results))
    shutil.copytree(results / "published", copy / "published")
    assert derive(copy) == files


def test_files_are_those_that_may_be_removed_again(files: dict[str, str], tmp_path: Path) -> None:
    """Every derived file of a release is recognised as one that may be removed, a page after its charts."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    found = [path.relative_to(tmp_path).as_posix() for path in site.of_releases(tmp_path)]
    assert sorted([*found, "README.md", "summary.csv"]) == sorted(files)
    assert found[-1] == "v1.18.5/README.md"
    assert {"README.md", "summary.csv", "v1.12.0/README.md", "v1.17.2/README.md", "v1.18.5/README.md"} <= files.keys()


def test_pages_begin_with_the_marker_and_lead_to_the_glossary(files: dict[str, str]) -> None:
    """The marker is the first line of every page, and every page links glossary and methodology."""
    pages = {name: content for name, content in files.items() if name.endswith(".md")}
    assert len(pages) > 3
    for name, content in pages.items():
        docs = "../" * (name.count("/") + 1) + "docs"
        assert content.startswith(f"{templates.MARKER}\n\n# ")
        assert content.count(templates.MARKER) == 1
        assert f"[glossary]({docs}/glossary.md), [methodology]({docs}/methodology.md)" in content


def test_pages_have_no_two_blank_lines(files: dict[str, str]) -> None:
    """Templates leave one blank line between blocks, and one end of line at the end."""
    for name, content in files.items():
        if name.endswith(".md"):
            assert "\n\n\n" not in content, name
            assert re.search(r"[^\n]\n\Z", content), name


def test_good_runs_have_charts_in_both_themes(files: dict[str, str]) -> None:
    """Every scenario with an ok run has a chart in the page, and no other has one."""
    named = re.findall(r'(?:srcset|src)="([^"]+)"', files["v1.12.0/README.md"])
    drawn = {name.removeprefix("v1.12.0/") for name in files if name.startswith("v1.12.0/") and name.endswith(".svg")}
    assert set(named) == drawn
    assert "report-fastapi-static_async-dark.svg" in drawn
    assert not any("flex_async" in name for name in drawn)


def test_release_page_has_the_published_shape(files: dict[str, str]) -> None:
    """Title, Config and the published section headings come in the published order."""
    page = files["v1.12.0/README.md"]
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings[:6] == [
        "# PromptFlow Serve v1.12.0",
        "## Config",
        "## Flask + Sync Function Nodes",
        "## FastApi + Async Function Nodes",
        "## FastApi + Flex Async Function Nodes",
        "## Profile report-8-threads",
    ]
    config = "USERS=500\nHATCH_RATE=50\nRUN_TIME=60s\nPROMPTFLOW_WORKER_NUM=8\nPROMPTFLOW_WORKER_THREADS=4\n"
    assert f"```text\n{config}```" in page


def test_section_shows_its_evidence(files: dict[str, str]) -> None:
    """The median ok run is linked; other runs, the server, and the command that repeats it are named."""
    page = files["v1.12.0/README.md"]
    run_id = "20261101T000100Z-000001"
    assert f"[{run_id}](../runs/report/1.12.0/fastapi-static_async/{run_id}/record.json)" in page
    assert "the one with the median response time of 2 ok run(s) (3 in all)." in page
    assert "failed: `the server died ¦ signal 9`" in page
    assert (
        "1 more run(s) under other conditions are not pooled with these. They differ in cores (`2` there, `8` here)"
        in page
    )
    assert (
        "Server: `gunicorn -w 8 --threads 4 app`. Observed: 8 workers, 4 threads each. "
        "Requested: 8 workers, 4 threads each."
    ) in page
    assert "Repeat with `nox -s bench-1.12.0-fastapi -- --profile report --flow static_async`." in page


def test_scenario_without_figures_shows_its_outcome(files: dict[str, str]) -> None:
    """A scenario without figures has its outcome in the table, and its reason."""
    page = files["v1.17.2/README.md"]
    row = next(line for line in page.splitlines() if line.startswith("| POST"))
    assert row.count("failed") == 20
    assert "failed: `no wheel`" in page


def test_invalid_run_is_shown_and_marked(files: dict[str, str]) -> None:
    """All figures of an invalid run are in parentheses, with the reason and without a chart."""
    page = files["v1.11.0/README.md"]
    row = next(line for line in page.splitlines() if line.startswith("| POST"))
    assert (row.count("("), row.count(")"), "(166.0)" in row) == (20, 20, True)
    assert "Its figures are in parentheses." in page
    assert "invalid: `the generator's event loop was late: p99 25.0 ms, limit 10 ms`" in page
    assert "- Bound: generator-bound." in page
    assert not [name for name in files if name.startswith("v1.11.0/") and name.endswith(".svg")]


def test_truncated_latencies_are_marked_and_nothing_else(files: dict[str, str]) -> None:
    """A saturated run counts, but its latencies are in parentheses wherever they are shown, with the reason."""
    page = files["v1.12.0/README.md"]
    row = next(line for line in page.splitlines() if line.startswith("| POST"))
    assert row.count("(") == 4 + 11
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "| Average Response Time | 8065.454250779605 | (15600.0) | (+93.4 %) |" in lines
    assert "response time p50 (15" in page
    assert "- Do not rank or compare: 1.12.0, run 20261101T000500Z-000005: latencies in parentheses: " in page
    assert "CPU per request 6.400 ms" in page


def test_memory_that_is_not_pss_is_noted(tmp_path: Path) -> None:
    """Where the system has no PSS the page says what the figure counts instead."""
    measured = synthetic_runs.measurements()
    resident = measured.server and dataclasses.replace(measured.server, memory_kind="rss")
    synthetic_runs.write(tmp_path, synthetic_runs.record(measured=dataclasses.replace(measured, server=resident)))
    assert (
        "- Memory is `rss`: memory that processes share is counted once for each."
        in derive(tmp_path)["v1.12.0/README.md"]
    )


def test_published_stands_beside_measured(files: dict[str, str]) -> None:
    """The page of a release with published figures compares each scenario and profile; others do not."""
    page = files["v1.12.0/README.md"]
    assert "### Published and measured: Flask + Sync Function Nodes, profile report-8-threads" in page
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "| Request Count | 2432 | 1480 | -39.1 % |" in lines
    assert "4. The saturated row lacks its slowest requests." in page
    assert "Published" not in files["v1.18.5/README.md"]


def test_overview_lists_every_profile_but_the_unreported(files: dict[str, str]) -> None:
    """Reported profiles and the mock API alone are there, and a run of an unreported profile is on no page."""
    page = files["README.md"]
    assert re.findall(r"^## Profile (.*)$", page, re.MULTILINE) == ["report", "report-8-threads"]
    assert "### The mock API alone" in page
    assert not any("smoke" in content for content in files.values())


def test_overview_separates_conditions(files: dict[str, str]) -> None:
    """Releases measured on another machine have a table of their own that says what differs."""
    page = files["README.md"]
    assert "Measured under other conditions than the first table: cores (`2` there, `8` here)." in page
    tables = (
        page.split("### FastApi + Async Function Nodes")[1].split("###")[0].split("Measured under other conditions")
    )
    assert ["v1.18.5" in table for table in tables] == [True, False]
    assert ["v1.17.2" in table for table in tables] == [False, True]


def test_overview_gives_reasons_for_missing_figures(files: dict[str, str]) -> None:
    """Runs without figures have their reasons; declared releases without a run are named."""
    page = files["README.md"]
    assert "- 1.17.2, run 20261101T000800Z-000008: failed: `no wheel`" in page
    assert re.search(r"^Not measured: .*\b1\.11\.0\b", page, re.MULTILINE)


def test_overview_names_records_left_out(files: dict[str, str]) -> None:
    """A broken record is named with its path below results/ and its reason."""
    line = "- `runs/report/1.12.0/fastapi-static_async/20261101T001200Z-00000c`: `record.json cannot be read: "
    assert line in files["README.md"]


def test_release_that_cannot_have_a_scenario_is_not_applicable(tmp_path: Path) -> None:
    """A declared release that cannot serve a flow, or lacks the engine, has its outcome and the reason."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    synthetic_runs.write(tmp_path, synthetic_runs.record(engine="flask", flow="flex_async"))
    page = site.derive(tmp_path, synthetic_runs.SUITE).files["README.md"].decode()
    assert "- 1.0.0 to 1.9.0: not-applicable: the fastapi engine came with 1.10.0" in page
    assert "- 1.7.0 to 1.8.0: failed: the server ends at its start: Can't find flow with path" in page
    assert "| 1.7.0 to 1.8.0 " in page


def test_summary_is_tidy(files: dict[str, str]) -> None:
    """One row a metric with median, lowest and highest; a missing value is NA, never blank."""
    rows = list(csv.DictReader(io.StringIO(files["summary.csv"])))
    assert not [row for row in rows if "" in row.values()]
    found = {(row["release"], row["flow"], row["outcome"], row["metric"]): row for row in rows}
    ready = found["1.12.0", "static_async", "ok", "ready_s"]
    assert [ready[name] for name in ("value", "low", "high", "runs")] == ["1.5", "1.5", "1.5", "2"]
    assert (ready["bound"], ready["ranked"]) == ("load-bound", "yes")
    assert found["1.12.0", "static_async", "ok", "memory_end_bytes"]["value"] == str(880 * 2**20)
    ranked = {name: found["1.12.0", "static_sync", "ok", name]["ranked"] for name in ("ready_s", "overhead_p50_ms")}
    assert ranked == {"ready_s": "yes", "overhead_p50_ms": "no"}
    late = found["1.11.0", "flex_async", "invalid", "ready_s"]
    assert [late[name] for name in ("value", "bound", "ranked")] == ["NA", "generator-bound", "no"]
    entry = found["1.17.2", "static_async", "failed", "ready_s"]
    assert [entry[name] for name in ("value", "low", "high", "runs")] == ["NA", "NA", "NA", "0"]


def test_pages_are_a_chain(files: dict[str, str]) -> None:
    """Each release's page leads to the previous and the next, and lists the packages that differ from the previous."""
    page = files["v1.17.2/README.md"]
    assert "Previous release: [v1.12.0](../v1.12.0/README.md)." in page
    assert "Next release: [v1.18.5](../v1.18.5/README.md)." in page
    assert "Previous release:" not in files["v1.11.0/README.md"]
    assert "Next release:" not in files["v1.18.5/README.md"]
    assert (
        "## Installed packages that differ from v1.11.0\n\n`promptflow 1.11.0 to 1.12.0`" in files["v1.12.0/README.md"]
    )


def test_overview_says_how_to_repeat_a_row(files: dict[str, str]) -> None:
    """Each table has the command that repeats a row."""
    command = "`nox -s bench-RELEASE-fastapi -- --profile report --flow static_async`"
    assert f"Repeat a row with {command}." in files["README.md"]


def test_release_that_left_the_matrix_keeps_its_page(tmp_path: Path) -> None:
    """A record outlives its row in suite.toml; its page says that it cannot be repeated."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(release="0.9.9"))
    assert "It cannot be repeated: suite.toml no longer declares it." in derive(tmp_path)["v0.9.9/README.md"]


def test_another_python_is_part_of_the_command(tmp_path: Path) -> None:
    """A run on another Python than the tables' own is repeated with that Python."""
    made = synthetic_runs.record()
    synthetic_runs.write(
        tmp_path, dataclasses.replace(made, requested=dataclasses.replace(made.requested, python="3.9"))
    )
    assert "--flow static_async --python 3.9`" in derive(tmp_path)["v1.12.0/README.md"]


def test_mock_alone_is_enough_for_an_overview(tmp_path: Path) -> None:
    """With nothing but a run of the mock API there is an overview, and no page of a release."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(release="mock", engine="uvicorn", flow="mock_api"))
    found = derive(tmp_path)
    assert sorted(found) == ["README.md", "summary.csv"]
    assert "None yet." in found["README.md"]


def test_nothing_to_report_is_an_error(tmp_path: Path) -> None:
    """No record, or broken ones only, ends with exit code 3 and names what was left out."""
    broken = synthetic_runs.write(tmp_path, synthetic_runs.record())
    (broken / "record.json").write_text("{", encoding="utf-8")
    with pytest.raises(NothingMeasuredError, match=r"record\.json cannot be read") as caught:
        derive(tmp_path)
    assert caught.value.exit_code == 3
