"""Pages of explanations: the answer in words first, tables, links, and foreign names that stay text."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.inference import stack_changes
from scripts.records.explanations import Explanation, Frame
from scripts.report import documents
from scripts.report.pages import explanation_index, explanation_page, templates
from tests.fakes import sampled
from tests.report.pages.test_foreign_text import EVIL, Live

REPEATS = 8
FASTER = sampled.explanation(
    [
        ({0: 300 + n % 3, 1: 100, 2: 310 + n % 2 * 2, 3: 290 - n}, {0: 300 - n % 2, 1: 40, 2: 8, 3: 290 + n})
        for n in range(REPEATS)
    ]
)
ALIKE = sampled.explanation([({0: 300, 2: 100 + n}, {0: 300 + n % 2, 2: 103 - n % 3}) for n in range(REPEATS)])
COUNTED = {
    ("1.17.0", "fastapi", "static_async", "3.11"): 18.22e6,
    ("1.17.1", "fastapi", "static_async", "3.11"): 10.06e6,
}


def summary(found: Explanation) -> list[str]:
    """The sentences of the page."""
    return [str(line) for line in explanation_page.summary(found, stack_changes.changes(found))]


def page(found: Explanation, picture: str = "picture") -> str:
    """The whole page."""
    return explanation_page.text(found, stack_changes.changes(found), COUNTED, picture)


def test_summary() -> None:
    """It says how the whole changed, then what changed most: by package, on behalf of whom, and by function."""
    whole, package, part, function = summary(FASTER)
    assert whole.startswith("A request of 1.17.1 takes 6.41 ms of CPU time, and one of 1.17.0 takes 9.98 ms")
    assert package.startswith("**By package**: `opentelemetry` takes 3.03 ms less a request (31.")
    assert package.endswith("; `promptflow.tracing` takes 0.60 ms less a request (10.0 to 6.2 % of the samples).")
    assert part.startswith("**On behalf of**: `promptflow.tracing` takes 3.63 ms less a request (41.")
    assert function.startswith(
        "**By function**: `opentelemetry.sdk.trace.__init__: Tracer.start_span` takes 3.03 ms less"
    )


def test_nothing_is_named() -> None:
    """Where noise alone moved something, the page says so, and the answer does."""
    assert summary(ALIKE)[1:] == [
        "Nothing is named: no package or function changed beyond noise by 1 % of the CPU time."
    ]
    assert explanation_page.answer(ALIKE, stack_changes.changes(ALIKE)).startswith("nothing is named")


def test_no_claim() -> None:
    """With too few repeats nothing is claimed, and the reason and the way out are given."""
    few = dataclasses.replace(FASTER, repeats=FASTER.repeats[:2])
    assert summary(few)[1:] == [
        "**No claim**: an interval needs 4 repeats, and this has 2. Repeat it with more `--repeats`."
    ]
    assert explanation_page.answer(few, stack_changes.changes(few)).startswith("no claim: an interval needs 4 repeats")


def test_answer() -> None:
    """The last line names the largest change of each kind."""
    answer = explanation_page.answer(FASTER, stack_changes.changes(FASTER))
    assert answer.startswith("CPU time of a request, 1.17.1 against 1.17.0: -3.")
    assert "; by package opentelemetry -3.03 ms; on behalf of promptflow.tracing -3.63 ms; by function " in answer


def test_page() -> None:
    """The page has its picture, tables, the counted instructions, the packages that differ, and the command."""
    text = page(FASTER)
    assert text.startswith(templates.MARKER)
    assert "# Why: 1.17.1 against 1.17.0, fastapi static_async" in text
    assert 'srcset="picture-narrow-dark.svg"' in text
    for heading in ("Packages that run", "Parts of promptflow behind them", "Functions that run"):
        assert f"## {heading}" in text
    assert "Instructions per request, counted: 18.22 M to 10.06 M (-44.8 %)." in text
    assert "1 package of the virtualenvs differs</summary>\n\n`promptflow 1.17.0 to 1.17.1`" in text
    assert "`nox -s explain -- 1.17.0 1.17.1 --engine fastapi --flow static_async --python 3.11`" in text


def test_printed_page() -> None:
    """A page that is printed has no picture and no marker."""
    text = page(FASTER, "")
    assert "<picture>" not in text
    assert templates.MARKER not in text


def test_a_candidate_is_no_name_to_type() -> None:
    """The command that repeats it names a place for a candidate, which whoever has it knows."""
    candidate = sampled.explanation([({0: 9}, {0: 9})], releases=("1.17.0", "1.17.0+1a2b3c4d"))
    assert "nox -s explain -- 1.17.0 PATH --engine" in page(candidate)


def test_foreign_names_stay_text() -> None:
    """Names of functions, modules and packages that look like markup are text on the page."""
    stacks = ((Frame(module=EVIL.replace("\n", " ")[:190], function=EVIL.replace("\n", " ")[:190]),), sampled.STACKS[0])
    hostile = sampled.explanation([({0: 900, 1: 100}, {1: 1000})] * 4, stacks)
    arms = tuple(dataclasses.replace(arm, distributions={EVIL: EVIL}) for arm in hostile.arms)
    hostile = dataclasses.replace(hostile, python=EVIL, py_spy=EVIL, arms=(arms[0], sampled.explanation([]).arms[1]))
    assert Live(page(hostile)).problems == []


def test_index() -> None:
    """Every explanation has a page and pictures in both forms, and the index has the newest first."""
    later = dataclasses.replace(ALIKE, id="20261128T081500Z-0a1b2c")
    files = explanation_index.render([FASTER, later], COUNTED)
    assert set(files) == {
        "explanations/README.md",
        *(f"explanations/{one.id}.md" for one in (FASTER, later)),
        *(f"explanations/{one.id}-stacks{form}" for one in (FASTER, later) for form in ("", "-narrow")),
    }
    index = files["explanations/README.md"]
    assert isinstance(index, bytes)
    assert index.index(later.id.encode()) < index.index(FASTER.id.encode())
    assert explanation_index.render([], COUNTED) == {}


def test_the_newest_explains_a_change() -> None:
    """Of two explanations of one change, tables lead to the newer one."""
    later = dataclasses.replace(FASTER, id="20261128T081500Z-0a1b2c")
    change = ("1.17.1", "1.17.0", "fastapi", "static_async")
    assert explanation_index.pages([later, FASTER], "3.11") == {change: f"explanations/{later.id}.md"}


@pytest.mark.parametrize("found", [FASTER, ALIKE])
def test_document(found: Explanation) -> None:
    """The same as data: every change of the tables, and the whole first."""
    changes = stack_changes.changes(found)
    document = documents.explained("answer", [found], [changes])
    explained: Any = document["explanations"]
    assert [one["id"] for one in explained] == [found.id]
    kinds = [row["kind"] for row in explained[0]["changes"]]
    assert (kinds[0], len(kinds)) == ("all", 1 + len(changes.changes))
