"""A gate as Markdown: before it starts what its rounds can decide, and at the end its verdict with the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.inference.comparison import ArmComparison
from scripts.inference.gate_decision import Case
from scripts.inference.gate_power import PASSING, Prospect
from scripts.report.pages import comparison_page, templates
from scripts.report.tables import gate_text
from scripts.report.tables.formatting import Markdown, code, filled, listed

Word = Literal["PASS", "FAIL", "UNDECIDED"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a gate says in the end."""

    word: Word
    reason: str  # one sentence

    @property
    def line(self) -> str:
        """The last line of the output."""
        return f"{self.word}: {self.reason}"


def outcome(cases: Sequence[Case]) -> Outcome:
    """The verdict over all cases: a regression fails, and whatever is missing is no pass."""
    judged = [case for case in cases if case.decision != "not judged"]
    worse = [case for case in judged if case.decision == "regression"]
    if worse:
        return Outcome(word="FAIL", reason=_listed([gate_text.reason(case) for case in worse], worse) + ".")
    unknown = [case for case in judged if case.decision in ("no data", "undecided")]
    if unknown or not judged:
        told = _listed([gate_text.why_open(case) for case in unknown], unknown) if unknown else "nothing was judged"
        return Outcome(word="UNDECIDED", reason=f"{told}.")
    where = listed(list(dict.fromkeys(case.where for case in judged)))
    return Outcome(
        word="PASS", reason=f"none of {len(judged)} metrics is worse than allowed ({where})."
    )  # fmt: skip


def render(
    end: Outcome, judged: Sequence[tuple[ArmComparison, Sequence[Case]]], *, title: str, then: str = "",
    notes: Sequence[str] = (), excluded: Sequence[str] = (),
) -> str:  # fmt: skip
    """The report; `then`: what to type next, empty for a pass; `notes`: on the whole; `excluded`: runs left out."""
    return templates.text(
        "gate.md.j2",
        title=title,
        line=_marked(end),
        then=then,
        notes=notes,
        parts=[
            {
                "heading": f"{one.heading}, {'timed' if one.effects else 'counted'}",
                "about": comparison_page.about(one.paired),
                "table": gate_text.cases_table(cases),
                "notes": [*gate_text.left_out(cases), *comparison_page.context(one)],
            }
            for one, cases in judged
        ],
        excluded=[code(reason) for reason in excluded],
    )


def short(end: Outcome) -> str:
    """The report of a gate that has measured nothing to show."""
    return f"# Gate\n\n{_marked(end)}\n"


def _marked(end: Outcome) -> Markdown:
    return filled("**{}**: {}", end.word, end.reason)


def plan(name: str, rounds: int, round_s: float, found: Sequence[Prospect]) -> str:
    """What the rounds of a scenario can decide. `round_s`: of all scenarios, for the budget that would do."""
    lines = [f"{name}: {rounds} rounds"]
    unknown = [one.metric.words for one in found if one.noise is None]
    if any(one.noise is not None for one in found):
        lines += ["", gate_text.prospects_table(found), ""]
    if unknown:
        lines.append(
            f"Not known yet, because no earlier rounds of this profile, engine and flow are recorded on this machine: "
            f"what {rounds} rounds can decide of {listed(unknown)}."
        )
    short = [_too_short(one, round_s) for one in found if one.passes is not None and one.passes < PASSING]
    if short:
        lines.append(
            f"In {rounds} rounds an unchanged candidate often cannot pass what is allowed. {'; '.join(short)}. "
            "Give more time, or allow more with --max."
        )
    return "\n".join(lines)


def _too_short(one: Prospect, round_s: float) -> str:
    if one.rounds_needed is None:
        return f"{one.metric.words}: no number of rounds would do"
    minutes = math.ceil(one.rounds_needed * round_s / 60)
    return f"{one.metric.words}: {one.rounds_needed} rounds would do, --budget {minutes}m"


def _listed(reasons: Sequence[str], cases: Sequence[Case]) -> str:
    """The first reason with its place, and how many more there are."""
    more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{cases[0].where}: {reasons[0]}{more}"
