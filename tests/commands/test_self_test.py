"""The self-test verb: variants and A/A comparisons are measured once, and shown as a page; in a fake outside."""

from __future__ import annotations

import dataclasses
import re

import pytest

from scripts.commands import self_test
from scripts.config import flows
from scripts.config.errors import VerificationError
from scripts.config.matrix import Suite
from scripts.environments.candidates import Arm
from scripts.host.process import System
from scripts.selftest import simulation
from scripts.selftest.slowdowns import VARIANTS, Variant
from tests.fakes import stage as stages
from tests.fakes import values
from tests.fakes.stage import Stage

ROUNDS = ("--profile", values.PROFILE.name, "--rounds", "4", "--aa-comparisons", "2")
RUNS = 4 * (1 + len(VARIANTS)) + 2 * 4 * 2


def label(variant: Variant) -> str:
    """What the arm of a variant is called here."""
    return f"1.12.0+{variant.name.replace('-', '.')}"


def made(_matrix: Suite, _baseline: Arm, _system: System) -> dict[str, Arm]:
    """Variants that nobody had to build."""
    return {variant.name: stages.arm(label(variant)) for variant in VARIANTS}


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage with variants of which one is slower, a flow that the fakes serve, and no simulation."""
    monkeypatch.setattr(self_test, "RealSystem", lambda: stage.outside)
    monkeypatch.setattr(self_test, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(self_test, "_variants", made)
    monkeypatch.setattr(simulation, "tables", lambda **_options: "(simulated)")
    served = dataclasses.replace(flows.read(stage.flow()), name=self_test.FLOW)
    monkeypatch.setattr(flows, "find", lambda _name: served)
    slow = next(variant for variant in VARIANTS if variant.metric == "cpu_per_request_ms")
    stage.outside.cpu = {label(slow): (1.05,)}
    return stage


def arguments(stage: Stage) -> list[str]:
    """A small self-test."""
    return [*ROUNDS, "--results", str(stage.results)]


def test_page(stage: Stage) -> None:
    """The page tells of each variant whether it was caught, and how often A/A comparisons cried wolf."""
    assert self_test.main(arguments(stage)) == 0
    page = (stage.results / "self-test.md").read_text(encoding="utf-8")
    for variant in VARIANTS:
        assert variant.name in page
    assert len(re.findall(r"\| +caught \|", page)) == 1
    assert "(simulated)" in page
    assert stage.outside.runs == RUNS


def test_finished_is_not_measured_again(stage: Stage) -> None:
    """A self-test that is repeated measures nothing, and writes its page."""
    assert self_test.main(arguments(stage)) == 0
    page = stage.results / "self-test.md"
    page.unlink()
    assert self_test.main(arguments(stage)) == 0
    assert stage.outside.runs == RUNS
    assert page.is_file()


def test_interrupted_goes_on(stage: Stage) -> None:
    """A self-test that is interrupted in an A/A comparison goes on in that one."""
    stage.outside.ends_at_run = RUNS - 1
    with pytest.raises(KeyboardInterrupt):
        self_test.main(arguments(stage))
    assert self_test.main(arguments(stage)) == 0
    assert stage.outside.runs == RUNS + 1  # of the last round, its first run had been interrupted


def test_variant_that_fails(stage: Stage) -> None:
    """A variant that does not verify ends the self-test with that error, and no page."""
    stage.outside.versions = {label(VARIANTS[-1]): "1.11.0"}
    with pytest.raises(VerificationError):
        self_test.main(arguments(stage))
    assert not (stage.results / "self-test.md").exists()


def test_dry_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints both plans, and measures nothing."""
    assert self_test.main([*arguments(stage), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"arm {1 + len(VARIANTS)}: " in out
    assert "and 2 times:\narm 1: promptflow 1.12.0\narm 2: promptflow 1.12.0\n" in out
    assert stage.outside.events == []
