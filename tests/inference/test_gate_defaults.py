"""What a gate judges by default."""

from __future__ import annotations

import math

from scripts.analysis.metrics import METRICS
from scripts.config.matrix import ROOT
from scripts.inference import gate_defaults
from scripts.inference.gate_defaults import DEFAULTS, FAILURES


def test_defaults_are_metrics_of_which_less_is_better() -> None:
    """Their thresholds are meant upwards."""
    lower = {metric.name for metric in METRICS if metric.better == "lower"}
    assert {one.metric for one in DEFAULTS} <= lower


def test_limits_are_log_ratios_but_of_failures() -> None:
    """4 % of CPU time is log(1.04); 0.2 % of the requests is 0.002."""
    limits = gate_defaults.limits()
    assert limits["cpu_per_request_ms"] == math.log1p(0.04)
    assert limits[FAILURES] == 0.002


def test_the_document_has_the_table() -> None:
    """Every metric in a row with what is allowed, as `--max` takes it."""
    rows = [row for row in (ROOT / "docs/comparing.md").read_text(encoding="utf-8").splitlines() if row[:3] == "| `"]
    units = {metric.name: metric.unit for metric in METRICS}
    for one in DEFAULTS:
        short = one.metric.removesuffix(f"_{units[one.metric]}") if one.metric != FAILURES else one.metric
        assert [row for row in rows if f"`{short}`" in row and f"| +{one.allowed * 100:g} %" in row], short
