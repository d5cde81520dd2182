"""Fills the Markdown templates beside this module; the only module that knows jinja2."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(  # noqa: S701 - the pages are Markdown; foreign text goes through wording.code
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(name: str, **values: object) -> bytes:
    """The page; a value that the template needs and does not get is an error."""
    return _environment().get_template(name).render(**values).encode()
