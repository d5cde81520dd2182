"""Explain trials: `nox -s explain-trials` shows how often explanations name what was injected, and how often noise.

Hours of a quiet machine; resumable: a trial that is recorded is judged again, not sampled again. Writes
results/explain-trials.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from scripts.analysis import stacks
from scripts.campaign import explaining, request
from scripts.campaign.request import Selection
from scripts.commands import campaign_options, cli, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK
from scripts.config.load_profiles import EXPLAIN
from scripts.config.matrix import Suite
from scripts.config.whole_files import write_whole
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.records import explanations
from scripts.records.explanations import TRIALS_FOLDER, Explanation, Frame
from scripts.report import documents
from scripts.report.pages import explain_trials_page
from scripts.report.pages.explain_trials_page import Row
from scripts.selftest import explain_trials, slowdowns
from scripts.selftest.explain_trials import CANDIDATES, Candidate

RELEASE, ENGINE, FLOW = "1.18.5", "fastapi", "static_async"
_PAGE = "explain-trials.md"


def main(argv: list[str]) -> int:
    """Make the trials that are missing, as long as there is time, and write the page."""
    args = _arguments(argv)
    suite, system = matrix_file.load(), RealSystem()
    chosen = [one for one in CANDIDATES if not args.only or one.name in args.only]
    baseline = request.resolved(suite, RELEASE, system)
    if args.dry_run:
        expected_s = sum(one.trials for one in chosen) * _trial_s(suite, baseline)
        lines = [f"{one.trials} trials: {one.name}, {one.what}" for one in chosen]
        lines.append(f"about {expected_s / 3600:.1f} hours; --budget stops earlier, and a repetition goes on")
        output.show_plan("\n".join(lines), expected_s, as_json=args.json)
        return EXIT_OK
    terminate_as_exception()
    options, arms = campaign_options.options(args), _built(suite, baseline, chosen, system)
    ends = math.inf if args.budget is None else system.monotonic() + args.budget
    for number, candidate in _order(chosen):
        if number < len(_recorded(options, arms[candidate.name])):
            continue
        if system.monotonic() > ends:
            break
        cli.say(f"trial {number + 1} of {candidate.trials}: {candidate.name}")
        explaining.measure(
            suite, _requested(suite, baseline, arms[candidate.name]), options, system, Progress(system.monotonic),
            folder=TRIALS_FOLDER,
        )  # fmt: skip
    return _write(chosen, arms, options, as_json=args.json)


def _order(chosen: Sequence[Candidate]) -> Iterator[tuple[int, Candidate]]:
    """The first trial of each, then the second of each, and so on: every stop leaves something of all."""
    for number in range(max(one.trials for one in chosen)):
        yield from ((number, one) for one in chosen if number < one.trials)


def _requested(suite: Suite, baseline: Arm, candidate: Arm) -> Campaign:
    return request.planned(suite, Selection(engines=(ENGINE,), flows=(FLOW,), profile=EXPLAIN), [baseline, candidate])


def _trial_s(suite: Suite, baseline: Arm) -> float:
    return explaining.expected_s(_requested(suite, baseline, baseline), explaining.REPEATS)


def _recorded(options: session.Options, arm: Arm) -> list[Explanation]:
    """The trials of a candidate, oldest first."""
    wanted = (RELEASE, arm.release.version)
    return [
        one
        for _, one in explanations.found(options.results, TRIALS_FOLDER)
        if isinstance(one, Explanation) and one.releases == wanted and (one.engine, one.flow) == (ENGINE, FLOW)
    ]


def _built(suite: Suite, baseline: Arm, chosen: Sequence[Candidate], system: System) -> dict[str, Arm]:
    """By name, a candidate like any other: a directory of wheels, made of the release's virtualenv."""
    with Progress(system.monotonic) as progress:
        prepared = session.install(RELEASE, baseline.lock, suite.python, system, progress)
    into = session.SCRATCH / "explain-trials"
    return {
        one.name: request.resolved(
            suite, str(slowdowns.build(one.slowdown, prepared.environment.site_packages, into)), system
        )
        for one in chosen
    }


def _write(
    chosen: Sequence[Candidate], arms: Mapping[str, Arm], options: session.Options, *, as_json: bool
) -> int:  # fmt: skip
    """Write the page, and print it."""
    rows = [_row(one, _recorded(options, arms[one.name])[: one.trials]) for one in chosen]
    page = explain_trials_page.render(
        rows, release=RELEASE, scenario=f"{ENGINE} {FLOW}", first=explain_trials.FIRST
    )  # fmt: skip
    write_whole(options.results / _PAGE, page)
    answer = explain_trials_page.answer(rows)
    document = documents.document("explain-trials", answer, candidates=[dataclasses.asdict(row) for row in rows])
    output.show(page.decode(), document, as_json=as_json)
    return EXIT_OK


def _row(candidate: Candidate, found: Sequence[Explanation]) -> Row:
    trials = [explain_trials.judged(candidate, one) for one in found]
    place = candidate.slowdown.place if candidate.slowdown else None
    own = {candidate.function, stacks.package(Frame(module=place.module, function=""))} if place else set()
    return Row(
        name=candidate.name,
        what=candidate.what,
        wanted=candidate.trials,
        results=tuple(trial.result for trial in trials),
        injected_ms=candidate.slowdown.size if candidate.slowdown else None,
        seen_ms=tuple(trial.seen.difference_ms for trial in trials if trial.seen is not None),
        others=tuple(name for trial in trials for name in trial.named if name not in own),
    )


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "explain_trials", "Show how often explanations name what was injected, and how often they name noise."
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=[one.name for one in CANDIDATES], metavar="NAME",
        help="only trials of this candidate; repeatable (default: all); --dry-run lists them",
    )  # fmt: skip
    parser.add_argument("--budget", type=cli.duration_s, metavar="TIME", help="begin no trial after this time, e.g. 1h")
    parser.add_argument("--dry-run", action="store_true", help="print the trials and their time, and sample nothing")
    cli.add_output_options(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)
