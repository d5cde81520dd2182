"""Everything that is derived from the records: which files there should be under results/, and their bytes.

Reads, computes, writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.grouping import Cell, cells, release_key
from scripts.analysis.run_reader import Run, Skipped
from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.concurrency import Map, serial
from scripts.config.errors import NothingMeasuredError
from scripts.config.load_profiles import SERVES
from scripts.config.matrix import MOCK, Suite
from scripts.inference import comparison, paired_rounds, release_history
from scripts.report.charts import svg
from scripts.report.charts.svg import Chart, Files, Picture
from scripts.report.pages import comparison_index, overview, release_page, templates
from scripts.report.tables import published, summary_csv

RELEASE_FOLDERS = "v[0-9]*"
_MOST_PICTURE_BYTES = 16 * MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """What results/ should hold."""

    files: dict[str, bytes]  # by path relative to results/, with forward slashes
    skipped: tuple[Skipped, ...]


def derive(results: Path, suite: Suite, spread: Map = serial) -> Derived:
    """Compute every derived file; NothingMeasuredError when there is no record that can be reported."""
    found = run_reader.read(results, [profile.name for profile in suite.profiles if not profile.reported], spread)
    if not found.runs:
        left_out = "".join(f"\n  - {one.path}: {one.reason}" for one in found.skipped)
        raise NothingMeasuredError(
            f"there are no records to report under {results.name}/runs{left_out}", then="nox -t bench, or see nox -l"
        )
    reports = published.read(results)
    campaigns, mixed = paired_rounds.pair_each(found.runs)
    unpaired = [Skipped(path=f"campaign {name}", reason=error.message) for name, error in mixed.items()]
    skipped = (*found.skipped, *unpaired)
    floors = comparison.noise_floors(campaigns)
    newest = release_history.newest(campaigns, suite)
    histories = [release_history.history(one, floors, suite, campaigns) for one in newest.values()]
    shown = {source.campaign for one in histories for source in one.sources}  # pairs that join are told of there
    histories += release_history.of_pairs([one for one in campaigns if one.campaign not in shown], floors, suite)
    compared = comparison_index.render(campaigns, floors)
    grouped = cells(_tabled(found.runs, {one.campaign for one in newest.values()}))
    page = overview.render(
        suite,
        grouped,
        skipped=skipped,
        reports=reports,
        served=found.runs,
        compared=bool(compared),
        histories=histories,
    )
    files: Files = {
        **compared,
        **page,
        "summary.csv": summary_csv.summary(grouped),
    }
    own = _by_release(grouped)
    for release in own:
        files |= release_page.render(suite, release, own, reports.get(release), histories)
    return Derived(files=_drawn(results, files, spread), skipped=skipped)


def _drawn(results: Path, files: Files, spread: Map) -> dict[str, bytes]:
    """The files with every chart drawn, or taken from results/ where it stands there as it would be drawn."""
    content = {name: found for name, found in files.items() if isinstance(found, bytes)}
    charts = {name: found for name, found in files.items() if isinstance(found, Chart)}
    pictures = {name: found for name, chart in charts.items() if (found := _standing(results, name, chart)) is not None}
    missing = [name for name in charts if name not in pictures]
    pictures |= zip(missing, spread(svg.draw, [charts[name] for name in missing]), strict=True)
    for name, picture in pictures.items():
        content |= {f"{name}.svg": picture.light, f"{name}-dark.svg": picture.dark}
    return content


def _standing(results: Path, name: str, chart: Chart) -> Picture | None:
    try:
        light, dark = (read_bounded(results / f"{name}{theme}.svg", _MOST_PICTURE_BYTES) for theme in ("", "-dark"))
    except OSError:
        return None
    return Picture(light=light, dark=dark) if svg.is_current(light, chart) and svg.is_current(dark, chart) else None


def _tabled(runs: Iterable[Run], campaigns: Collection[str]) -> Iterator[Run]:
    """What stands in tables of releases: single runs, and those of campaigns over releases.

    Other campaigns are of other hours, and have pages of their own; candidates are no releases.
    """
    for run in runs:
        requested = run.record.requested
        if "+" not in requested.release and requested.profile.name != SERVES and requested.campaign in {"", *campaigns}:
            yield run


def of_releases(results: Path) -> Iterator[Path]:
    """What was derived before for releases: generated pages and the charts beside them, nothing else in results/.

    A page comes after its charts: who removes them in this order can be interrupted, and finds them next time.
    """
    yield from sorted(path for name in overview.PICTURES for path in results.glob(f"{name}*.svg"))
    for page in sorted(
        [*results.glob(f"{RELEASE_FOLDERS}/README.md"), *results.glob(f"{comparison_index.FOLDER}/*.md")]
    ):
        if page.is_file() and page.read_bytes().startswith(templates.MARKER.encode()):
            yield from sorted(page.parent.glob("*.svg" if page.name == "README.md" else f"{page.stem}-*.svg"))
            yield page


def _by_release(grouped: list[Cell]) -> dict[str, list[Cell]]:
    """In the order of versions."""
    found: dict[str, list[Cell]] = {}
    for cell in grouped:
        if cell.requested.release != MOCK:
            found.setdefault(cell.requested.release, []).append(cell)
    return {release: found[release] for release in sorted(found, key=release_key)}
