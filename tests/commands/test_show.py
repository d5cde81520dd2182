"""What recorded campaigns say of two releases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.commands import show
from scripts.config.errors import NothingMeasuredError, UsageError
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

CPU = "cpu_per_request_ms"


def recorded(
    results: Path, releases: tuple[str, ...], rounds: int = 5, name: str = "c0ffee123456", first: int = 1
) -> None:
    """Write a campaign without figures of its own."""
    for run in campaign(releases, rounds, name=name, first=first, profile="report"):
        synthetic_runs.write(results, run.record)


def shown(results: Path, *argv: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the verb prints."""
    assert show.main([*argv, "--results", str(results)]) == 0
    return capsys.readouterr().out


def test_two_arms_of_a_campaign_over_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Releases that are no neighbours are compared within the rounds that they share, in the order that was typed."""
    recorded(tmp_path, ("1.10.0", "1.11.0", "1.12.0"))
    text = shown(tmp_path, "1.12.0", "1.10.0", capsys=capsys)
    assert text.startswith("# 1.10.0 against 1.12.0")
    assert "## fastapi static_async: 1.10.0 against 1.12.0" in text
    assert "1.11.0" not in text
    assert "5 interleaved rounds" in text


def test_of_several_campaigns_the_one_with_most_rounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One table for each scenario and profile."""
    recorded(tmp_path, ("1.10.0", "1.12.0"), rounds=4, name="aaaaaa123456")
    recorded(tmp_path, ("1.10.0", "1.12.0"), rounds=6, name="bbbbbb123456", first=50)
    document = json.loads(shown(tmp_path, "1.10.0", "1.12.0", "--json", capsys=capsys))
    assert (document["schema"], document["kind"], document["title"]) == (1, "comparison", "1.12.0 against 1.10.0")
    (one,) = document["comparisons"]
    assert (one["campaign"], one["rounds"], one["profile"]) == ("bbbbbb123456", 6, "report")
    (cpu,) = [metric for metric in one["metrics"] if metric["metric"] == CPU]
    assert (cpu["change"], cpu["verdict"]) == (0.0, "within threshold")
    assert one["packages"] == [{"name": "promptflow", "before": "1.10.0", "after": "1.12.0"}]


@pytest.mark.parametrize(
    ("argv", "error", "message"),
    [
        (("1.10.0", "1.12.0"), NothingMeasuredError, "no recorded campaign has both 1.10.0 and 1.12.0"),
        (("1.10.0", "1.10.0"), UsageError, "1.10.0 is named twice"),
        (("1.10.0", "1.99.0"), UsageError, "unknown release '1.99.0'"),
    ],
)
def test_what_cannot_be_shown(tmp_path: Path, argv: tuple[str, ...], error: type[Exception], message: str) -> None:
    """What is not recorded, one release twice, and a release that does not exist are refused by name."""
    recorded(tmp_path, ("1.10.0", "1.11.0"))
    with pytest.raises(error, match=message):
        show.main([*argv, "--results", str(tmp_path)])
