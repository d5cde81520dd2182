"""Every Markdown table; the only module that knows tabulate.

Pure. A row without figures shows its outcome in every cell. A figure in parentheses must not be ranked or compared.
Notes under the table give the reasons of both.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from tabulate import tabulate

from scripts.analysis import metrics
from scripts.analysis.grouping import Cell
from scripts.analysis.metrics import METRICS, Metric
from scripts.analysis.run_reader import Run
from scripts.config.matrix import MOCK
from scripts.records.schema import LocustRow
from scripts.report.tables.formatting import DASH, Markdown, deviation, filled, listed, marked, plain, quantity

PUBLISHED_HEADERS = (
    "Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time",
    "Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s",
    "50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%",
)  # fmt: skip
_SPACES = re.compile(" {2,}")
_LABELS = 2  # the first two of them are text
_PERCENTILES = 11  # the last of them; a row without a request has none
_LATENCIES = frozenset({*PUBLISHED_HEADERS[4:8], *PUBLISHED_HEADERS[11:]})


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]], labels: int = 1, remarks: int = 0) -> Markdown:
    """A table whose first `labels` columns and last `remarks` columns are text; the others are figures.

    Cells are text, unless of `Markdown`.
    """
    figures = range(labels, len(headers) - remarks)
    align = ["right" if n in figures else "left" for n in range(len(headers))]
    head, *cells = ([*map(plain, row)] for row in (headers, *rows))
    return Markdown(tabulate(cells, headers=head, tablefmt="pipe", disable_numparse=True, colalign=align))


def narrow(table: Markdown) -> Markdown:
    """The same table without the spaces that line its columns up: for one that is read as a page, not as text."""
    return Markdown(_SPACES.sub(" ", table))


def published_form(rows: Sequence[LocustRow], doubtful: Collection[str] = ()) -> Markdown:
    """Rows of locust's own statistics in the 22 columns of the published report, at full precision.

    Figures in the columns named in `doubtful` are in parentheses.
    """
    return markdown(PUBLISHED_HEADERS, [_published_cells(row, doubtful) for row in rows], _LABELS)


def published_figures(rows: Sequence[LocustRow], doubtful: Collection[str] = ()) -> Markdown:
    """The same figures for a terminal, one a row. A second row that is the total of one request adds nothing."""
    figures = [_published_cells(row, doubtful) for row in rows]
    shown = figures[:1] if all(one[_LABELS:] == figures[0][_LABELS:] for one in figures) else figures
    names = [" ".join(filter(None, one[:_LABELS])) for one in shown]
    by_figure = zip(PUBLISHED_HEADERS[_LABELS:], *(one[_LABELS:] for one in shown), strict=True)
    return markdown(("Published figure", *names), by_figure)


def doubtful_columns(run: Run) -> frozenset[str]:
    """The columns that must not be ranked or compared: all of an invalid run, the latencies of a truncated one."""
    if run.outcome != "ok":
        return frozenset(PUBLISHED_HEADERS[_LABELS:])
    return _LATENCIES if run.distrusted else frozenset()


def published_without_figures(outcome: str) -> Markdown:
    """The same table for a run that measured nothing."""
    row = ["POST", "/score", *[outcome] * (len(PUBLISHED_HEADERS) - _LABELS)]
    return markdown(PUBLISHED_HEADERS, [row], _LABELS)


def side_by_side(
    published: LocustRow, measured: LocustRow | None, outcome: str, doubtful: Collection[str] = ()
) -> Markdown:
    """Each of the 22 columns: published, measured (or the outcome of a run without figures) and the deviation."""
    texts = _published_cells(published)
    if measured is None:
        rows = [(h, t, outcome, DASH) for h, t in zip(PUBLISHED_HEADERS, texts, strict=True)]
        return markdown(("Column", "Published", "Measured", "Deviation"), rows)
    deviations = [DASH] * _LABELS + [
        marked(deviation(ours, theirs), counts=header not in doubtful)
        for header, ours, theirs in zip(
            PUBLISHED_HEADERS[_LABELS:], _figures(measured), _figures(published), strict=True
        )
    ]
    rows = list(zip(PUBLISHED_HEADERS, texts, _published_cells(measured, doubtful), deviations, strict=True))
    return markdown(("Column", "Published", "Measured", "Deviation"), rows)


def releases(found: Sequence[Cell], absent: Sequence[tuple[str, str]] = (), *, link: bool = True) -> Markdown:
    """Main metrics and the bound, one row a release: medians of the ok runs.

    A cell without an ok run shows the figures of its newest run in parentheses. `absent`: (release, outcome).
    """
    known = [metric for metric in METRICS if any(cell.figure(metric.name) is not None for cell in found)]
    columns = [metric for metric in known if "releases" in metric.shown_in]
    bound = ["Bound"] if columns and columns[0].compute is not None else []  # a count has no throughput to limit
    headers = ["Release", "Runs", *([*bound, *(metric.short_title for metric in columns)] if columns else ["Outcome"])]
    width = len(headers) - _LABELS
    rows = [[_name(cell.requested.release, link=link), _runs(cell), *_row(cell, columns, width)] for cell in found]
    rows += [[release, "0", *[word] * width] for release, word in absent]
    return markdown(headers, rows)


def all_metrics(cell: Cell) -> Markdown:
    """Every metric of a cell: the run shown and, when there are several, their median and range."""
    several = len(cell.ok) > 1
    headers = ["Metric", "This run", *(["Median", "Lowest", "Highest"] if several else [])]
    rows = []
    for metric in metrics.of(cell.requested):
        shown = quantity(cell.shown.values[metric.name], metric.unit)
        row = [metric.full_title, marked(shown, counts=cell.shown.counts(metric))]
        if several:
            spread = cell.spread(metric.name)
            figures = (spread.median, spread.low, spread.high) if spread else (None, None, None)
            row += [marked(quantity(figure, metric.unit), counts=cell.counts(metric)) for figure in figures]
        rows.append(row)
    return markdown(headers, rows)


def _published_cells(row: LocustRow, doubtful: Collection[str] = ()) -> list[str]:
    first = [row.type, row.name, str(row.request_count), str(row.failure_count)]
    figures = [repr(float(value)) for value in _figures(row)[2:9]]
    texts = [*first, *figures, *(map(_whole, row.percentiles) if row.percentiles else [DASH] * _PERCENTILES)]
    return [marked(text, counts=header not in doubtful) for header, text in zip(PUBLISHED_HEADERS, texts, strict=True)]


def _figures(row: LocustRow) -> list[float]:
    """The 20 columns that are numbers."""
    return [
        row.request_count, row.failure_count, row.median_response_time, row.average_response_time,
        row.min_response_time, row.max_response_time, row.average_content_size, row.requests_per_s,
        row.failures_per_s, *row.percentiles,
    ]  # fmt: skip


def _whole(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _name(release: str, *, link: bool) -> str:
    return filled("[{}](v{}/README.md)", release, release) if link and release != MOCK else release


def _runs(cell: Cell) -> str:
    """`3`, or `3 ok and 1 invalid` when not all are ok, or `2 failed`."""
    others = [run.outcome for run in cell.runs if run.outcome != "ok"]
    if not others:
        return str(len(cell.ok))
    parts = [
        *([f"{len(cell.ok)} ok"] if cell.ok else []),
        *(f"{others.count(word)} {word}" for word in sorted(set(others))),
    ]
    return listed(parts)


def _row(cell: Cell, columns: Sequence[Metric], width: int) -> list[str]:
    """Bound and figures; the outcome everywhere for a cell that has measured nothing."""
    record = cell.shown.record
    if not columns or (record.measurements is None and record.counts is None):
        return [cell.outcome] * width
    figures = ((quantity(cell.figure(metric.name), metric.unit), cell.counts(metric)) for metric in columns)
    bound = [cell.bound or DASH] if len(columns) < width else []
    return [*bound, *(marked(text, counts=counts) for text, counts in figures)]
