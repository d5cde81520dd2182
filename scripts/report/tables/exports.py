"""The figures of all releases in the forms that other programs read: a dashboard, a tracker of benchmarks, a scraper.

Only figures that may be ranked are exported: of ok runs. Where a scenario was measured under several conditions, the
newest ones speak.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.analysis import grouping, metrics
from scripts.analysis.grouping import Cell, Spread
from scripts.analysis.metrics import Metric
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL

_FEWEST_RUNS = 3  # of an interval: two runs say next to nothing of their noise
_PREFIX = "promptflow_serving"
_SECONDS = {"ms": 1e-3, "s": 1.0}
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One metric of one release in one scenario and profile."""

    cell: Cell
    metric: Metric
    spread: Spread

    @property
    def benchmark(self) -> str:
        """Where it belongs, e.g. "1.18.5/fastapi/static_async/report"."""
        return "/".join(self.labels.values())

    @property
    def labels(self) -> dict[str, str]:
        """The same by name."""
        requested = self.cell.requested
        return {
            "release": requested.release,
            "engine": requested.engine,
            "flow": requested.flow,
            "profile": requested.profile.name,
        }


def figures(cells: Iterable[Cell], python: str) -> list[Figure]:
    """Every figure that may be ranked, once; sorted by release, scenario and profile.

    `python`: whose figures count where there are others, too, e.g. "3.11".
    """
    chosen: dict[str, list[Figure]] = {}
    for cell in grouping.best_first(cells, python):
        found = list(_of_cell(cell))
        if found:
            chosen.setdefault(found[0].benchmark, found)
    return [figure for _, found in sorted(chosen.items()) for figure in found]


def _of_cell(cell: Cell) -> Iterator[Figure]:
    for metric in metrics.of(cell.requested):
        spread = cell.spread(metric.name)
        if spread is not None and cell.counts(metric):
            yield Figure(cell=cell, metric=metric, spread=spread)


def bmf(found: Sequence[Figure]) -> str:
    """Bencher Metric Format: benchmark, measure, then the mean of the runs with the ends of its interval."""
    benchmarks: dict[str, dict[str, dict[str, float]]] = {}
    for figure in found:
        benchmarks.setdefault(figure.benchmark, {})[figure.metric.name] = _mean(figure)
    return json.dumps(benchmarks, indent=1)


def _mean(figure: Figure) -> dict[str, float]:
    """The mean of the runs; from three runs on, with Student's interval at 95 %."""
    values = np.asarray(figure.cell.values(figure.metric.name), dtype=np.float64)
    if len(values) < _FEWEST_RUNS:
        return {"value": float(values.mean())}
    mean, half = map(float, intervals.student(values, LEVEL))
    return {"value": mean, "lower_value": mean - half, "upper_value": mean + half}


def benchmark_action(found: Sequence[Figure]) -> str:
    """github-action-benchmark's `customSmallerIsBetter`: metrics of which less is better."""
    return json.dumps(
        [
            {
                "name": f"{figure.benchmark}: {figure.metric.words}",
                "unit": figure.metric.unit,
                "value": figure.spread.median,
                "range": f"{figure.spread.low:g} to {figure.spread.high:g}",
                "extra": f"median of {len(figure.cell.ok)} runs",
            }
            for figure in found
            if figure.metric.better == "lower"
        ],
        indent=1,
    )


def openmetrics(found: Sequence[Figure]) -> str:
    """OpenMetrics text, version 1.0: one gauge a metric in base units; `statistic` is median, lowest or highest."""
    families: dict[str, list[Figure]] = {}
    for figure in found:
        families.setdefault(figure.metric.name, []).append(figure)
    lines = [line for family in families.values() for line in _family(family)]
    return "\n".join([*lines, "# EOF"])


def _family(found: Sequence[Figure]) -> Iterator[str]:
    metric = found[0].metric
    name, unit, scale = _base(metric)
    yield f"# TYPE {name} gauge"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {metric.meaning.translate(_ESCAPED)}"
    for figure in found:
        spread = figure.spread
        for statistic, value in (("median", spread.median), ("lowest", spread.low), ("highest", spread.high)):
            labels = {**figure.labels, "statistic": statistic}
            text = ",".join(f'{key}="{label.translate(_ESCAPED)}"' for key, label in labels.items())
            yield f"{name}{{{text}}} {value * scale:.9g}"


def _base(metric: Metric) -> tuple[str, str, float]:
    """Name, unit and factor in base units: a name ends with its unit."""
    stem = f"{_PREFIX}_{metric.name.removesuffix(f'_{metric.unit}')}"
    if metric.unit in _SECONDS:
        return f"{stem}_seconds", "seconds", _SECONDS[metric.unit]
    return (f"{stem}_{metric.unit}", metric.unit, 1.0) if metric.unit in ("bytes", "ratio") else (stem, "", 1.0)


FORMATS: Mapping[str, Callable[[Sequence[Figure]], str]] = {
    "bmf": bmf,
    "benchmark-action": benchmark_action,
    "openmetrics": openmetrics,
}
