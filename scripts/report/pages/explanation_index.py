"""results/explanations/: a page and a picture for every explanation, and an index of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scripts.analysis.grouping import Cell
from scripts.config import python_label
from scripts.config.load_profiles import COUNT
from scripts.inference import stack_changes
from scripts.inference.gate_defaults import INSTRUCTIONS
from scripts.records.explanations import FOLDER, Explanation
from scripts.report.charts import svg
from scripts.report.charts.svg import Files
from scripts.report.pages import explanation_page, templates
from scripts.report.pages.explanation_page import Counted
from scripts.report.tables import markdown
from scripts.report.tables.change_table import Explained
from scripts.report.tables.formatting import filled


def render(explanations: Sequence[Explanation], counted: Counted) -> Files:
    """All files by path relative to results/; none without an explanation."""
    if not explanations:
        return {}
    files: Files = {}
    rows = []
    for found in sorted(explanations, key=lambda one: one.id, reverse=True):
        changes = stack_changes.changes(found)
        picture = f"{found.id}-stacks"
        page = explanation_page.text(found, changes, counted, picture)
        files[f"{FOLDER}/{found.id}.md"] = f"{page}\n".encode()
        files |= svg.with_narrow({f"{FOLDER}/{picture}": explanation_page.chart(found)})
        rows.append(
            [
                filled("[{}]({}.md)", explanation_page.title(found), found.id),
                explanation_page.answer(found, changes),
                str(len(found.repeats)),
                found.started_at[:10],
            ]
        )
    table = markdown.narrow(markdown.markdown(("Question", "Answer", "Repeats", "Measured"), rows, labels=4))
    files[f"{FOLDER}/README.md"] = templates.render("explanations.md.j2", table=table)
    return files


def instructions(cells: Iterable[Cell]) -> Counted:
    """The counted instructions per request; of several counts of a release their median."""
    return {
        (requested.release, requested.engine, requested.flow, requested.python): spread.median
        for cell in cells
        if (requested := cell.requested).profile.name == COUNT and (spread := cell.spread(INSTRUCTIONS)) is not None
    }


def pages(explanations: Iterable[Explanation], python: str) -> Explained:
    """The page that explains a change, by release, the release before, engine and flow; of several the newest.

    `python`: e.g. "3.11"; changes on another one are explained otherwise.
    """
    return {
        (found.releases[1], found.releases[0], found.engine, found.flow): f"{FOLDER}/{found.id}.md"
        for found in sorted(explanations, key=lambda one: one.id)
        if python_label.without_patch(found.python) == python
    }
