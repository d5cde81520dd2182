"""Tables as golden text."""

from __future__ import annotations

import dataclasses

from scripts.analysis.grouping import Cell, cells
from scripts.config.matrix import ROOT
from scripts.records.schema import LocustRow
from scripts.report.tables import markdown, published
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import run

PUBLISHED_LINE = (
    "| POST | //score | 2432 | 1 | 5800.0 | 8065.454250779605 | 1.944665999872086 | 25289.052397999967 | 136.6953125 "
    "| 41.17208026926904 | 0.016929309321245492 | 5800 | 10000 | 14000 | 15000 | 21000 | 25000 | 25000 | 25000 | 25000 "
    "| 25000 | 25000 |"
)
PUBLISHED_HEAD = (
    "| Type | Name | Request Count | Failure Count | Median Response Time | Average Response Time | Min Response Time "
    "| Max Response Time | Average Content Size | Requests/s | Failures/s | 50% | 66% | 75% | 80% | 90% | 95% | 98% "
    "| 99% | 99.9% | 99.99% | 100% |"
)


def squeezed(table: str) -> list[str]:
    """The lines of a table with single spaces."""
    return [" ".join(line.split()) for line in table.splitlines()]


def published_row() -> LocustRow:
    """The first published row."""
    return published.read(ROOT / "results")["1.12.0"].scenarios[0].rows[0]


def cell(**what: object) -> Cell:
    """A cell of one run."""
    return cells([run(synthetic_runs.record(**what))])[0]  # type: ignore[arg-type]


def test_published_form_repeats_the_published_text() -> None:
    """The published row renders with its 22 columns, their order and every digit."""
    head, _, line = squeezed(markdown.published_form([published_row()]))
    assert (head, line) == (PUBLISHED_HEAD, PUBLISHED_LINE)


def test_published_form_without_figures_shows_the_outcome_everywhere() -> None:
    """A run without figures has its outcome in each of the 20 figures, and no number."""
    line = squeezed(markdown.published_without_figures("failed"))[2]
    assert line == "| POST | /score |" + " failed |" * 20


def test_side_by_side() -> None:
    """Each column has the published text, ours and the deviation; labels have no deviation."""
    ours = dataclasses.replace(published_row(), name="/score", requests_per_s=24.9)
    lines = squeezed(markdown.side_by_side(published_row(), ours, "ok"))
    assert len(lines) == 2 + 22
    assert lines[3] == "| Name | //score | /score | \u2013 |"
    assert lines[5] == "| Failure Count | 1 | 1 | 0.0 % |"
    assert lines[11] == "| Requests/s | 41.17208026926904 | 24.9 | -39.5 % |"


def test_side_by_side_with_a_truncated_run() -> None:
    """Latencies that must not be compared are in parentheses, and so are their deviations."""
    doubtful = markdown.doubtful_columns(run(synthetic_runs.record(), distrusted=("truncated",)))
    lines = squeezed(markdown.side_by_side(published_row(), published_row(), "ok", doubtful))
    assert lines[7] == "| Average Response Time | 8065.454250779605 | (8065.454250779605) | (0.0 %) |"
    assert lines[11] == "| Requests/s | 41.17208026926904 | 41.17208026926904 | 0.0 % |"
    assert sum("(" in line for line in lines) == 4 + 11


def test_side_by_side_without_figures() -> None:
    """Without a figure to compare with, each row shows the outcome."""
    lines = squeezed(markdown.side_by_side(published_row(), None, "failed"))
    assert lines[4] == "| Request Count | 2432 | failed | \u2013 |"


