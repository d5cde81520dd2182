"""Gate trials: `nox -s gate-trials` shows what a gate catches, misses and calls wrongly, on candidates that are known.

Hours of a quiet machine; resumable: a trial that is recorded is judged again, not measured again. Writes
results/gate-trials.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scripts.campaign import counted_gate, gate_rule, request, runner
from scripts.campaign.request import Selection
from scripts.commands import campaign_options, cli, output
from scripts.commands.gate import BUDGET_S
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, NothingMeasuredError
from scripts.config.load_profiles import COUNT, DUET
from scripts.config.matrix import Suite
from scripts.environments.candidates import Arm
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.inference import gate_defaults
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure import session
from scripts.report import documents
from scripts.report.pages import comparison_page, gate_trials_page
from scripts.report.pages.gate_trials_page import Row
from scripts.report.tables import gate_text
from scripts.selftest import gate_simulation, gate_trials, slowdowns
from scripts.selftest.gate_trials import CANDIDATES, Candidate, Trial

RELEASE, ENGINE, FLOW = "1.18.5", "fastapi", "static_async"
_SMALLEST = math.log1p(0.0025)  # allowed of trials on counts alone: half of the smallest change that is injected


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bench:
    """What all trials share."""

    suite: Suite
    baseline: Arm
    arms: dict[str, Arm]  # by name of the candidate
    options: session.Options
    system: System


def main(argv: list[str]) -> int:
    """Make the trials that are missing, as long as there is time, and write the page."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    baseline = request.resolved(suite, RELEASE, system)
    chosen = [one for one in CANDIDATES if not args.only or one.name in args.only]
    if args.dry_run:
        output.show_plan(_describe(chosen), _most_s(chosen), as_json=args.json)
        return EXIT_OK
    cli.say(_describe(chosen))
    bench = _Bench(
        suite=suite, baseline=baseline, arms=_built(suite, baseline, chosen, system),
        options=campaign_options.options(args), system=system,
    )  # fmt: skip
    ends = math.inf if args.budget is None else system.monotonic() + args.budget
    trials: list[Trial] = []
    measured: list[PairedRounds] = []
    for number, candidate in _order(chosen):
        if system.monotonic() > ends:
            break
        cli.say(f"trial {number + 1} of {candidate.trials}: {candidate.name}")
        trial, rounds = _trial(bench, candidate, number)
        cli.say(f"{candidate.name}: {trial.result}, {trial.minutes:.1f} minutes")
        trials.append(trial)
        measured += rounds
    return _write(args, chosen, trials, measured)


def _order(chosen: list[Candidate]) -> Iterator[tuple[int, Candidate]]:
    """The first trial of each, then the second of each, and so on: every stop leaves something of all."""
    for number in range(max(one.trials for one in chosen)):
        yield from ((number, one) for one in chosen if number < one.trials)


def _trial(bench: _Bench, candidate: Candidate, number: int) -> tuple[Trial, list[PairedRounds]]:
    """Make one, or judge it again from its records."""
    arms = [bench.baseline, bench.arms[candidate.name]]
    wanted = Selection(engines=(ENGINE,), flows=(FLOW,), profile=COUNT)
    counting = request.planned(bench.suite, wanted, arms)
    allowed = _SMALLEST if candidate.counts_only else gate_defaults.counted_limit()
    counts = counted_gate.judge(bench.suite, counting, allowed, bench.options, bench.system, trial=number)
    cases = [case for _, found in counts for case in found]
    timed: list[PairedRounds] = []
    round_s = 0.0
    if not candidate.counts_only:
        requested = replace(request.planned(bench.suite, replace(wanted, profile=DUET), arms), again=number)
        round_s = requested.round_s
        rule = gate_rule.of_limits(gate_defaults.limits(), budget_s=BUDGET_S, afresh=False)
        result = runner.measure(requested, rule, bench.options, bench.system)
        runner.require_whole(requested, result)
        cases += [case for one in result.judged for case in rule.decide(requested, one)]
        timed = list(result.paired)
    counted = [one.paired for one, _ in counts]
    minutes = gate_trials.minutes(counted, timed, machine.cores(), round_s)
    return Trial(candidate=candidate, cases=tuple(cases), minutes=minutes), timed or counted


def _built(suite: Suite, baseline: Arm, chosen: list[Candidate], system: System) -> dict[str, Arm]:
    """By name, a candidate like any other: a directory of wheels, made of the release's virtualenv."""
    with Progress(system.monotonic) as progress:
        prepared = session.install(RELEASE, baseline.lock, suite.python, system, progress)
    into = session.SCRATCH / "gate-trials"
    return {
        one.name: request.resolved(
            suite, str(slowdowns.build(one.slowdown, prepared.environment.site_packages, into)), system
        )
        for one in chosen
    }


def _write(args: argparse.Namespace, chosen: list[Candidate], trials: list[Trial], measured: list[PairedRounds]) -> int:
    """Write the page, and print it."""
    if not measured:
        raise NothingMeasuredError("no trial was made", then="repeat this command with more time: --budget 1h")
    rows = [_row(one, [trial for trial in trials if trial.candidate == one]) for one in chosen]
    page = gate_trials_page.render(
        rows,
        release=RELEASE,
        scenario=f"{ENGINE} {FLOW}",
        about=comparison_page.about(measured[-1]),
        simulated=gate_simulation.tables(),
    )
    (args.results / "gate-trials.md").write_bytes(page)
    answer = gate_trials_page.answer(rows)
    document = documents.document("gate-trials", answer, candidates=[dataclasses.asdict(row) for row in rows])
    output.show(page.decode(), document, as_json=args.json)
    return EXIT_OK


def _row(candidate: Candidate, trials: list[Trial]) -> Row:
    shown = [
        case
        for trial in trials
        for case in trial.cases
        if case.metric.name in candidate.metrics[:1] and case.change is not None
    ]
    return Row(
        name=candidate.name,
        what=candidate.what,
        judged_by="counts" if candidate.counts_only else "gate",
        wanted=candidate.trials,
        results=tuple(trial.result for trial in trials),
        others=tuple(other for trial in trials for other in trial.others),
        changes=tuple(gate_text.change(case) for case in sorted(shown, key=lambda case: case.change or 0.0)),
        minutes=tuple(trial.minutes for trial in trials),
    )


def _describe(chosen: list[Candidate]) -> str:
    lines = [f"{one.trials} trials: {one.name}, {one.what}" for one in chosen]
    hours = _most_s(chosen) / 3600
    return "\n".join([*lines, f"about {hours:.1f} hours at most; --budget stops earlier, and a repetition goes on"])


def _most_s(chosen: list[Candidate]) -> float:
    counts = sum(one.trials for one in chosen if one.counts_only)
    gates = sum(one.trials for one in chosen) - counts
    return gates * (BUDGET_S + 90) + counts * 90


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "gate_trials", "Show what a gate catches, misses and calls wrongly, on candidates that are known."
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=[one.name for one in CANDIDATES], metavar="NAME",
        help="only trials of this candidate; repeatable (default: all); --dry-run lists them",
    )  # fmt: skip
    parser.add_argument("--budget", type=cli.duration_s, metavar="TIME", help="begin no trial after this time, e.g. 1h")
    parser.add_argument("--dry-run", action="store_true", help="print the trials and their time, and measure nothing")
    cli.add_output_options(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)
