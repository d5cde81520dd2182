"""The verb that lists what can be named."""

from __future__ import annotations

import json

import pytest

from scripts.analysis.metrics import METRICS
from scripts.commands import list as list_verb
from scripts.config import matrix_file

SUITE = matrix_file.load()
NAMES = {
    "releases": [release.version for release in reversed(SUITE.releases)],
    "flows": list(SUITE.flows),
    "profiles": [profile.name for profile in SUITE.profiles],
    "metrics": [metric.name for metric in METRICS],
    "engines": [engine.name for engine in SUITE.engines],
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_is_listed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind lists all of its names, one row each."""
    assert list_verb.main([kind]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:] if line]
    assert rows == NAMES[kind]


def test_all_kinds_without_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a kind, everything is listed under headings."""
    assert list_verb.main([]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")]
    assert headings == [f"# {kind.capitalize()}" for kind in NAMES]


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows as data."""
    assert list_verb.main(["engines", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["kind"]) == (1, "list")
    assert [row["Engine"] for row in document["engines"]] == NAMES["engines"]


def test_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown kind is refused with those that there are."""
    with pytest.raises(SystemExit) as refused:
        list_verb.main(["releasees"])
    assert refused.value.code == 2
    assert "releases" in capsys.readouterr().err
