"""`nox -s collate`: writes everything in results/ that comes from the records, and the glossary's metrics.

The only module of the reporting side that writes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from scripts.analysis.grouping import Cell
from scripts.commands import cli
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, NotComparableError, UsageError, did_you_mean
from scripts.config.matrix import ROOT
from scripts.config.whole_files import write_whole
from scripts.host import cores
from scripts.report.pages import glossary_page, site
from scripts.report.tables import exports

_SHOWN = 20  # problems listed before the rest is only counted


def main(argv: list[str]) -> int:
    """Write, or with --check compare, all derived files."""
    args = _arguments(argv)
    results: Path = args.results.resolve()
    suite = matrix_file.load()
    with cores.spread() as spread:
        derived = site.derive(results, suite, spread)
    for one in derived.skipped:
        cli.say(f"skipped {one.path}: {one.reason}")
    files = derived.files | (_glossary(results) if results == ROOT / "results" else {})
    removed = leftovers(results, files)
    for name in (*removed, *files):
        require_inside(results, name)
    if args.check:
        _check(results, files, removed)
        print(f"{len(files)} derived files are up to date")
    else:
        _write_all(results, files, removed)
    if args.export:
        _export(derived.cells, suite.python, *args.export)
    return EXIT_OK


def _write_all(results: Path, files: dict[str, bytes], removed: list[str]) -> None:
    """Remove what no record stands behind any more, and write what differs."""
    for name in removed:
        (results / name).unlink()
        cli.say(f"removed {name}")
    outdated = write(results, files)
    _remove_empty(results)
    print(f"{len(files)} derived files: {outdated} written, {len(removed)} removed, the others are up to date")


def write(results: Path, files: Mapping[str, bytes]) -> int:
    """Write what differs; return how many files."""
    outdated = [name for name, content in files.items() if _current(results / name) != content]
    for name in outdated:
        write_whole(results / name, files[name])
        cli.say(f"wrote {name}")
    return len(outdated)


def _export(cells: Sequence[Cell], python: str, form: str, name: str) -> None:
    """Write the figures in a form for another program; UsageError for an unknown form, or a folder that is missing."""
    if form not in exports.FORMATS:
        known = list(exports.FORMATS)
        raise UsageError(
            f"--export {form}: {did_you_mean(form, known)}", then=f"nox -s collate -- --export {known[0]} {name}"
        )
    path = cli.output_file(Path(name))
    found = exports.figures(cells, python)
    path.write_text(exports.FORMATS[form](found) + "\n", encoding="utf-8")
    print(f"wrote {path}: {len(found)} figures as {form}")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("collate", "Write everything derived in results/ again from the records.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 7 when the files are not up to date")
    parser.add_argument(
        "--export", nargs=2, metavar=("FORMAT", "FILE"),
        help=f"also write the figures for another program; FORMAT is one of {', '.join(exports.FORMATS)}",
    )  # fmt: skip
    cli.add_results_option(parser)
    return parser.parse_args(argv)


def _glossary(results: Path) -> dict[str, bytes]:
    """The glossary with the registry's metrics; it explains the committed results, and belongs to them."""
    page = results.parent / glossary_page.PATH
    return {f"../{glossary_page.PATH}": glossary_page.with_metrics(page.read_text(encoding="utf-8")).encode()}


def _check(results: Path, files: dict[str, bytes], removed: list[str]) -> None:
    """Raise when what lies under results/ is not what the records say; `removed`: no record stands behind these."""
    problems = [f"left over: {name}" for name in removed]
    for name, content in files.items():
        found = _current(results / name)
        if found != content:
            problems.append(f"missing: {name}" if found is None else f"differs: {name}")
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        listing = "\n".join(f"  - {problem}" for problem in [*problems[:_SHOWN], *more])
        raise NotComparableError(
            f"{len(problems)} derived file(s) are not what the records say:\n{listing}", then="nox -s collate"
        )


def leftovers(results: Path, files: dict[str, bytes]) -> list[str]:
    """Derived files, by relative path, that no record stands behind any more."""
    found = dict.fromkeys(path.relative_to(results).as_posix() for path in site.of_releases(results))
    return [name for name in found if name not in files]


def require_inside(results: Path, name: str) -> None:
    """Raise unless a derived file lies in results/, or is the glossary, and no link is on the way to it.

    Through a link, collate would write or remove what is not its own.
    """
    root, inside = (results.parent, glossary_page.PATH) if name == f"../{glossary_page.PATH}" else (results, name)
    path = root
    for part in PurePosixPath(inside).parts:
        path = path / part
        if part == ".." or not path.is_relative_to(root):
            raise UsageError(f"{name} is not in {results}", then="take the record with that name out of the results")
        if path.is_symlink():
            raise UsageError(
                f"{path} is a link to {path.readlink()}; collate writes and removes nothing through links",
                then=f"rm {path}, then repeat this command",
            )


def _current(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _remove_empty(results: Path) -> None:
    """Folders of releases whose last file has gone."""
    for folder in results.glob(f"{site.RELEASE_FOLDERS}/"):
        if not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
