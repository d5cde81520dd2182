"""Gate: `nox -s gate -- --baseline 1.18.4 --candidate 1.18.5` compares two releases, and its exit code decides.

0: no judged metric is worse than allowed. 3: nothing was measured. 5: a server does not work. 6: a metric is undecided
or lacks data, or runs are invalid. 7: the runs are not comparable. 8: a regression. The last line of the output says
PASS, FAIL or UNDECIDED.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.campaign import counted_arms, counted_gate, explaining, gate_rule, recorded_noise, request, runner
from scripts.campaign.gate_rule import GateRule
from scripts.campaign.request import Selection
from scripts.campaign.stopping_rule import ROUNDS
from scripts.commands import campaign_options, cli, explain, github_job, output
from scripts.config import matrix_file
from scripts.config.errors import (
    EXIT_OK,
    InvalidMeasurementError,
    RegressionError,
    SuiteError,
    Terminated,
    UsageError,
    ValgrindError,
)
from scripts.config.load_profiles import COUNT, EXPLAIN
from scripts.config.matrix import Suite
from scripts.config.plan import MAX_ROUNDS
from scripts.environments.candidates import Arm
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.inference import gate_decision, gate_defaults, gate_power, stack_changes
from scripts.inference.comparison import ArmComparison
from scripts.inference.gate_decision import Case
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.report import documents
from scripts.report.pages import explanation_page, gate_page, junit
from scripts.report.pages.gate_page import Outcome
from scripts.report.tables import counts_text

_HEADLINE = "cpu_per_request_ms"
BUDGET_S = 300.0  # of each flow, without --rounds and --budget
_EXPLAIN_S, _DRAW_S = 120.0, 5.0  # after the verdict; of it, for page and pictures
_EXIT_CODES = {
    "PASS": EXIT_OK,
    "FAIL": RegressionError.exit_code,
    "UNDECIDED": InvalidMeasurementError.exit_code,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Measured:
    """What a gate knows in the end."""

    title: str
    judged: tuple[tuple[ArmComparison, tuple[Case, ...]], ...]
    notes: tuple[str, ...]  # on the whole
    excluded: tuple[str, ...]
    took_s: float
    failed: SuiteError | None  # why the campaign is not whole
    explanation: str = ""  # why it failed, as Markdown, where that was wanted

    @property
    def cases(self) -> list[Case]:
        """Of all flows."""
        return [case for _, cases in self.judged for case in cases]


def main(argv: list[str]) -> int:
    """Compare the two, write the reports, and decide."""
    args = _arguments(argv)
    terminate_as_exception()
    if not args.dry_run:
        unfinished = "the gate has not ended, or was killed"
        page = gate_page.short(Outcome(word="UNDECIDED", reason=f"{unfinished}."))
        _write_files(args, page, junit.without_verdict("unfinished", unfinished))
    try:
        measured = _measured(args, RealSystem())
    except BaseException as error:  # Ctrl-C, too: every ending has its report
        _without_verdict(args, error)
        raise
    return EXIT_OK if measured is None else _reported(args, measured)


def _measured(args: argparse.Namespace, system: System) -> _Measured | None:
    """Carry the campaign out, after its plan; None for a dry run."""
    limits = gate_decision.thresholds(args.max) or {
        **gate_defaults.limits(), gate_defaults.INSTRUCTIONS: gate_defaults.counted_limit(),
    }  # fmt: skip
    counted_limit = limits.pop(gate_defaults.INSTRUCTIONS, None)
    suite = matrix_file.load()
    arms = [request.resolved(suite, target, system) for target in (args.baseline, args.candidate)]
    _require_two(arms, args.baseline)
    requested = request.planned(suite, campaign_options.selection(args), arms)
    rule = gate_rule.of_limits(
        limits,
        rounds=args.rounds or ROUNDS,
        budget_s=None if args.rounds else args.budget or BUDGET_S * len(requested.scenarios),
    )
    counting = request.planned(suite, replace(campaign_options.selection(args), profile=COUNT), arms)
    options = campaign_options.options(args)
    plan, expected_s = [], 0.0
    if counted_limit is not None:
        expected_s = counted_arms.expected_s(counting, 1)
        plan = [counts_text.plan(expected_s, counted_gate.MOST_PROCESSES)]
    if limits:
        expected_s += request.expected_s(requested, rule)
        plan += [request.describe(requested, rule), _prospects(options.results, requested, rule)]
    if args.explain:
        plan.append(f"explanation, if it fails: at most {_EXPLAIN_S / 60:.0f} minutes more")
    if args.dry_run:
        output.show_plan("\n".join(plan), expected_s, as_json=args.json)
        return None
    cli.say("\n".join(plan))
    counts, notes = _counted(suite, counting, counted_limit, options, system)
    result = runner.measure(requested, rule, options, system, _watched(limits)) if limits else None
    timed = [(one, tuple(rule.decide(requested, one))) for one in result.judged] if result else []
    measured = _Measured(
        title=request.title(requested),
        judged=(*counts, *timed),
        notes=(*notes, *gate_decision.disagreements([case for _, cases in (*counts, *timed) for case in cases])),
        excluded=tuple(
            f"{one.engine} {one.flow}: {reason}" for one in (result.paired if result else ()) for reason in one.excluded
        ),
        took_s=result.took_s if result else 0.0,
        failed=_why_not_whole(requested, result) if result else None,
    )
    if not args.explain or gate_page.outcome(measured.cases).word != "FAIL":
        return measured
    wanted = replace(campaign_options.selection(args), profile=EXPLAIN)
    return _explained(measured, suite, wanted, arms, options, system)


def _explained(
    measured: _Measured, suite: Suite, wanted: Selection, arms: Sequence[Arm], options: session.Options, system: System
) -> _Measured:
    """The same with why it failed, or why that cannot be told, which changes no verdict."""
    failed = next(one for one, cases in measured.judged if any(case.decision == "regression" for case in cases))
    cli.say(f"explaining {failed.heading}: at most {_EXPLAIN_S / 60:.0f} minutes")
    try:
        requested = request.planned(suite, wanted, arms)
        return replace(measured, explanation=_explanation(suite, requested, failed, options, system))
    except (SuiteError, KeyboardInterrupt, Terminated) as error:  # the verdict is in, and Ctrl-C takes it back no more
        why = str(error) if isinstance(error, SuiteError) else _signalled(error)
        return replace(measured, notes=(*measured.notes, f"not explained: {why}"))


def _explanation(
    suite: Suite, requested: Campaign, failed: ArmComparison, options: session.Options, system: System
) -> str:
    """Why a scenario failed, as sampled stacks show; of several the first, because there is no time for more."""
    of_failed = failed.paired.engine, failed.paired.flow
    scenarios = tuple(one for one in requested.scenarios if (one.engine.name, one.flow.name) == of_failed)
    found = explaining.measure(
        suite, replace(requested, scenarios=scenarios), replace(options, quiet=None), system,
        Progress(system.monotonic), budget_s=_EXPLAIN_S - _DRAW_S,
    )  # fmt: skip
    counted = explain.written(options.results)
    return "\n\n".join(explanation_page.text(one, stack_changes.changes(one), counted) for one in found)


def _watched(limits: Mapping[str, float]) -> str:
    """The metric of the head line: CPU time, unless others are judged."""
    return _HEADLINE if _HEADLINE in limits else next(iter(limits))


def _counted(
    suite: Suite, requested: Campaign, allowed: float | None, options: session.Options, system: System
) -> tuple[list[counted_gate.Judged], list[str]]:
    """The counted cases; without valgrind none, and what that costs."""
    if allowed is None:
        return [], []
    try:
        return counted_gate.judge(suite, requested, allowed, options, system), []
    except ValgrindError as error:
        note = counts_text.without_counts(error.message, error.then)
        cli.say(note)
        return [], [note]


def _why_not_whole(requested: Campaign, result: runner.CampaignResult) -> SuiteError | None:
    try:
        runner.require_whole(requested, result)
    except SuiteError as error:
        return error
    return None


def _prospects(results: Path, requested: Campaign, rule: GateRule) -> str:
    """What the planned rounds can decide, scenario by scenario."""
    rounds = rule.rounds if rule.budget_s is None else rule.last_round(requested, 0)
    error, here = rule.error(requested, rounds, final=True), machine.describe()
    all_s = requested.round_s * len(requested.scenarios)
    parts = []
    for scenario in requested.scenarios:
        noise = recorded_noise.of_scenario(results, requested, scenario, rule.limits, here)
        parts.append(
            gate_page.plan(scenario.name, rounds, all_s, gate_power.prospects(rule.limits, noise, rounds, error))
        )
    return "\n\n".join(parts)


def _require_two(arms: Sequence[Arm], baseline: str) -> None:
    """UsageError when both are one and the same, which would pass whatever it is."""
    if len({arm.release.version for arm in arms}) == 1:
        raise UsageError(
            f"baseline and candidate are both {arms[0].about}, so every difference is noise, and no pass",
            then=f"to see that noise: nox -s compare -- {shlex.quote(baseline)} --aa",
        )


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("gate", "Compare a candidate with a baseline; the exit code says whether it may pass.")
    parser.add_argument(
        "--baseline", required=True, metavar="RELEASE|PATH|git+URL", help="what the candidate is compared with"
    )
    parser.add_argument(
        "--candidate",
        required=True,
        metavar="RELEASE|PATH|git+URL",
        help="the release or candidate to judge; see docs/candidates.md",
    )
    parser.add_argument(
        "--max", action="append", default=[], metavar="METRIC=+N%",
        help="judge this metric, and let it pass when it is worse by at most N %% (of failure_ratio: by N %% of all "
        "requests); repeatable (default: the metrics and thresholds of docs/comparing.md)",
    )  # fmt: skip
    parser.add_argument(
        "--explain", action="store_true",
        help=f"when it fails, also sample both under load, and say why; at most {_EXPLAIN_S / 60:.0f} minutes more",
    )  # fmt: skip
    for option, form in (("--junit", "JUnit XML"), ("--page", "the report as Markdown")):
        parser.add_argument(option, type=Path, metavar="FILE", help=f"also write {form}, however the gate ends")
    campaign_options.add_options(parser, f"a budget of {BUDGET_S / 60:.0f}m for each flow", at_once=True)
    args = parser.parse_args(argv)
    for option, file in (("--junit", args.junit), ("--page", args.page)):
        if file is not None and not file.parent.is_dir():
            parser.error(f"{option} {file}: there is no such directory")
        if file is not None and file.is_dir():
            parser.error(f"{option} {file}: this is a directory; name a file")
    return args


def _reported(args: argparse.Namespace, measured: _Measured) -> int:
    """Write the reports; the exit code. An unfinished campaign is no verdict, whatever its rounds say."""
    end = gate_page.outcome(measured.cases)
    xml = junit.render(measured.cases, measured.took_s)
    if measured.failed is not None:
        end = _undecided(measured.failed)
        xml = junit.without_verdict(type(measured.failed).__name__, str(measured.failed))
    then = measured.failed.then if measured.failed is not None else next_step(end, measured.cases)
    page = gate_page.render(
        end, measured.judged, title=measured.title, then=then, notes=measured.notes, excluded=measured.excluded
    )
    page = "\n\n".join(filter(None, [page, measured.explanation]))
    _write_files(args, f"{page}\n", xml)
    _tell_job(end, f"{page}\n")
    document = documents.gated(
        end, title=measured.title, judged=measured.judged, then=then, notes=measured.notes, excluded=measured.excluded,
        explanation=measured.explanation,
    )  # fmt: skip
    output.show(page, document, as_json=args.json)
    if measured.failed is not None:
        raise measured.failed
    return _EXIT_CODES[end.word]


def next_step(end: Outcome, cases: Sequence[Case]) -> str:
    """What to type after this verdict; empty for a pass."""
    if end.word == "PASS":
        return ""
    if end.word == "FAIL":
        return "nox -s attribute -- --help (separates promptflow's effect from its dependencies')"
    if not any(case.decision == "undecided" for case in cases):
        return "repeat this command with --keep-logs, then read the logs"
    needed = max((case.rounds_needed or 0 for case in cases), default=0)
    if needed > MAX_ROUNDS:
        return f"repeat this command with a larger --max: no {MAX_ROUNDS} rounds decide what is undecided"
    if needed:
        return f"repeat this command, without --budget and with --rounds {needed}: it goes on where it ended"
    return "repeat this command: it goes on where it ended"


def _without_verdict(args: argparse.Namespace, error: BaseException) -> None:
    """The reports of a gate that an error or a signal has ended."""
    if args.dry_run or isinstance(error, BrokenPipeError):
        return
    end = _undecided(error)
    page = gate_page.short(end)
    _write_files(args, page, junit.without_verdict(type(error).__name__, str(error) or end.reason))
    _tell_job(end, page)
    then = error.then if isinstance(error, SuiteError) else ""
    output.show("", documents.gated(end, then=then), as_json=args.json)


def _undecided(error: BaseException) -> Outcome:
    """No verdict, with the first line of why."""
    reason = _signalled(error) or next(iter(str(error).splitlines()), "") or type(error).__name__
    return Outcome(word="UNDECIDED", reason=f"{reason.rstrip('.:')}.")


def _signalled(error: BaseException) -> str:
    """How a signal ended it; empty: none did."""
    return {KeyboardInterrupt: "interrupted", Terminated: "terminated"}.get(type(error), "")


def _write_files(args: argparse.Namespace, page: str, xml: bytes) -> None:
    """The reports that were asked for."""
    if args.junit is not None:
        args.junit.write_bytes(xml)
    if args.page is not None:
        args.page.write_text(page, encoding="utf-8")


def _tell_job(end: Outcome, page: str) -> None:
    """The summary of a GitHub job, and the output `verdict` of its step."""
    github_job.add_summary(page)
    github_job.set_output("verdict", end.word)
