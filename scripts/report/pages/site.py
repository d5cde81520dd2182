"""Everything that is derived from the records: which files there should be under results/, and their bytes.

Reads, computes, writes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis.grouping import Cell, release_key
from scripts.analysis.run_reader import Skipped
from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.concurrency import Map, serial
from scripts.config.matrix import MOCK, Suite
from scripts.inference import python_changes, recorded_results
from scripts.records import explanations
from scripts.records.explanations import Explanation
from scripts.records.storage import RecordError
from scripts.report.charts import svg
from scripts.report.charts.svg import Chart, Files, Picture
from scripts.report.pages import (
    comparison_index,
    explanation_index,
    overview,
    python_page,
    release_page,
    soak_page,
    templates,
)
from scripts.report.tables import capacity_table, published, summary_csv

RELEASE_FOLDERS = "v[0-9]*"
_MOST_PICTURE_BYTES = 16 * MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """What results/ should hold."""

    files: dict[str, bytes]  # by path relative to results/, with forward slashes
    skipped: tuple[Skipped, ...]
    cells: tuple[Cell, ...]  # that the figures of its tables come from


def derive(results: Path, suite: Suite, spread: Map = serial) -> Derived:
    """Compute every derived file; NothingMeasuredError when there is no record that can be reported."""
    found = recorded_results.read(results, suite, spread)
    searches = capacity_table.shown(found.searches, suite.capacity)
    reports = published.read(results)
    compared = comparison_index.render(found.campaigns, found.floors)
    first = _begun(results, compared, spread)  # other cores draw these while this one writes pages
    explained, unreadable = _explanations(results)
    pages = explanation_index.pages(explained, suite.python)
    soaked = soak_page.render(suite, found.soaks)
    counted = explanation_index.instructions(found.cells)
    pythons = python_changes.find(found.campaigns, found.floors, suite)
    skipped = (*found.skipped, *unreadable)
    page = overview.render(
        suite,
        found.cells,
        skipped=skipped,
        reports=reports,
        served=found.runs,
        compared=bool(compared),
        explained=pages,
        soaked=bool(soaked),
        histories=found.histories,
        searches=searches,
        pythons=pythons,
    )
    files: Files = {
        **python_page.render(suite, pythons, counted),
        **explanation_index.render(explained, counted),
        **soaked,
        **page,
        "summary.csv": summary_csv.summary(found.cells, searches),
    }
    own = _by_release(found.cells)
    for release in own:
        files |= release_page.render(suite, release, own, reports.get(release), found.histories, searches, pages)
    others = _begun(results, files, spread)
    return Derived(files=dict((*first, *others)), skipped=skipped, cells=found.cells)


def _explanations(results: Path) -> tuple[list[Explanation], list[Skipped]]:
    """All that can be read, and why the others cannot."""
    found, skipped = [], []
    for file, one in explanations.found(results):
        if isinstance(one, RecordError):
            skipped.append(Skipped(path=file.relative_to(results).as_posix(), reason=" ".join(str(one).split())))
        else:
            found.append(one)
    return found, skipped


def drawn(results: Path, files: Files) -> dict[str, bytes]:
    """The files with every chart drawn, or taken from results/ where it stands there as it would be drawn."""
    return dict(_begun(results, files, serial))


def _begun(results: Path, files: Files, spread: Map) -> Iterator[tuple[str, bytes]]:
    """The same as an iterator; where `spread` has other processes, they draw from now on."""
    charts = {name: found for name, found in files.items() if isinstance(found, Chart)}
    standing = {name: found for name, chart in charts.items() if (found := _standing(results, name, chart)) is not None}
    missing = [name for name in charts if name not in standing]
    made = spread(svg.draw, [charts[name] for name in missing])
    pictures = itertools.chain(standing.items(), zip(missing, made, strict=True))
    return itertools.chain(
        ((name, found) for name, found in files.items() if isinstance(found, bytes)),
        (one for name, picture in pictures for one in _themes(name, picture)),
    )


def _themes(name: str, picture: Picture) -> Iterator[tuple[str, bytes]]:
    yield f"{name}.svg", picture.light
    yield f"{name}-dark.svg", picture.dark


def _standing(results: Path, name: str, chart: Chart) -> Picture | None:
    try:
        light, dark = (read_bounded(results / f"{name}{theme}.svg", _MOST_PICTURE_BYTES) for theme in ("", "-dark"))
    except OSError:
        return None
    return Picture(light=light, dark=dark) if svg.is_current(light, chart) and svg.is_current(dark, chart) else None


def of_releases(results: Path) -> Iterator[Path]:
    """What was derived before: generated pages and the charts beside them, nothing else in results/.

    A page comes after its charts: who removes them in this order can be interrupted, and finds them next time.
    """
    yield from sorted(path for name in overview.PICTURES for path in results.glob(f"{name}*.svg"))
    for page in sorted(
        page
        for pattern in (
            f"{RELEASE_FOLDERS}/README.md",
            f"{comparison_index.FOLDER}/*.md",
            f"{explanations.FOLDER}/*.md",
            soak_page.PAGE,
        )
        for page in results.glob(pattern)
    ):
        if page.is_file() and page.read_bytes().startswith(templates.MARKER.encode()):
            yield from sorted(page.parent.glob("*.svg" if page.name == "README.md" else f"{page.stem}-*.svg"))
            yield page


def _by_release(grouped: Sequence[Cell]) -> dict[str, list[Cell]]:
    """In the order of versions."""
    found: dict[str, list[Cell]] = {}
    for cell in grouped:
        if cell.requested.release != MOCK:
            found.setdefault(cell.requested.release, []).append(cell)
    return {release: found[release] for release in sorted(found, key=release_key)}
