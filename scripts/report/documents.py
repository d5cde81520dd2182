"""What verbs print, as data: the figures of the page under one schema, for `--json`.

A document is a dict of JSON types. A change is a ratio less 1, and a figure has its metric's unit, which
`nox -s list -- metrics --json` names. What is not known is null. A new meaning of a key is a new SCHEMA.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from scripts.analysis.metrics import Metric
from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity
from scripts.inference import lock_diff, trends
from scripts.inference.bisection import Bisection
from scripts.inference.capacity_runs import THROUGHPUT, CapacitySearch
from scripts.inference.comparison import ArmComparison, Effect, Floors
from scripts.inference.gate_decision import Case
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.inference.soaks import Soak
from scripts.inference.stack_changes import StackChange, StackChanges
from scripts.inference.trends import Trend
from scripts.records import storage
from scripts.records.explanations import Explanation
from scripts.report.pages import attribution, bisection_page
from scripts.report.pages.attribution import CountedChange, CountedShare
from scripts.report.pages.gate_page import Outcome
from scripts.report.pages.self_test_page import InjectedSlowdown

SCHEMA = 1

Document = dict[str, object]


def document(kind: str, answer: str, **data: object) -> Document:
    """A whole document; `answer`: the last line of the page."""
    return {"schema": SCHEMA, "kind": kind, "answer": answer, **data}


def planned(lines: str, expected_s: float) -> Document:
    """What would be measured, as people read it, and about how long it takes."""
    return document("plan", "", lines=lines.splitlines(), expected_s=expected_s)


def runs(answer: str, found: Iterable[Run]) -> Document:
    """The runs of a session."""
    return document("runs", answer, runs=[_run(one) for one in found])


def campaign(answer: str, items: Sequence[Document]) -> Document:
    """The items of everything that was missing, and how each ended."""
    return document("campaign", answer, items=list(items))


def compared(answer: str, title: str, found: Sequence[PairedRounds], judged: Sequence[ArmComparison]) -> Document:
    """What interleaved rounds say of arms."""
    return document("comparison", answer, title=title, **_comparisons(found, judged))


def attributed(
    answer: str, title: str, found: Sequence[PairedRounds], judged: Sequence[ArmComparison], floors: Floors,
    counted: Sequence[tuple[PairedRounds, CountedChange]] = (),
) -> Document:  # fmt: skip
    """The same, and the shares of dependencies and promptflow where there are three arms; also of counted work."""
    shares = [
        {"engine": one.engine, "flow": one.flow, "metrics": [_shares(row) for row in attribution.shares(one, floors)]}
        for one in attribution.divided(found)
    ]
    counts = [
        {
            "engine": one.engine,
            "flow": one.flow,
            "shares": [_counted_share(share) for share in attribution.counted_shares(one, change)],
        }
        for one, change in counted
    ]
    return document("attribution", answer, title=title, **_comparisons(found, judged), shares=shares, counts=counts)


def gated(
    end: Outcome, *, title: str = "", judged: Sequence[tuple[ArmComparison, Sequence[Case]]] = (), then: str = "",
    notes: Sequence[str] = (), excluded: Sequence[str] = (), explanation: str = "",
) -> Document:  # fmt: skip
    """A gate's verdict, with what it was made from; also of one that has none. `explanation`: Markdown."""
    return document(
        "gate",
        end.line,
        verdict=end.word,
        reason=end.reason,
        next=then,
        title=title,
        comparisons=[
            {
                **_setting(one),
                "by": "time" if one.effects else "counts",
                "metrics": [_case(case) for case in cases],
                "packages": _packages(one),
            }
            for one, cases in judged
        ],
        notes=list(notes),
        excluded=list(excluded),
        explanation=explanation or None,
    )


def bisected(answer: str, found: Bisection, last: PairedRounds) -> Document:
    """A search; `last`: the rounds of its last stage. Its `change` is null where no neighbours changed."""
    change = found.change_point
    return document(
        "bisection",
        answer,
        metric=found.metric.name,
        engine=last.engine,
        flow=last.flow,
        result=bisection_page.result(found),
        change=change and _step(*change),
        untested=list(found.untested),
        skipped=list(found.skipped),
        threshold=_ratio(found.last.threshold),
        stages=[
            {
                "releases": list(stage.releases),
                "rounds": stage.model.rounds,
                "changes": [_interval(one) for one in stage.changes],
            }
            for stage in found.stages
        ],
        others=[_step(*other) for other in found.others],
    )


