"""Gate trials: `nox -s gate-trials` shows what a gate catches, misses and calls wrongly, on candidates that are known.

Hours of a quiet machine; resumable: a trial that is recorded is judged again, not measured again. Writes
results/gate-trials.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.campaign import counted_gate, gate_rule, request, runner
from scripts.campaign.counted_gate import Judged
from scripts.campaign.request import Selection
from scripts.commands import campaign_options, cli, output, trial_options
from scripts.commands.gate import BUDGET_S
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, InvalidMeasurementError, NothingMeasuredError
from scripts.config.load_profiles import COUNT, DUET
from scripts.config.matrix import Suite
from scripts.config.whole_files import write_whole
from scripts.environments.candidates import Arm
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.inference import comparison, gate_defaults, gate_power
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.records import archives
from scripts.records.storage import RecordError
from scripts.report import documents
from scripts.report.pages import comparison_page, gate_trials_page
from scripts.report.pages.gate_trials_page import Row, Size
from scripts.selftest import gate_resampling, gate_simulation, gate_trials, recorded_gates
from scripts.selftest.gate_trials import CANDIDATES, Candidate, Trial
from scripts.selftest.known_candidates import in_order

RELEASE, ENGINE, FLOW = "1.18.5", "fastapi", "static_async"
_TIMED = {"profile": DUET, "engine": ENGINE, "flow": FLOW}
_FOLDER = "gate-trials"  # of a results directory, and of the scratch directory
_RULE = gate_rule.of_limits(gate_defaults.limits(), budget_s=BUDGET_S, afresh=False)
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
    if not args.from_records:
        cli.say(_describe(chosen))
    bench = _Bench(
        suite=suite, baseline=baseline, arms=trial_options.built(suite, baseline, CANDIDATES, _FOLDER, system),
        options=campaign_options.options(args), system=system,
    )  # fmt: skip
    made = list(_trials(bench, [] if args.from_records else chosen, args.budget))
    return _write(bench, made, as_json=args.json)


def _trials(
    bench: _Bench, chosen: Sequence[Candidate], budget_s: float | None
) -> Iterator[tuple[Trial, list[PairedRounds]]]:
    """Judge the trials that are recorded; before that, make those of the chosen candidates as long as there is time."""
    ends = math.inf if budget_s is None else bench.system.monotonic() + budget_s
    for number, candidate in in_order(CANDIDATES):
        made = candidate in chosen and bench.system.monotonic() <= ends
        if made:
            cli.say(f"trial {number + 1} of {candidate.trials}: {candidate.name}")
            _make(bench, candidate, number)
        found = _recorded(bench, candidate, number)
        if found is None:
            continue
        if made:
            cli.say(f"{candidate.name}: {found[0].result}, {found[0].minutes:.1f} minutes")
        yield found


def _make(bench: _Bench, candidate: Candidate, number: int) -> None:
    """Count and time, unless it is recorded. The runs are in a scratch directory until all of a trial are made."""
    archive = _archive(bench, candidate, number)
    if archive.exists():
        return
    counting, duet = _requested(bench, candidate, number)
    results = session.SCRATCH / _FOLDER / archive.name.removesuffix(archives.SUFFIX)
    options = replace(bench.options, results=results)
    counted_gate.judge(
        bench.suite, counting, _allowed(candidate), options, bench.system, noise_of=bench.options.results
    )  # fmt: skip
    if not candidate.counts_only:
        runner.require_whole(duet, runner.measure(duet, _RULE, options, bench.system))
    write_whole(archive, archives.packed(results))
    shutil.rmtree(results)


def _recorded(bench: _Bench, candidate: Candidate, number: int) -> tuple[Trial, list[PairedRounds]] | None:
    """A trial, judged by its records, and its rounds, or counts where it has none; None where it is not recorded."""
    found = _records(bench, candidate, number)
    if found is None:
        return None
    counts, timed = found
    counted = [one.paired for one, _ in counts]
    _, duet = _requested(bench, candidate, number)
    until = [_RULE.until_decided(duet, one) for one in timed]  # thresholds may be others than when it was made
    judged = comparison.judge(until, {}, minimum_effect=_RULE.minimum_effect)
    trial = Trial(
        candidate=candidate,
        cases=(
            *(case for _, cases in counts for case in cases),
            *(case for one in judged for case in _RULE.decide(duet, one)),
        ),
        minutes=gate_trials.minutes(counted, until, machine.cores(), duet.round_s),
        injected=gate_trials.injected(candidate.slowdown, timed),
    )
    return trial, timed or counted


def _records(bench: _Bench, candidate: Candidate, number: int) -> tuple[list[Judged], list[PairedRounds]] | None:
    """The counts and the rounds of a trial; None where it is not made yet."""
    archive = _archive(bench, candidate, number)
    if not archive.exists():
        return None
    counting, _ = _requested(bench, candidate, number)
    wheels = bench.arms[candidate.name].release.version
    try:
        with archives.unpacked(archive) as results:
            here = recorded_gates.machine(results)
            counts = counted_gate.recorded(counting, _allowed(candidate), results, bench.options.results, here)
            timed = recorded_gates.between(recorded_gates.campaigns(results, **_TIMED), RELEASE, wheels)
    except (RecordError, InvalidMeasurementError) as error:
        raise _unreadable(archive, str(error).splitlines()[0]) from error
    if not timed and not candidate.counts_only:
        raise _unreadable(archive, f"no round of {wheels} against {RELEASE}")
    return counts, timed


def _unreadable(archive: Path, why: str) -> InvalidMeasurementError:
    return InvalidMeasurementError(
        f"{archive}: {why}", then=f"git checkout -- {archive}, or delete it: then the trial is made again"
    )


def _archive(bench: _Bench, candidate: Candidate, number: int) -> Path:
    """Where the runs of a trial lie. Its name has the candidate's wheels, because a change of them is another one."""
    wheels = bench.arms[candidate.name].release.version
    return bench.options.results / _FOLDER / f"{candidate.name}-{wheels}-{number + 1:02}{archives.SUFFIX}"


