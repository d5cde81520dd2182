"""results/comparisons/: a page and a picture for every campaign among the records, and an index of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.inference import comparison
from scripts.inference.comparison import ArmComparison, Floors
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.report.charts import forest_plot
from scripts.report.charts.svg import Files
from scripts.report.pages import comparison_page, templates
from scripts.report.tables import effect_text, markdown
from scripts.report.tables.formatting import Markdown, filled, listed

FOLDER = "comparisons"
_MOST_NAMED = 4  # metrics in an answer
MOST_ARMS = 8  # a campaign with more is shown release by release in results/README.md


def render(campaigns: Iterable[PairedRounds], floors: Floors) -> Files:
    """All files by path relative to results/; none without a campaign that has a complete round."""
    found = [one for one in campaigns if one.rounds and len(one.arms) > 1]
    if not found:
        return {}
    by_campaign: dict[str, list[PairedRounds]] = {}
    for one in sorted(found, key=lambda one: (one.rounds[0].round_id, one.campaign, one.engine, one.flow)):
        by_campaign.setdefault(one.campaign, []).append(one)
    files: Files = {}
    for campaign, group in by_campaign.items():
        if not _is_large(group):
            files |= _page(campaign, group, floors)
    entries = [_entry(campaign, group, floors) for campaign, group in by_campaign.items()][::-1]
    files[f"{FOLDER}/README.md"] = templates.render(
        "comparisons.md.j2",
        table=_table([one for one in entries if not one.of_suite]),
        of_suite=_table([one for one in entries if one.of_suite]),
        folded=sum(one.of_suite for one in entries),
    )
    return files


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """One campaign, as a reader asks for it."""

    question: Markdown
    answer: str
    rounds: int
    profile: str
    day: str
    of_suite: bool  # it tests the suite itself: a release with itself, or with candidates of the same version


def _entry(campaign: str, found: list[PairedRounds], floors: Floors) -> _Entry:
    scenarios = listed([f"{one.engine} {one.flow}" for one in found])
    page = "../README.md" if _is_large(found) else f"{campaign}.md"
    record = found[0].rounds[0].runs[BASELINE].record
    return _Entry(
        question=filled("[{}]({}), {}", title(found), page, scenarios),
        answer="release by release" if _is_large(found) else _answer(comparison.judge(found, floors)),
        rounds=min(len(one.rounds) for one in found),
        profile=record.requested.profile.name,
        day=record.started_at[:10],
        of_suite=not any(one.on_pythons for one in found)
        and len({release.partition("+")[0] for one in found for release in one.releases.values()}) == 1,
    )


def _answer(judged: Sequence[ArmComparison]) -> str:
    """What got worse, then what got better, the largest changes first."""
    parts = []
    for verdict, word in (("regression", "worse"), ("improvement", "better")):
        found = [
            (abs(effect.interval.estimate), effect)
            for one in judged
            for effect in one.effects
            if effect.verdict == verdict and effect.interval
        ]
        named: dict[str, str] = {}
        for _, effect in sorted(found, key=lambda one: -one[0]):
            named.setdefault(effect.metric.words, effect_text.change(effect))
        shown = [f"{name} {change}" for name, change in named.items()]
        more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
        if shown:
            parts.append(f"{word}: {', '.join(shown[:_MOST_NAMED])}{more}")
    if parts:
        return "; ".join(parts)
    open_ = any(effect.open for one in judged for effect in one.effects)
    return "nothing is certain yet" if open_ else "nothing changed beyond its threshold"


def _table(entries: Sequence[_Entry]) -> Markdown:
    rows = [[one.question, one.answer, str(one.rounds), one.profile, one.day] for one in entries]
    return markdown.narrow(markdown.markdown(("Question", "Answer", "Rounds", "Profile", "Measured"), rows, labels=5))


def _is_large(found: list[PairedRounds]) -> bool:
    return any(len(one.arms) > MOST_ARMS for one in found)


def title(found: list[PairedRounds]) -> str:
    """What is compared with what."""
    first = found[0]
    others = ", ".join(dict.fromkeys(first.label(arm) for arm in first.arms[1:]))
    if _is_large(found):
        return f"{len(first.arms)} releases from {first.label(first.arms[0])} to {first.label(first.arms[-1])}"
    return f"{others} against {first.label(first.arms[0])}"


def _page(campaign: str, found: list[PairedRounds], floors: Floors) -> Files:
    judged = comparison.judge(found, floors)
    pictured = [one for one in judged if not one.paired.is_aa]  # the self-test shows noise
    page = comparison_page.render(found, judged, title=title(found), written=True)
    files: Files = {f"{FOLDER}/{campaign}.md": page}
    for one in pictured:
        files[f"{FOLDER}/{comparison_page.picture_name(one)}"] = forest_plot.chart(one.heading, one.effects)
    return files
