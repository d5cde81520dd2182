"""What a verb leaves in a GitHub job: a page in its summary, an output of its step.

GitHub names the files in variables. One that cannot be written costs a warning, and never the verdict.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from scripts.report.pages import github_text

_SUMMARY, _OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"


def add_summary(page: str) -> None:
    """Append a page to the summary; outside of a job, do nothing."""
    _append(_SUMMARY, github_text.fitted(page))


def set_output(name: str, value: str) -> None:
    """Set an output of the step to a value of one line; outside of a job, do nothing."""
    _append(_OUTPUT, f"{name}={value}\n")


def _append(variable: str, text: str) -> None:
    name = os.environ.get(variable)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        reason = f"{variable} names {name}, which cannot be written: {error.strerror}"
        print(f"::warning title=promptflow-serve-bench::{_one_line(reason)}", file=sys.stderr, flush=True)


def _one_line(text: str) -> str:
    """The text as a workflow command takes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
