"""Text of records on the pages: it stays text, whatever it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.records import storage
from scripts.report.pages import site
from tests.fakes import synthetic_runs

MARK = "@@NUMBER@@"  # differs from run to run
EVIL = "x\n\n# H1\n<script>alert(1)</script> | `a` [b](javascript:c)"


def spoilt(value: Any, path: str = "") -> Any:  # noqa: ANN401 - JSON
    """The record with every text that no limit holds replaced."""
    names = ("run_id", "outcome", "started_at", "schema_version", "release", "engine", "flow", "campaign", "round_id")
    if isinstance(value, dict):
        return {
            key: inner if key in names or path + key == "requestedprofilename" else spoilt(inner, path + key)
            for key, inner in value.items()
        } | ({EVIL: EVIL + MARK} if path.endswith(("distributions", "options", "environment")) else {})
    if path.endswith("command"):  # which says whether threads bound the server
        return [*value, EVIL]
    if isinstance(value, list):
        return [spoilt(inner, path) for inner in value]
    return EVIL if isinstance(value, str) else value


@pytest.mark.fault
def test_text_of_a_record_is_never_markup(tmp_path: Path) -> None:
    """No newline, heading, tag, cell or link of a record's texts is live on any page."""
    runs = [
        *(one.record for one in synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, profile="report")),
        synthetic_runs.record(),
        synthetic_runs.record(release="1.18.5"),
        synthetic_runs.record(release="1.13.0", outcome="failed", reasons=("no wheel",)),
    ]
    for number, made in enumerate(runs):
        file = synthetic_runs.write(tmp_path, made) / storage.RECORD_FILE
        file.write_text(json.dumps(spoilt(json.loads(file.read_bytes()))).replace(MARK, str(number)), encoding="utf-8")
    derived = site.derive(tmp_path, synthetic_runs.SUITE)
    assert derived.skipped == ()
    pages = {name: content.decode() for name, content in derived.files.items() if name.endswith(".md")}
    assert {name.split("/")[0] for name in pages} == {"README.md", "comparisons", "v1.12.0", "v1.13.0", "v1.18.5"}
    for name, page in pages.items():
        live = "".join(part for n, part in enumerate(page.split("`")) if n % 2 == 0)  # outside of code spans
        assert "<script" not in live, name
        assert "](javascript" not in live.replace("\\](", ""), name
        assert "\n# H1" not in page, name
