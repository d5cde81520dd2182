"""Figures in the forms of other programs, each checked by that form's own schema or parser."""

from __future__ import annotations

import dataclasses
import json

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from scripts.analysis.grouping import cells
from scripts.analysis.run_reader import Run
from scripts.report.tables import exports
from tests.fakes import synthetic_runs

BMF = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
            "additionalProperties": False,
        },
    },
}
"""Bencher Metric Format, as bencher.dev documents it."""

SMALLER_IS_BETTER = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "unit", "value"],
        "properties": {
            "value": {"type": "number"},
            **{name: {"type": "string"} for name in ("name", "unit", "range", "extra")},
        },
        "additionalProperties": False,
    },
}
"""github-action-benchmark's custom format."""


def runs(flow: str = "static_async", number: int = 3) -> list[Run]:
    """Runs of one release."""
    return [synthetic_runs.run(synthetic_runs.record(flow=flow, number=one)) for one in range(1, number + 1)]


def figures(*found: Run) -> list[exports.Figure]:
    """What is exported of some runs."""
    return exports.figures(cells(found), synthetic_runs.SUITE.python)


def noisy(*cpu_ms: float) -> list[Run]:
    """A run for each of these CPU times a request."""
    return [
        dataclasses.replace(one, values={**one.values, "cpu_per_request_ms": value})
        for one, value in zip(runs(number=len(cpu_ms)), cpu_ms, strict=True)
    ]


def exported_cpu(*cpu_ms: float) -> dict[str, float]:
    """What Bencher gets of them."""
    found = json.loads(exports.bmf(figures(*noisy(*cpu_ms))))
    jsonschema.validate(found, BMF)
    measure: dict[str, float] = found["1.12.0/fastapi/static_async/report"]["cpu_per_request_ms"]
    return measure


def test_bmf() -> None:
    """A benchmark is a release in a scenario and profile, and has all measures that may be ranked."""
    found = json.loads(exports.bmf(figures(*runs())))
    jsonschema.validate(found, BMF)
    assert list(found) == ["1.12.0/fastapi/static_async/report"]
    measures = found["1.12.0/fastapi/static_async/report"]
    assert {"overhead_p50_ms", "cpu_per_request_ms", "throughput_rps"} <= measures.keys()


def test_bmf_has_an_interval_of_the_mean() -> None:
    """From three runs on, a measure is their mean with Student's interval at 95 %, which grows narrower with runs."""
    t = 4.302653  # of two degrees of freedom, at 95 %
    half = t * 1.0 / 3**0.5
    assert exported_cpu(10.0, 11.0, 12.0) == pytest.approx(
        {"value": 11.0, "lower_value": 11.0 - half, "upper_value": 11.0 + half}
    )
    six = exported_cpu(10.0, 11.0, 12.0, 10.0, 11.0, 12.0)
    assert six["upper_value"] - six["lower_value"] < half


@pytest.mark.parametrize("cpu_ms", [(10.0,), (10.0, 12.0)])
def test_bmf_of_few_runs_has_no_interval(cpu_ms: tuple[float, ...]) -> None:
    """One or two runs have a mean, and no interval: their range is none."""
    assert exported_cpu(*cpu_ms) == {"value": pytest.approx(sum(cpu_ms) / len(cpu_ms))}


def test_benchmark_action() -> None:
    """Only metrics of which less is better are there, with their unit and range."""
    found = json.loads(exports.benchmark_action(figures(*runs())))
    jsonschema.validate(found, SMALLER_IS_BETTER)
    names = [one["name"].split(": ")[1] for one in found]
    assert "overhead p50" in names
    assert "throughput" not in names
    assert {one["extra"] for one in found} == {"median of 3 runs"}


def test_openmetrics() -> None:
    """A Prometheus client reads the text; times are in seconds, and each figure has three statistics."""
    text = exports.openmetrics(figures(*runs()))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    overhead = families["promptflow_serving_overhead_p50_seconds"]
    assert (overhead.type, overhead.unit) == ("gauge", "seconds")
    assert {sample.labels["statistic"] for sample in overhead.samples} == {"median", "lowest", "highest"}
    (known,) = {run.values["overhead_p50_ms"] for run in runs()}
    assert known is not None
    assert overhead.samples[0].value == pytest.approx(known / 1000)
    assert "promptflow_serving_memory_end_bytes" in families


def test_hostile_names() -> None:
    """Quotation marks, backslashes and line ends in a name end neither a label nor a line."""
    text = exports.openmetrics(figures(*runs(flow='a"} 1\n# EOF\\')))
    (labels,) = {sample.labels["flow"] for family in text_string_to_metric_families(text) for sample in family.samples}
    assert labels == 'a"} 1\n# EOF\\'


def test_figures_that_must_not_be_ranked_are_left_out() -> None:
    """An invalid run is exported by no form, and latencies that are distrusted are not."""
    spoilt = [synthetic_runs.spoilt(run) for run in runs()]
    assert figures(*spoilt) == []
    assert json.loads(exports.bmf(figures(*spoilt))) == {}
    assert exports.openmetrics(figures(*spoilt)) == "# EOF"
    distrusted = synthetic_runs.run(synthetic_runs.record(), distrusted=("58 requests lack an answer",))
    names = {figure.metric.name for figure in figures(distrusted)}
    assert "cpu_per_request_ms" in names
    assert "overhead_p50_ms" not in names


def test_the_newest_conditions_speak() -> None:
    """Of runs under two conditions, which must not be pooled, the newest are exported."""
    newer = dataclasses.replace(synthetic_runs.record(number=9), python="3.11.99")
    found = figures(*runs(), synthetic_runs.run(newer))
    assert {len(figure.cell.ok) for figure in found} == {1}
    assert {figure.cell.shown.record.python for figure in found} == {"3.11.99"}
