"""Whether machines that share the rounds of a comparison agree."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from scripts.analysis.run_reader import Run
from scripts.inference import comparison, machine_agreement, paired_rounds
from scripts.inference.machine_agreement import MachineAgreement
from tests.fakes.synthetic_runs import campaign, on_machines

CPU = "cpu_per_request_ms"
BEFORE = [5.0] * 6


def shared(after: Sequence[float], identities: Sequence[str]) -> list[Run]:
    """Six rounds with this CPU time per request after, made by machines in turn."""
    runs = campaign(("1.12.0", "1.18.5"), len(after), {CPU: (BEFORE[: len(after)], list(after))})
    return on_machines(runs, identities)


def agreement(runs: Sequence[Run]) -> MachineAgreement | None:
    """What the machines say of the only comparison."""
    (one,) = comparison.judge(paired_rounds.pair(runs), {})
    return machine_agreement.of(one)


def test_machine_that_sees_another_change_is_noticed() -> None:
    """Where one machine sees 20 % more CPU time and another 4 %, the metric is named, with both."""
    found = agreement(shared([6.0, 5.2, 6.01, 5.21, 5.99, 5.19], ("a", "b")))
    assert found is not None
    assert found.rounds == (3, 3)
    (differs,) = found.disagreements
    assert differs.metric.name == CPU
    assert [math.exp(change) for change in differs.changes] == pytest.approx([1.04, 1.2], abs=0.01)


def test_noise_between_rounds_is_no_disagreement() -> None:
    """Machines whose rounds scatter alike agree, in 95 % of the comparisons at least."""
    noise = random.Random(1)  # noqa: S311 - nothing secret
    found = [
        agreement(shared([5 * math.exp(noise.gauss(0, 0.02)) for _ in BEFORE], ("a", "b", "c"))) for _ in range(60)
    ]
    assert sum(bool(one and one.disagreements) for one in found) <= 3
    assert all(one is not None and one.rounds == (2, 2, 2) for one in found)


@pytest.mark.parametrize("identities", [("a",), ("a", "")])
def test_without_machines_to_tell_apart_nothing_is_said(identities: tuple[str, ...]) -> None:
    """One machine cannot disagree with itself, and older records do not name theirs."""
    assert agreement(shared(BEFORE, identities)) is None


def test_a_round_each_tells_nothing() -> None:
    """A machine with a single round shows no noise of its own, so no metric can be told."""
    found = agreement(shared([6.0, 5.2, 6.0], ("a", "b", "c")))
    assert found == MachineAgreement(rounds=(1, 1, 1), metrics=0, disagreements=())