def capacity(answer: str, settings: Capacity, searches: Sequence[CapacitySearch]) -> Document:
    """The highest loads that meet an objective, and every run behind them."""
    return document(
        "capacity",
        answer,
        objective={
            "overhead_p99_max_ms": settings.overhead_p99_max_ms,
            "failure_ratio_max": settings.failure_ratio_max,
        },
        searches=[_search(one) for one in searches],
    )


def soaked(answer: str, found: Sequence[Soak]) -> Document:
    """What becomes of memory (bytes for each request) and overhead (ms for each hour) in long loads."""
    return document("soak", answer, soaks=[_soak(one) for one in found])


def explained(answer: str, found: Sequence[Explanation], changes: Sequence[StackChanges]) -> Document:
    """What sampled stacks say of each scenario; CPU times are ms of a request, shares are of all samples."""
    return document(
        "explanation",
        answer,
        explanations=[
            {
                "id": one.id,
                "engine": one.engine,
                "flow": one.flow,
                "baseline": one.releases[0],
                "candidate": one.releases[1],
                "repeats": len(one.repeats),
                "samples": list(of_one.samples),
                "no_claim": of_one.no_claim or None,
                "changes": [_stack_change(change) for change in (of_one.whole, *of_one.changes)],
            }
            for one, of_one in zip(found, changes, strict=True)
        ],
    )


def self_tested(answer: str, slowed: Sequence[InjectedSlowdown], aa: Sequence[ArmComparison]) -> Document:
    """What comparisons caught of known slowdowns, and what they called changed in A/A comparisons."""
    return document(
        "self-test",
        answer,
        slowdowns=[
            {"name": one.name, "metric": one.metric, "caught": one.is_caught, **_comparison(one.judged)}
            for one in slowed
        ],
        aa=[_comparison(one) for one in aa],
    )


def _comparisons(found: Sequence[PairedRounds], judged: Sequence[ArmComparison]) -> dict[str, object]:
    return {
        "comparisons": [_comparison(one) for one in judged],
        "excluded": [f"{one.engine} {one.flow}: {reason}" for one in found for reason in one.excluded],
    }


def _comparison(one: ArmComparison) -> dict[str, object]:
    return {**_setting(one), "metrics": [_effect(effect) for effect in one.effects], "packages": _packages(one)}


def _setting(one: ArmComparison) -> dict[str, object]:
    record = one.paired.rounds[0].runs[BASELINE].record
    return {
        "engine": one.paired.engine,
        "flow": one.paired.flow,
        "profile": record.requested.profile.name,
        "python": record.python,
        "candidate_python": one.paired.pythons[one.arm],
        "baseline": one.paired.label(BASELINE),
        "candidate": one.paired.label(one.arm),
        "campaign": one.paired.campaign,
        "rounds": len(one.paired.rounds),
    }


def _stack_change(one: StackChange) -> dict[str, object]:
    return {
        "kind": one.kind,
        "name": one.name,
        "baseline_ms": one.before_ms,
        "candidate_ms": one.after_ms,
        "baseline_share": one.before_share,
        "candidate_share": one.after_share,
        "difference_ms": one.difference_ms,
        "low_ms": one.low_ms,
        "high_ms": one.high_ms,
        "named": one.is_named,
    }


def _packages(one: ArmComparison) -> list[dict[str, object]]:
    baseline, candidate = (one.paired.rounds[0].runs[arm].record for arm in (BASELINE, one.arm))
    return [
        {"name": moved.name, "before": moved.before, "after": moved.after}
        for moved in lock_diff.between(baseline, candidate)
    ]


def _metric(metric: Metric) -> dict[str, object]:
    return {"metric": metric.name, "unit": metric.unit, "better": metric.better}