def _requested(bench: _Bench, candidate: Candidate, number: int) -> tuple[Campaign, Campaign]:
    """What a trial counts, and what it times."""
    arms = [bench.baseline, bench.arms[candidate.name]]
    wanted = Selection(engines=(ENGINE,), flows=(FLOW,), profile=COUNT)
    duet = request.planned(bench.suite, replace(wanted, profile=DUET), arms)
    return request.planned(bench.suite, wanted, arms), replace(duet, again=number)


def _allowed(candidate: Candidate) -> float:
    return _SMALLEST if candidate.counts_only else gate_defaults.counted_limit()


def _write(bench: _Bench, made: list[tuple[Trial, list[PairedRounds]]], *, as_json: bool) -> int:
    """Write the page of all candidates, and print it."""
    measured = [one for _, rounds in made for one in rounds]
    if not measured:
        raise NothingMeasuredError("no trial was made", then="nox -s gate-trials -- --budget 1h")
    unchanged = recorded_gates.as_the_newest(_unchanged(bench, made))
    rows = [_row(one, [trial for trial, _ in made if trial.candidate == one]) for one in CANDIDATES]
    timed = [one for trial, rounds in made if not trial.candidate.counts_only for one in rounds]
    page = gate_trials_page.render(
        rows,
        release=RELEASE,
        scenario=f"{ENGINE} {FLOW}",
        about=comparison_page.about(measured[-1]),
        noise=gate_power.measured(timed, gate_defaults.limits()),
        resampled=gate_resampling.part(gate_resampling.recorded(unchanged)),
        simulated=gate_simulation.tables(),
    )
    write_whole(bench.options.results / "gate-trials.md", page)
    answer = gate_trials_page.answer(rows)
    document = documents.document("gate-trials", answer, candidates=[dataclasses.asdict(row) for row in rows])
    output.show(page.decode(), document, as_json=as_json)
    return EXIT_OK


def _unchanged(bench: _Bench, made: list[tuple[Trial, list[PairedRounds]]]) -> list[PairedRounds]:
    """All campaigns whose arms differ by noise alone, oldest first: A/A, and trials of the unchanged candidate."""
    found = recorded_gates.campaigns(bench.options.results, **_TIMED)
    timed = [one for trial, rounds in made if trial.candidate.slowdown is None for one in rounds]
    return sorted([*recorded_gates.between(found, RELEASE, RELEASE), *timed], key=recorded_gates.began)


def _row(candidate: Candidate, trials: list[Trial]) -> Row:
    return Row(
        name=candidate.name,
        what=candidate.what,
        judged_by="counts" if candidate.counts_only else "gate",
        wanted=candidate.trials,
        results=tuple(trial.result for trial in trials),
        others=tuple(other for trial in trials for other in trial.others),
        sizes=tuple(
            Size(injected=trial.injected, baseline=case.baseline, change=case.change, unit=case.metric.unit)
            for trial in trials
            if (case := trial.shown) and trial.injected is not None and case.baseline and case.change is not None
        ),
        minutes=tuple(trial.minutes for trial in trials),
    )


def _describe(chosen: list[Candidate]) -> str:
    return trial_options.described(chosen, f"{_most_s(chosen) / 3600:.1f} hours at most")


def _most_s(chosen: list[Candidate]) -> float:
    counts = sum(one.trials for one in chosen if one.counts_only)
    gates = sum(one.trials for one in chosen) - counts
    return gates * (BUDGET_S + 90) + counts * 90


def _arguments(argv: list[str]) -> argparse.Namespace:
    description = "Show what a gate catches, misses and calls wrongly, on candidates that are known."
    parser = trial_options.parser("gate_trials", description, CANDIDATES, nothing="measure nothing")
    parser.add_argument(
        "--from-records", action="store_true", help="measure nothing; judge all recorded trials again"
    )  # fmt: skip
    return parser.parse_args(argv)
