"""A busy machine: named, refused and waited for, before the first run."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

from scripts.analysis import validity
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config.errors import NothingMeasuredError
from scripts.host import machine, quiet, telemetry
from scripts.host.process import RealSystem
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.host.telemetry import MachineSample
from tests.fakes.stage import Stage
from tests.fakes.system import FakeSystem


@contextlib.contextmanager
def busy_programs(number: int) -> Iterator[None]:
    """Programs that use a core each."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def others(monkeypatch: pytest.MonkeyPatch, share: float, until_s: float = 1e9) -> None:
    """Let others use this share of the machine until then, and after it nothing."""

    def sample(at_s: float) -> MachineSample:
        busy_s = share * machine.cores() * min(at_s, until_s)
        return MachineSample(at_s=at_s, busy_s=busy_s, stolen_s=0.0, own_s=0.0)

    monkeypatch.setattr(telemetry, "machine_sample", sample)
    monkeypatch.setattr(telemetry, "cpu_by_process", lambda: {1: ("indexer", share * machine.cores() * 3)})


def required(system: FakeSystem, wanted: Quiet) -> str:
    """What a session prints that needs a quiet machine."""
    out = io.StringIO()
    quiet.require(wanted, system, Progress(system.monotonic, Console(file=out, width=200)))
    return out.getvalue()


def test_limit_is_that_of_valid_runs() -> None:
    """Whoever waits, waits for what a valid run bears."""
    assert validity.OTHER_CPU == quiet.QUIET < machine.BUSY


def test_quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet machine costs one look, which is one line."""
    system = FakeSystem()
    others(monkeypatch, 0.02)
    assert "others used 2% of the machine's CPU time" in required(system, Quiet())
    assert system.now == 100 + quiet.LOOK_S


def test_busy_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting, a busy machine is refused with its share, the limit, and the option that waits."""
    others(monkeypatch, 0.3)
    with pytest.raises(NothingMeasuredError, match=r"too busy to measure on: 30% .* limit 10%") as caught:
        required(FakeSystem(), Quiet())
    assert caught.value.then.startswith("repeat this command with --wait-quiet 5m")


def test_machine_becomes_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends with the first look that is quiet, and says meanwhile what it waits for."""
    system = FakeSystem()
    others(monkeypatch, 0.3, until_s=130.0)
    assert "waiting for less than 5%: 30% of the machine's CPU time" in required(system, Quiet(wait_s=300))
    assert 130 < system.now <= 130 + 2 * quiet.LOOK_S


def test_machine_stays_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends in time, and then the machine is refused."""
    system = FakeSystem()
    others(monkeypatch, 0.07)
    with pytest.raises(NothingMeasuredError, match=r"not quiet within 1 minutes: 7% .* limit 5%"):
        required(system, Quiet(wait_s=60))
    assert 160 <= system.now <= 160 + quiet.LOOK_S


def test_campaign_on_a_busy_machine(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign on a busy machine makes no run; a later one on a quiet machine looks once."""
    options = dataclasses.replace(stage.options(), quiet=Quiet())
    monkeypatch.setattr(Stage, "options", lambda _stage: options)
    looks: list[Quiet] = []
    usual = quiet.require

    def counted(wanted: Quiet, system: FakeSystem, progress: Progress) -> None:
        looks.append(wanted)
        usual(wanted, system, progress)

    monkeypatch.setattr(quiet, "require", counted)
    with monkeypatch.context() as patch:
        others(patch, 0.3)
        with pytest.raises(NothingMeasuredError, match="too busy"):
            stage.measure(stage.campaign(), StoppingRule(rounds=4))
    assert stage.outside.runs == 0
    stage.measure(stage.campaign(), StoppingRule(rounds=4))
    assert stage.outside.runs == 8
    assert len(looks) == 2


def test_finished_campaign_on_a_busy_machine(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign that has all of its runs needs no quiet machine."""
    rule = StoppingRule(rounds=4, afresh=False)
    stage.measure(stage.campaign(), rule)
    options = dataclasses.replace(stage.options(), quiet=Quiet())
    monkeypatch.setattr(Stage, "options", lambda _stage: options)
    others(monkeypatch, 0.3)
    assert len(stage.measure(stage.campaign(), rule).judged) == 1


@pytest.mark.parametrize("profile", ["serves", "smoke", "count"])
def test_profiles_whose_times_nobody_reports(stage: Stage, monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """Under a profile of which no time gets into a report, nobody looks at the machine."""
    options = dataclasses.replace(stage.options(), quiet=Quiet())
    monkeypatch.setattr(Stage, "options", lambda _stage: options)
    requested = stage.campaign()
    others(monkeypatch, 0.3)
    stage.measure(
        dataclasses.replace(requested, profile=dataclasses.replace(requested.profile, name=profile)),
        StoppingRule(rounds=4),
    )
    assert stage.outside.runs >= 3


@pytest.mark.process
def test_real_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that keep every core busy are noticed and named, without what they were called with."""
    monkeypatch.setattr(quiet, "LOOK_S", 1.0)
    with busy_programs(machine.cores()):
        found = quiet.look(RealSystem())
    assert found.share > machine.BUSY
    assert "python" in str(found)
    assert "while" not in str(found)
