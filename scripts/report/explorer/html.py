"""The explorer's page: one HTML file with its data, Vega and our script inside, that loads nothing.

Its data are base64, so that no text of a record is markup or script. The browser runs only the two scripts whose
digests the page names (Content Security Policy, level 3).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import jinja2
import msgspec

from scripts.report.explorer import charts
from scripts.report.explorer.document import Document

TITLE = "promptflow's serving, release by release"
_PARTS = Path(__file__).parent / "page"


def page(document: Document) -> bytes:
    """The file."""
    library, script = charts.library(), _part("explorer.js")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PARTS), undefined=jinja2.StrictUndefined, autoescape=False,  # noqa: S701 -
        # nothing below comes from a record but `data`, which is base64
    )  # fmt: skip
    return environment.get_template("explorer.html.j2").render(
        title=TITLE,
        style=_part("explorer.css"),
        script_sources=" ".join([*map(_source, (library, script)), "'unsafe-eval'"]),  # Vega compiles its expressions
        data=_packed(document),
        charts=json.dumps(charts.specifications(), separators=(",", ":")).replace("<", "\\u003c"),
        library=library,
        script=script,
    ).encode()  # fmt: skip


def _packed(document: Document) -> str:
    """Base64 of gzip of JSON: a quarter of the JSON's size."""
    return base64.b64encode(gzip.compress(msgspec.json.encode(document), mtime=0)).decode()


def _source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")
