"""Explanations are carried out in repeats: what counts, when it ends, and what is written; in a fake outside."""

from __future__ import annotations

import dataclasses
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scripts.campaign import explaining
from scripts.config.errors import InvalidMeasurementError, SamplerError
from scripts.config.plan import RunSpec
from scripts.host.progress import Progress
from scripts.measure import py_spy, sampling
from scripts.measure.py_spy import PySpy
from scripts.measure.run import Prepared, RunContext
from scripts.measure.sampling import StackSamples
from scripts.measure.served import Served
from scripts.records import explanations
from scripts.records.explanations import Explanation
from scripts.serving.launch import Booted
from tests.fakes import sampled, synthetic_runs, values
from tests.fakes.stage import BASELINE, CANDIDATE, Stage

TOOL = PySpy(path=Path("/somewhere/py-spy"), version="0.4.3")
REPEAT_S = 20.0


@pytest.fixture
def labels(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The releases of each repeat in the order of their start; a repeat takes 20 s."""
    started: list[list[str]] = []

    def pair(
        _context: RunContext, _tool: PySpy, wanted: Sequence[tuple[RunSpec, Prepared]]
    ) -> tuple[StackSamples, ...]:  # fmt: skip
        stage.outside.now += REPEAT_S
        started.append([spec.release for spec, _ in wanted])
        return tuple(_samples(spec) for spec, _ in wanted)

    monkeypatch.setattr(sampling, "pair", pair)
    monkeypatch.setattr(py_spy, "install", lambda *_arguments: TOOL)
    monkeypatch.setattr(py_spy, "require", lambda *_arguments: None)
    return started


def _samples(spec: RunSpec) -> StackSamples:
    assert spec.place is not None
    booted: Any = Booted(child=None, port=1, ready_s=1.0, started_s=0.0)  # type: ignore[arg-type]
    observed = dataclasses.replace(values.RECORD.observed, promptflow=spec.release)  # type: ignore[type-var]
    served = Served(booted=booted, settled_s=2.0, observed=observed)  # type: ignore[arg-type]
    return StackSamples(
        served=served, requests=400, failed=1, cpu_ms=1.5, unread=2,
        stacks=Counter({sampled.STACKS[0]: 100 * spec.place.arm, sampled.STACKS[3]: 7}),
    )  # fmt: skip


def explained(stage: Stage, *, repeats: int = 4, budget_s: float = math.inf) -> Explanation:
    """The only explanation of the campaign."""
    (found,) = explaining.measure(
        synthetic_runs.SUITE, stage.duet(BASELINE, CANDIDATE), stage.options(), stage.outside,
        Progress(stage.outside.monotonic, Console(file=io.StringIO())), repeats=repeats, budget_s=budget_s,
    )  # fmt: skip
    return found


def test_document(stage: Stage, labels: list[list[str]]) -> None:
    """What is written is what was sampled, the baseline first, whichever started first."""
    found = explained(stage)
    assert explanations.read(explanations.path(stage.results, found.id)) == found
    assert found.releases == (BASELINE, CANDIDATE)
    assert [tuple(run.total for run in repeat) for repeat in found.repeats] == [(107, 207)] * 4
    assert found.stack(found.repeats[0][0].samples[0][0]) == sampled.STACKS[0]
    assert labels == [[BASELINE, CANDIDATE], [CANDIDATE, BASELINE]] * 2


def test_no_run_is_recorded(stage: Stage, labels: list[list[str]]) -> None:
    """No figure of such a load becomes a record."""
    explained(stage)
    assert labels
    assert stage.records() == []


@pytest.mark.usefixtures("labels")
def test_it_ends_in_time(stage: Stage) -> None:
    """With a budget no repeat begins that would not end in it."""
    assert len(explained(stage, repeats=8, budget_s=5.5 * REPEAT_S).repeats) == 5


def spoilt(stage: Stage, monkeypatch: pytest.MonkeyPatch, bad: Callable[[int], bool]) -> list[int]:
    """Let some repeats fail, by their number from 1; the list of all that were tried."""
    tried: list[int] = []
    good = sampling.pair

    def pair(*arguments: Any) -> tuple[StackSamples, ...]:  # noqa: ANN401 - passed on
        tried.append(len(tried) + 1)
        if bad(tried[-1]):
            raise InvalidMeasurementError("the load could not be used", then="repeat this command")
        return good(*arguments)

    monkeypatch.setattr(sampling, "pair", pair)
    assert stage
    return tried


@pytest.mark.usefixtures("labels")
def test_a_repeat_that_cannot_be_used(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again."""
    tried = spoilt(stage, monkeypatch, lambda number: number == 2)
    assert len(explained(stage).repeats) == 4
    assert len(tried) == 5


@pytest.mark.usefixtures("labels")
def test_it_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three in a row that cannot be used it ends, and nothing is written."""
    tried = spoilt(stage, monkeypatch, lambda _number: True)
    with pytest.raises(InvalidMeasurementError, match="could not be used"):
        explained(stage)
    assert len(tried) == 3
    assert not (stage.results / explanations.FOLDER).exists()


def test_a_machine_that_forbids_it(stage: Stage, labels: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends before a virtualenv is built and before any load."""

    def refuse(*_arguments: object) -> None:
        raise SamplerError("py-spy cannot sample here", then="allow it")

    monkeypatch.setattr(py_spy, "require", refuse)
    with pytest.raises(SamplerError):
        explained(stage)
    assert labels == []
    assert not (stage.at / "environments").exists()