OVERVIEW = """
| Release | Runs | Bound | throughput (rps) \u2191 | ceiling use | failure ratio \u2193 | response time p50 (ms) \u2193 | response time p99 (ms) \u2193 | overhead p50 (ms) \u2193 | overhead p99 (ms) \u2193 | CPU per request (ms) \u2193 | memory end \u2193 | ready (s) \u2193 | reference loop (ms) |
| [1.18.5](v1.18.5/README.md) | 1 | load-bound | 166.0 | 0.9906 | 0.0005099 | 1285 | 1320 | 34.60 | 69.60 | 6.400 | 880.0 MiB | 1.500 | 10.50 |
| [1.17.2](v1.17.2/README.md) | 1 failed | failed | failed | failed | failed | failed | failed | failed | failed | failed | failed | failed | failed |
| [1.12.0](v1.12.0/README.md) | 1 ok and 1 failed | server-bound | 166.0 | 0.7040 | 0.0005099 | 1251 | \u2013 | 1.000 | \u2013 | 6.400 | 880.0 MiB | 1.500 | 10.50 |
| [1.11.2](v1.11.2/README.md) | 1 invalid | generator-bound | (166.0) | (0.9906) | (0.0005099) | (1285) | (1320) | (34.60) | (69.60) | (6.400) | (880.0 MiB) | (1.500) | (10.50) |
| [1.11.1](v1.11.1/README.md) | 2 | mixed | 166.0 | 0.7739 | 0.0005099 | (1285) | (1320) | (34.60) | (69.60) | 6.400 | 880.0 MiB | 1.500 | 10.50 |
| 1.0.0 | 0 | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable | not-applicable |
""".strip()  # noqa: E501 - a table is as wide as it is


def test_releases_side_by_side() -> None:
    """Outcomes are words, a missing percentile is a dash, and a figure that must not be ranked is in parentheses."""
    few = synthetic_runs.histograms(steady=64, failed=0, buckets=1)
    measured = synthetic_runs.measurements()
    load = dataclasses.replace(measured.load, all_users_at_s=59.5)
    short = dataclasses.replace(measured, load=load)
    late = dataclasses.replace(measured, generator=dataclasses.replace(measured.generator, lag_p99_ms=25.0))
    truncated = run(
        synthetic_runs.record(release="1.11.1", number=2), synthetic_runs.histograms(5060), distrusted=("truncated",)
    )
    found = [
        cell(release="1.18.5"),
        cell(release="1.17.2", outcome="failed", reasons=("no wheel",)),
        Cell(
            runs=(
                run(synthetic_runs.record(measured=short), few),
                run(synthetic_runs.record(number=2, outcome="failed")),
            )
        ),
        cell(release="1.11.2", outcome="invalid", measured=late),
        Cell(runs=(run(synthetic_runs.record(release="1.11.1")), truncated)),
    ]
    lines = squeezed(markdown.releases(found, [("1.0.0", "not-applicable")]))
    assert "\n".join([lines[0], *lines[2:]]) == OVERVIEW


def test_releases_without_any_figure() -> None:
    """A table of unsupported releases has one column for their outcomes."""
    lines = squeezed(markdown.releases([cell(outcome="verify-failed")], link=False))
    assert lines[0] == "| Release | Runs | Outcome |"
    assert lines[2] == "| 1.12.0 | 1 verify-failed | verify-failed |"


def test_mock_has_no_page_to_link() -> None:
    """The row of the mock API is not a link."""
    mock = cell(release="mock", engine="uvicorn", flow="mock_api")
    assert squeezed(markdown.releases([mock]))[2].startswith("| mock | 1 | server-bound | 166.0 |")


def test_all_metrics_have_a_range_when_there_are_several_runs() -> None:
    """One run is a column; several have their median, lowest and highest beside it."""
    runs = [run(synthetic_runs.record(number=n, measured=synthetic_runs.measurements(ready_s=n))) for n in (1, 2, 3)]
    several = squeezed(markdown.all_metrics(Cell(runs=tuple(runs))))
    assert several[0] == "| Metric | This run | Median | Lowest | Highest |"
    assert "| ready (s, lower is better) | 2.000 | 2.000 | 1.000 | 3.000 |" in several
    assert "| ready (s, lower is better) | 1.000 |" in squeezed(markdown.all_metrics(Cell(runs=(runs[0],))))


def test_all_metrics_of_a_truncated_run_mark_its_latencies() -> None:
    """What was recorded of a truncated run is shown, its latencies in parentheses."""
    lines = squeezed(markdown.all_metrics(Cell(runs=(run(synthetic_runs.record(), distrusted=("truncated",)),))))
    assert "| overhead p50 (ms, lower is better) | (34.60) |" in lines
    assert "| ready (s, lower is better) | 1.500 |" in lines
