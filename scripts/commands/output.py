"""Prints a verb's result on standard output: as one JSON document, else as a page and its answer as the last line.

A terminal shows the page in its own width. A file or a pipe gets it as Markdown.
"""

from __future__ import annotations

import re
import sys

import msgspec
from rich.console import Console
from rich.markdown import Markdown

from scripts.commands import cli
from scripts.report import documents
from scripts.report.documents import Document

_FOLD = re.compile(r"<details><summary>(.*?)</summary>.*?</details>", re.DOTALL)


def show(page: str, document: Document, *, as_json: bool) -> None:
    """Print a result; `page`: Markdown without the answer, which the document has."""
    if as_json:
        print(_json(document), flush=True)
        return
    answer = str(document["answer"])
    if page:
        _page(page)
    if answer:
        print(f"\n{answer}" if page else answer, flush=True)


def show_plan(lines: str, expected_s: float, *, as_json: bool) -> None:
    """Print a plan, which holds commands to copy, and its time in seconds."""
    document = documents.planned(lines, expected_s)
    print(_json(document) if as_json else cli.fitted(lines, sys.stdout), flush=True)


def _json(document: Document) -> str:
    """A figure that is no number, such as infinity, becomes null."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode()


def _page(page: str) -> None:
    page = page.rstrip("\n")
    console = Console(width=cli.columns(), highlight=False)
    if console.is_terminal:
        console.print(Markdown(_FOLD.sub(r"\1", page)))  # what a page folds has no place to unfold here
    else:
        print(page, flush=True)