def _effect(effect: Effect) -> dict[str, object]:
    return {
        **_metric(effect.metric),
        "baseline": effect.baseline,
        "candidate": effect.candidate,
        **_interval(effect.interval),
        "threshold": _ratio(effect.threshold),
        "noise_floor": _ratio(effect.floor),
        "verdict": effect.verdict,
        "rounds_needed": effect.rounds_needed,
    }


def _case(case: Case) -> dict[str, object]:
    """Worse end, allowed and visible have the sign of the change that would be worse, as the change itself has."""
    return {
        **_metric(case.metric),
        "baseline": case.baseline,
        "candidate": case.candidate,
        "change": case.change if case.is_share else _ratio(case.change),
        **{name: _worse(case, value) for name, value in _ends(case).items()},
        "level": 1 - case.error,
        "decision": case.decision,
        "rounds": case.rounds,
        "rounds_needed": case.rounds_needed,
    }


def _ends(case: Case) -> Mapping[str, float | None]:
    return {"worse_end": case.worse_end, "allowed": case.allowed, "visible": case.visible}


def _worse(case: Case, value: float | None) -> float | None:
    return value if value is None or case.is_share else _ratio(case.metric.worse(value))


def _shares(row: Sequence[Effect]) -> dict[str, object]:
    names = ("dependencies", "promptflow", "together")
    return {"metric": row[0].metric.name} | {
        name: _interval(effect.interval) for name, effect in zip(names, row, strict=True)
    }


def _counted_share(one: CountedShare) -> dict[str, object]:
    names, counts = ("baseline", "candidate"), ("baseline_instructions", "candidate_instructions")
    return {
        "of": one.share,
        **dict(zip(names, one.arms, strict=True)),
        **dict(zip(counts, one.counts, strict=True)),
        **_interval(one.change),
    }


def _step(first: str, second: str, change: Interval) -> dict[str, object]:
    return {"from": first, "to": second, **_interval(change)}


def _interval(one: Interval | None) -> dict[str, object]:
    names = ("change", "low", "high")
    if one is None:
        return dict.fromkeys((*names, "level"))
    return {**dict(zip(names, one.ratios, strict=True)), "level": one.level}


def _ratio(log_ratio: float | None) -> float | None:
    return None if log_ratio is None else math.expm1(log_ratio)


def _run(run: Run) -> dict[str, object]:
    record = run.record
    requested = record.requested
    return {
        "run": record.run_id,
        "release": requested.release,
        "engine": requested.engine,
        "flow": requested.flow,
        "profile": requested.profile.name,
        "python": record.python,
        "round": requested.round,
        "started_at": record.started_at,
        "outcome": run.outcome,
        "reasons": list(run.reasons),
        "distrusted": list(run.distrusted),
        "bound": run.bound,
        "record": storage.run_path(record).as_posix(),
        "metrics": {name: value for name, value in run.values.items() if value is not None},
    }


def _search(one: CapacitySearch) -> dict[str, object]:
    requested, found, throughput = one.requested, one.found, one.spread(THROUGHPUT)
    return {
        "release": requested.release,
        "engine": requested.engine,
        "flow": requested.flow,
        "users": one.users,
        "throughput_rps": throughput and throughput.median,
        "is_ceiling": found.is_ceiling if found else None,
        "limit": {"users": found.limit.users, "verdict": found.limit.verdict} if found and found.limit else None,
        "runs": [
            {
                "phase": tried.trial.phase,
                "users": tried.trial.users,
                "verdict": tried.judgement.verdict,
                "why": list(tried.judgement.reasons),
                "confirms": tried.run in one.confirming,
                **_run(tried.run),
            }
            for tried in one.tried
        ],
    }


def _soak(one: Soak) -> dict[str, object]:
    profile = one.run.record.requested.profile
    return {
        "users": profile.users,
        "minutes": profile.run_time_s / 60,
        "growth": one.growth,
        "memory": _trend(one.memory),
        "memory_second_half": _trend(one.memory_later),
        "drift": one.drift,
        "overhead_p50": _trend(one.overhead, 3600),
        **_run(one.run),
    }


def _trend(one: Trend | None, scale: float = 1) -> dict[str, object]:
    names = ("slope", "low", "high")
    if one is None:
        return dict.fromkeys((*names, "level"))
    return {**{name: getattr(one, name) * scale for name in names}, "level": trends.LEVEL}
