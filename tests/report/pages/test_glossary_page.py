"""The table of metrics in the glossary."""

from __future__ import annotations

import pytest

from scripts.analysis.metrics import METRICS, Metric
from scripts.config.errors import UsageError
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
    effect = "\u2013" if metric.minimum_effect is None else f"{metric.minimum_effect * 100:g} %"
    assert row[1:] == [metric.words, metric.unit, direction, effect, metric.meaning.replace("|", "\u00a6")]


def test_glossary_follows_the_registry() -> None:
    """It has the metrics in their order, and no other row."""
    assert [row[0] for row in rows()] == [f"`{metric.name}`" for metric in METRICS]


def test_only_the_table_is_made_again() -> None:
    """What people have written around the table stays as it is."""
    page = f"# Glossary\n\n{glossary_page.BEGIN}\n\nan old table\n\n{glossary_page.END}\n\nThe end.\n"
    made = glossary_page.with_metrics(page)
    assert made.startswith(f"# Glossary\n\n{glossary_page.BEGIN}\n\n| Name")
    assert made.endswith(f"\n\n{glossary_page.END}\n\nThe end.\n")
    assert glossary_page.with_metrics(made) == made


@pytest.mark.parametrize("page", ["", glossary_page.BEGIN, glossary_page.END])
def test_a_glossary_without_its_marks_is_refused(page: str) -> None:
    """Without the lines around the table nothing is overwritten."""
    with pytest.raises(UsageError, match=r"docs/glossary\.md lacks the lines"):
        glossary_page.with_metrics(page)
