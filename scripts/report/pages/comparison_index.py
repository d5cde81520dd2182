"""results/comparisons/: a page and a picture for every campaign among the records, and an index of them."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.inference import comparison
from scripts.inference.comparison import Floors
from scripts.inference.paired_rounds import PairedRounds
from scripts.report.charts import forest_plot
from scripts.report.charts.svg import Files
from scripts.report.pages import comparison_page, templates
from scripts.report.tables.formatting import listed

FOLDER = "comparisons"
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
    entries = [_entry(campaign, group) for campaign, group in by_campaign.items()]
    files[f"{FOLDER}/README.md"] = templates.render("comparisons.md.j2", entries=entries[::-1])
    return files


def _entry(campaign: str, found: list[PairedRounds]) -> dict[str, str]:
    scenarios = listed([f"{one.engine} {one.flow}" for one in found])
    page = "../README.md" if _is_large(found) else f"{campaign}.md"
    return {"page": page, "title": f"{scenarios}: {title(found)}", "about": comparison_page.about(found[0])}


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
