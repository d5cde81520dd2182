"""The table of metrics in the glossary."""

from __future__ import annotations

import pytest

from scripts.analysis.metrics import METRICS, Metric
from scripts.report.pages import glossary_page


def rows() -> list[list[str]]:
    """The cells of all rows below the heading."""
    lines = glossary_page.metrics_table().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_glossary_has_every_metric(metric: Metric) -> None:
    """Each metric of the registry has one row with its name, unit, good direction and meaning."""
    (row,) = [row for row in rows() if row[0] == f"`{metric.name}`"]
    direction = {"lower": "lower is better", "higher": "higher is better", "-": "\u2013"}[metric.better]
    effect = "\u2013" if metric.minimum_effect is None else f"{metric.minimum_effect:.0%}".replace("%", " %")
    assert row[1:] == [metric.words, metric.unit, direction, effect, metric.meaning.replace("|", "\u00a6")]


def test_glossary_follows_the_registry() -> None:
    """It has the metrics in their order, and no other row."""
    assert [row[0] for row in rows()] == [f"`{metric.name}`" for metric in METRICS]
