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


def runs(flow: str = "static_async") -> list[Run]:
    """Three runs of one release."""
    return [synthetic_runs.run(synthetic_runs.record(flow=flow, number=number)) for number in range(1, 4)]


def figures(*found: Run) -> list[exports.Figure]:
    """What is exported of some runs."""
    return exports.figures(cells(found))


def test_bmf() -> None:
    """A benchmark is a release in a scenario and profile; each measure has its median between lowest and highest."""
    found = json.loads(exports.bmf(figures(*runs())))
    jsonschema.validate(found, BMF)
    assert list(found) == ["1.12.0/fastapi/static_async/report"]
    measures = found["1.12.0/fastapi/static_async/report"]
    assert {"overhead_p50_ms", "cpu_per_request_ms", "throughput_rps"} <= measures.keys()
    for measure in measures.values():
        assert measure["lower_value"] <= measure["value"] <= measure["upper_value"]


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
