"""What no linter knows of the workflows: one pin for each action, few rights, and callers that fit what they call."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.config.matrix import ROOT
from tests.fakes.action_runner import ACTION

OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COPIES = sorted((ROOT / "docs" / "workflows").glob("*.yml"))
PLACEHOLDER = "0" * 40
USED = re.compile(r"uses: (?P<action>[^@\s]+)@(?P<commit>\S+)(?: # (?P<version>v[\d.]+))?$", re.MULTILINE)
MAY_WRITE = {"comment": {"pull-requests"}, "pages": {"pages", "id-token"}}


def name_of(path: Path) -> str:
    """The path below the project's root."""
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> Any:  # noqa: ANN401 - YAML
    """A workflow; `on` is a truth value in YAML."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def granted(workflow: Any) -> dict[str, str]:  # noqa: ANN401 - YAML
    """The rights of all jobs together."""
    assert workflow["permissions"] == {}
    return {right: kind for job in workflow["jobs"].values() for right, kind in job["permissions"].items()}


def test_an_action_has_one_pin() -> None:
    """Each action of others has the same commit and version everywhere; the suite itself is a placeholder."""
    pins: dict[str, set[tuple[str, str | None]]] = {}
    for path in (ROOT / "action.yml", *OWN, *COPIES):
        for found in USED.finditer(path.read_text(encoding="utf-8")):
            pins.setdefault(found["action"], set()).add((found["commit"], found["version"]))
    for action, found_pins in pins.items():
        ((commit, version),) = found_pins
        if action.startswith("OWNER/"):
            assert commit == PLACEHOLDER
        else:
            assert re.fullmatch("[0-9a-f]{40}", commit), action
            assert commit != PLACEHOLDER
            assert version, action


@pytest.mark.parametrize("path", [*OWN, *COPIES], ids=name_of)
def test_a_workflow_may_write_no_more_than_it_must(path: Path) -> None:
    """Only comments and pages are written; each other workflow, the gate of a pull request among them, only reads."""
    rights = granted(read(path))
    assert {right for right, kind in rights.items() if kind == "write"} == MAY_WRITE.get(path.stem, set())


@pytest.mark.parametrize("path", COPIES, ids=name_of)
def test_a_copy_fits_what_it_calls(path: Path) -> None:
    """A workflow to copy gives the inputs that the called one asks for, and the rights that it needs."""
    workflow = read(path)
    (job,) = workflow["jobs"].values()
    if "uses" not in job:
        (given,) = (step["with"] for step in job["steps"] if step.get("uses", "").startswith("OWNER/"))
        assert given.keys() <= ACTION["inputs"].keys()
        assert {name for name, one in ACTION["inputs"].items() if one.get("required")} <= given.keys()
        return
    called = read(ROOT / job["uses"].partition("@")[0].split("/", 2)[2])
    assert job["with"].keys() == called[True]["workflow_call"]["inputs"].keys()
    assert job["with"]["commit"] == job["uses"].partition("@")[2]
    assert granted(called).items() <= granted(workflow).items()


@pytest.mark.parametrize("folder", [OWN, COPIES], ids=["own", "copies"])
def test_a_comment_follows_the_gate(folder: list[Path]) -> None:
    """The comment's workflow starts after the gate's, by its name."""
    found = {path.stem: read(path) for path in folder}
    assert found["comment"][True]["workflow_run"]["workflows"] == [found["gate"]["name"]]


def test_a_comment_finds_the_artefact() -> None:
    """What the action keeps has a name that the comment's workflow looks for."""
    (kept,) = [step for step in ACTION["runs"]["steps"] if "upload-artifact" in step.get("uses", "")]
    steps = read(ROOT / ".github" / "workflows" / "comment.yml")["jobs"]["comment"]["steps"]
    (wanted,) = [step for step in steps if "download-artifact" in step.get("uses", "")]
    assert fnmatch(kept["with"]["name"], wanted["with"]["pattern"])
