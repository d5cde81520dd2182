"""Explain trials: `nox -s explain-trials` shows how often explanations name what was injected, and how often noise.

Hours of a quiet machine; resumable: a trial that is recorded is judged again, not sampled again. Writes
results/explain-trials.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from scripts.analysis import stacks
from scripts.campaign import explaining, request
from scripts.campaign.request import Selection
from scripts.commands import campaign_options, cli, output, trial_options
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK
from scripts.config.load_profiles import EXPLAIN
from scripts.config.matrix import Suite
from scripts.config.whole_files import write_whole
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure.round_plan import Campaign
from scripts.records import explanations
from scripts.records.explanations import TRIALS_FOLDER, Explanation, Frame
from scripts.report import documents
from scripts.report.pages import explain_trials_page
from scripts.report.pages.explain_trials_page import Row
from scripts.selftest import explain_trials
from scripts.selftest.explain_trials import CANDIDATES, Candidate
from scripts.selftest.known_candidates import in_order

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
        lines = trial_options.described(chosen, f"{expected_s / 3600:.1f} hours")
        output.show_plan(lines, expected_s, as_json=args.json)
        return EXIT_OK
    terminate_as_exception()
    options, arms = (
        campaign_options.options(args),
        trial_options.built(suite, baseline, CANDIDATES, "explain-trials", system),
    )
    ends = math.inf if args.budget is None else system.monotonic() + args.budget
    made = _recorded(options.results)
    for number, candidate in in_order(chosen):
        arm = arms[candidate.name]
        trials = made[arm.release.version]
        if number < len(trials):
            continue
        if system.monotonic() > ends:
            break
        cli.say(f"trial {number + 1} of {candidate.trials}: {candidate.name}")
        trials += explaining.measure(
            suite, _requested(suite, baseline, arm), options, system, Progress(system.monotonic), folder=TRIALS_FOLDER
        )
    rows = [_row(one, made[arms[one.name].release.version][: one.trials]) for one in CANDIDATES]
    return _write(rows, options.results, as_json=args.json)


def _requested(suite: Suite, baseline: Arm, candidate: Arm) -> Campaign:
    return request.planned(suite, Selection(engines=(ENGINE,), flows=(FLOW,), profile=EXPLAIN), [baseline, candidate])


def _trial_s(suite: Suite, baseline: Arm) -> float:
    return explaining.expected_s(_requested(suite, baseline, baseline), explaining.REPEATS)


def _recorded(results: Path) -> defaultdict[str, list[Explanation]]:
    """The trials of every candidate, oldest first, by its version."""
    found: defaultdict[str, list[Explanation]] = defaultdict(list)
    for _, one in explanations.found(results, TRIALS_FOLDER):
        if isinstance(one, Explanation) and (one.releases[0], one.engine, one.flow) == (RELEASE, ENGINE, FLOW):
            found[one.releases[1]].append(one)
    return found


def _write(rows: Sequence[Row], results: Path, *, as_json: bool) -> int:
    """Write the page, and print it."""
    page = explain_trials_page.render(
        rows, release=RELEASE, scenario=f"{ENGINE} {FLOW}", first=explain_trials.FIRST
    )  # fmt: skip
    write_whole(results / _PAGE, page)
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
    description = "Show how often explanations name what was injected, and how often they name noise."
    return trial_options.parser("explain_trials", description, CANDIDATES, nothing="sample nothing").parse_args(argv)
