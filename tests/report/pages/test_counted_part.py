"""Counts beside CPU time over releases."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import cast

import pytest

from scripts.analysis.grouping import Cell
from scripts.config.support import Cause
from scripts.inference import paired_rounds, release_history
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts import svg
from scripts.report.charts.counts_chart import Series
from scripts.report.pages import counted_part
from tests.analysis.test_counted_work import counts, record
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

SUITE = synthetic_runs.SUITE
RELEASES = ("1.10.0", "1.10.1", "1.11.0", "1.12.0")
CPU = "cpu_per_request_ms"


def cell(release: str, instructions: float) -> Cell:
    """One count of a release."""
    made = record(counts([instructions] * 10))
    requested = dataclasses.replace(made.requested, release=release, engine="fastapi", flow="static_async")
    return Cell(runs=(synthetic_runs.run(dataclasses.replace(made, requested=requested)),))


@pytest.fixture(scope="module")
def history() -> ReleaseHistory:
    """CPU time that rises by a fifth with 1.11.0."""
    rng = random.Random(3)  # noqa: S311 - draws test data
    levels = (5.0, 5.0, 6.0, 6.0)
    figures: list[list[float | None]] = [[level * math.exp(rng.gauss(0, 0.01)) for _ in range(5)] for level in levels]
    (paired,) = paired_rounds.pair(campaign(RELEASES, 5, {CPU: figures}))
    return release_history.history(paired, {}, SUITE)


def test_where_they_part(history: ReleaseHistory) -> None:
    """A count that falls where CPU time rises is named with both, and with its cause; one that moves alike is not."""
    cells = [cell(*one) for one in zip(RELEASES, (1000.0, 1000.0, 900.0, 900.0), strict=True)]
    cause = Cause(release="1.11.0", metrics=("instructions_per_request",), text="Work moved into `a kernel`")
    suite = dataclasses.replace(SUITE, causes=(cause,))
    (part,) = counted_part.parts(suite, cells, [history])
    (line,) = part.parts
    assert line.startswith("**1.11.0** against 1.10.1: instructions per request -10.0 %, CPU per request +")
    assert line.endswith(". Work moved into `a kernel`.")


def test_alike(history: ReleaseHistory) -> None:
    """Counts that change as CPU time does part nowhere."""
    cells = [cell(*one) for one in zip(RELEASES, (1000.0, 1000.0, 1200.0, 1200.0), strict=True)]
    (part,) = counted_part.parts(SUITE, cells, [history])
    assert part.parts == []


def test_release_without_a_count(history: ReleaseHistory) -> None:
    """It has no point, and no sentence; without a count of the first release there is no picture."""
    cells = [cell("1.10.0", 1000.0), cell("1.12.0", 1200.0)]
    (part,) = counted_part.parts(SUITE, cells, [history])
    counted, timed = cast("tuple[Series, ...]", part.chart.data[2])
    assert [point.release for point in counted.points] == ["1.10.0", "1.12.0"]
    assert [round(point.value) for point in counted.points] == [100, 120]
    assert len(timed.points) == 4
    assert counted_part.parts(SUITE, cells[1:], [history]) == []


def test_picture(history: ReleaseHistory) -> None:
    """Both series are named in it, and the axis is in percent."""
    cells = [cell(*one) for one in zip(RELEASES, (1000.0, 1000.0, 1200.0, 1200.0), strict=True)]
    (part,) = counted_part.parts(SUITE, cells, [history])
    picture = svg.draw(part.chart).light.decode()
    assert all(text in picture for text in ("instructions per request", "CPU per request", "100 %", "1.12.0"))
