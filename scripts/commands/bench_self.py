"""`nox -s bench-self`: measures the suite itself, and ends with 8 when a figure exceeds its limit."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from scripts.commands import cli, output
from scripts.config import matrix, matrix_file
from scripts.config.errors import EXIT_OK, RegressionError
from scripts.config.matrix import ROOT
from scripts.host import machine, telemetry
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.records.schema import Machine
from scripts.report import documents
from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import Markdown, prose
from scripts.selftest import cluster_cost, load_limit, suite_cost
from scripts.selftest.suite_cost import Cost

_MINUTES, _LOAD_MINUTES = 25.0, 2.5  # on two cores


def main(argv: list[str]) -> int:
    """Measure everything, print it, and write results/self.md."""
    about = f"About {_MINUTES:.0f} minutes."
    parser = cli.parser("bench-self", f"Measure the suite itself; nothing else may run meanwhile. {about}")
    parser.add_argument(
        "--skip-load", action="store_true", help=f"leave the bench session out (it takes {_LOAD_MINUTES:g} minutes)"
    )
    parser.add_argument(
        "--nox-python", default=sys.executable, metavar="PATH", help="the Python that nox runs on (default: this one)"
    )
    cli.add_json_option(parser)
    args = parser.parse_args(argv)
    cli.say(f"about {_MINUTES - (_LOAD_MINUTES if args.skip_load else 0.0):.0f} minutes")
    terminate_as_exception()
    system, suite, before = RealSystem(), matrix_file.load(), machine.describe()
    with tempfile.TemporaryDirectory(prefix="promptflow-serve-bench-") as name:
        rows = own_steps(suite, system, args.nox_python, Path(name))
        if not args.skip_load:  # the session takes the machine for itself
            rows += _shown(suite_cost.session(system, args.nox_python, Path(name)))
    if not args.skip_load:
        written = page(rows, before, f"{datetime.now(UTC):%Y-%m-%d}", telemetry.reference_loop_ms())
        (ROOT / "results" / "self.md").write_bytes(written)
        cli.say("wrote results/self.md")
    missed = sum(not row.is_met for row in rows)
    answer = f"{missed} of {len(rows)} measurements exceed a limit" if missed else "every figure is within its limit"
    document = documents.document("suite-cost", answer, measurements=[_data(row) for row in rows])
    output.show(_table(rows), document, as_json=args.json)
    return verdict(rows)


def own_steps(suite: matrix.Suite, system: System, nox_python: str, scratch: Path) -> list[Cost]:
    """All but the bench session, while no measurement can run beside them."""
    with machine.exclusive(machine.lock_file()):
        listed = _shown(suite_cost.listing(system, nox_python))
        shared = cluster_cost.measure(system, scratch)
        of_cluster = _shown(cluster_cost.shared(shared))
        of_load = _shown(load_limit.rows(system, scratch))
        collated = [
            *_shown(suite_cost.collating(system, scratch)),
            *_shown(suite_cost.collating_committed(system)),
        ]
        one_built = _shown(suite_cost.building(suite, system, scratch))
        built = _shown(suite_cost.building_all(suite, system, scratch))
        if shared is not None:
            of_cluster += _shown(cluster_cost.simulated(suite, shared, prepare_s=built[0].figures[0].value))
        recorded = _shown(suite_cost.recording(suite, system, scratch))
        return [*listed, *collated, *one_built, *built, *recorded, *of_load, *of_cluster]


def page(rows: list[Cost], before: Machine, day: str, loop_after_ms: float) -> bytes:
    """results/self.md: the answer first, then each figure beside its limit."""
    return templates.render(
        "suite_cost.md.j2",
        rows=rows,
        missed=[prose(row.what) for row in rows if not row.is_met],
        machine=before,
        day=day,
        loop_after_ms=loop_after_ms,
        table=_table(rows),
    )


def _table(rows: list[Cost]) -> Markdown:
    cells = [(prose(row.what), row.measured, row.wanted, _met(row)) for row in rows]
    return markdown.markdown(("What", "Measured", "Limit", "Met"), cells)


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
    """The rows, each said as soon as it is measured."""
    found = []
    for row in rows:
        cli.say(f"{row.what}: {row.measured}{'' if row.is_met else f'  MISSES {row.wanted}'}")
        found.append(row)
    return found


def _data(row: Cost) -> dict[str, object]:
    return {
        "what": row.what,
        "met": row.is_met,
        "figures": [
            {"text": one.text, "value": one.value, "most": one.limit.most, "met": one.is_met}
            if one.limit
            else {"text": one.text}
            for one in row.figures
        ],
    }
