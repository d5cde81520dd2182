"""`nox -s bench-self`: measures the suite itself, and ends with 8 when a figure exceeds its limit."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from scripts.commands import cli
from scripts.config import matrix, matrix_file
from scripts.config.errors import EXIT_OK, RegressionError
from scripts.config.matrix import ROOT
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.records.schema import Machine
from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import Markdown, prose
from scripts.selftest import suite_cost
from scripts.selftest.suite_cost import Cost


def main(argv: list[str]) -> int:
    """Measure everything, print it, and write results/self.md."""
    parser = cli.parser("bench-self", "Measure the suite itself; nothing else may run meanwhile. About 13 minutes.")
    parser.add_argument("--skip-load", action="store_true", help="leave the bench session out (it takes 2.5 minutes)")
    parser.add_argument(
        "--nox-python", default=sys.executable, metavar="PATH", help="the Python that nox runs on (default: this one)"
    )
    args = parser.parse_args(argv)
    terminate_as_exception()
    system, suite, before = RealSystem(), matrix_file.load(), machine.describe()
    with tempfile.TemporaryDirectory(prefix="promptflow-serve-bench-") as name:
        rows = own_steps(suite, system, args.nox_python, Path(name))
        if not args.skip_load:  # the session takes the machine for itself
            rows += _shown(suite_cost.session(system, args.nox_python, Path(name)))
    if not args.skip_load:
        (ROOT / "results" / "self.md").write_bytes(page(rows, before, f"{datetime.now(UTC):%Y-%m-%d}"))
        print("wrote results/self.md")
    return verdict(rows)


def own_steps(suite: matrix.Suite, system: System, nox_python: str, scratch: Path) -> list[Cost]:
    """All but the bench session, while no measurement can run beside them."""
    with machine.exclusive(machine.lock_file()):
        return [
            *_shown(suite_cost.listing(system, nox_python)),
            *_shown(suite_cost.collating(system, scratch)),
            *_shown(suite_cost.collating_committed(system)),
            *_shown(suite_cost.building(suite, system, scratch)),
            *_shown(suite_cost.building_all(suite, system, scratch)),
            *_shown(suite_cost.recording(suite, system, scratch)),
        ]


def page(rows: list[Cost], before: Machine, day: str) -> bytes:
    """results/self.md: the answer first, then each figure beside its limit."""
    cells = [(prose(row.what), row.measured, row.wanted, _met(row)) for row in rows]
    return templates.render(
        "suite_cost.md.j2",
        rows=rows,
        missed=[prose(row.what) for row in rows if not row.is_met],
        machine=before,
        day=day,
        table=markdown.markdown(("What", "Measured", "Limit", "Met"), cells),
    )


def verdict(rows: list[Cost]) -> int:
    """0 when every figure is within its limit; else RegressionError names those that are not."""
    missed = [f"  - {row.what}: {row.measured}; wanted {row.wanted}" for row in rows if not row.is_met]
    if missed:
        raise RegressionError(
            f"{len(missed)} figure(s) exceed their limit:\n" + "\n".join(missed),
            then="close other programs, then nox -s bench-self; then look at what changed since results/self.md",
        )
    return EXIT_OK


def _met(row: Cost) -> str:
    if not row.wanted:
        return ""
    return "yes" if row.is_met else Markdown("**no**")


def _shown(rows: Iterable[Cost]) -> list[Cost]:
    """The rows, each printed as soon as it is measured."""
    found = []
    for row in rows:
        print(f"{row.what}: {row.measured}{'' if row.is_met else f'  MISSES {row.wanted}'}", flush=True)
        found.append(row)
    return found
