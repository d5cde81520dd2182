"""Show: `nox -s show -- 1.17.0 1.18.5` prints what the recorded campaigns say of two releases. Measures nothing."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence

from scripts.analysis import run_reader
from scripts.commands import cli
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, NothingMeasuredError, UsageError
from scripts.host import cores
from scripts.inference import comparison, lock_diff, paired_rounds, recorded_pairs
from scripts.inference.comparison import ArmComparison, Effect
from scripts.report.pages import comparison_page


def main(argv: list[str]) -> int:
    """Print one table for each scenario and profile, of the campaign with the most rounds."""
    args = _arguments(argv)
    suite = matrix_file.load()
    old, new = (suite.release(version).version for version in (args.old, args.new))
    if old == new:
        raise UsageError(f"{old} is named twice", then=f"nox -s show -- {old} {suite.newest_but(old)}")
    with cores.spread() as spread:
        found = run_reader.read(args.results.resolve(), (), spread)
    campaigns, _ = paired_rounds.pair_each(found.runs)
    pairs = recorded_pairs.most_rounds(campaigns, [(old, new)])
    if not pairs:
        raise NothingMeasuredError(
            f"no recorded campaign has both {old} and {new} in its rounds", then=f"nox -s compare -- {old} {new}"
        )
    judged = comparison.judge(pairs, comparison.noise_floors(campaigns))
    if args.json:
        print(json.dumps([_data(one) for one in judged], indent=1))
    else:
        print(comparison_page.render(pairs, judged, title=f"{new} against {old}").decode())
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("show", "Print what the recorded campaigns say of two releases, without measuring.")
    parser.add_argument("old", metavar="OLD", help="the release that is compared with")
    parser.add_argument("new", metavar="NEW", help="the release that is judged")
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    cli.add_results_option(parser)
    return parser.parse_args(argv)


def _data(one: ArmComparison) -> dict[str, object]:
    """A table as data: changes are ratios less 1, figures in the metric's unit."""
    baseline, candidate = (one.paired.rounds[0].runs[arm].record for arm in one.paired.arms)
    return {
        "engine": one.paired.engine,
        "flow": one.paired.flow,
        "profile": baseline.requested.profile.name,
        "campaign": one.paired.campaign,
        "rounds": len(one.paired.rounds),
        "metrics": [_metric(effect) for effect in one.effects],
        "packages": [
            {"name": moved.name, "before": moved.before, "after": moved.after}
            for moved in lock_diff.between(baseline, candidate)
        ],
    }


def _metric(effect: Effect) -> dict[str, object]:
    interval = effect.interval
    ends: Sequence[float | None] = (
        [math.expm1(end) for end in (interval.estimate, interval.low, interval.high)] if interval else [None] * 3
    )
    return {
        "metric": effect.metric.name,
        "unit": effect.metric.unit,
        "better": effect.metric.better,
        "baseline": effect.baseline,
        "candidate": effect.candidate,
        **dict(zip(("change", "low", "high"), ends, strict=True)),
        "level": interval.level if interval else None,
        "threshold": math.expm1(effect.threshold),
        "verdict": effect.verdict,
    }
