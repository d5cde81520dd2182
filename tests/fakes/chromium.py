"""The system's Chromium, for pages that a reader opens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
required = pytest.mark.skipif(
    PROGRAM is None and os.environ.get("CI") != "true", reason="Chromium is not installed: apt-get install chromium"
)
_PATIENCE_MS = 10_000
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass(kw_only=True, slots=True)
class Reader:
    """Somebody who looks at a page, and all that went wrong on it."""

    page: Page
    problems: list[str] = field(default_factory=list)  # console errors and warnings, exceptions
    requests: list[str] = field(default_factory=list)  # addresses, but the page's own


@contextmanager
def reader(path: Path, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Iterator[Reader]:
    """Open a file in a browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=_OPTIONS)
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
        )
        page.set_default_timeout(_PATIENCE_MS)
        found = Reader(page=page)
        page.on("console", lambda said: found.problems.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: found.problems.append(str(error)))
        page.on("dialog", lambda dialog: found.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(path.as_uri())
        found.requests.remove(path.as_uri())
        if scripts:
            page.wait_for_selector("main:not([hidden])")
        yield found
        browser.close()
