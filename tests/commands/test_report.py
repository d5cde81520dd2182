"""The report command on real files."""

from __future__ import annotations

import base64
import gzip
import json
import re
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from scripts.commands import report
from scripts.config.errors import NothingMeasuredError, UsageError
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

OLD, NEW = "1.17.0", "1.18.5"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A single run, a campaign of two releases, and a record that cannot be read."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(release=NEW))
    for run in campaign((OLD, NEW), 5, profile="report"):
        synthetic_runs.write(tmp_path, run.record)
    broken = tmp_path / "runs" / "report" / NEW / "fastapi-static_async" / "20261101T000000Z-bad000"
    broken.mkdir(parents=True)
    (broken / "record.json").write_text("{", encoding="utf-8")
    return tmp_path


def document(path: Path) -> dict[str, Any]:
    """What the file shows."""
    (data,) = re.findall(r'id="data">([^<]*)<', path.read_text(encoding="utf-8"))
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(data)))
    return found


def test_file(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file holds rows, runs with their curves, and any two releases; what cannot be read is named."""
    assert report.main(["--results", str(results)]) == 0
    out, said = capsys.readouterr()
    assert f"wrote {results / 'report.html'}: 11 runs" in out
    assert "skipped runs/report/1.18.5/fastapi-static_async/20261101T000000Z-bad000: " in said
    found = document(results / "report.html")
    assert found["skipped"] == [line.removeprefix("skipped ") for line in said.splitlines() if "skipped" in line]
    places = {metric["name"]: place for place, metric in enumerate(found["metrics"])}
    (row,) = found["rows"]
    assert (row["release"], row["runs"], row["usable"]) == (NEW, 1, True)
    assert row["values"][places["cpu_per_request_ms"]] > 0
    assert row["values"][places["instructions_per_request"]] is None
    (pair,) = found["pairs"]
    assert (pair["old"], pair["new"], pair["rounds"], pair["profile"]) == (OLD, NEW, 5, "report")
    verdicts = {change["metric"]: change["verdict"] for change in pair["changes"]}
    assert verdicts["cpu_per_request_ms"] == "within threshold"
    run = next(run for run in found["runs"] if not run["campaign"])
    assert len(run["curves"]["requests"]) == 60
    assert len(run["curves"]["response_ms"]) == len(found["percentiles"])
    assert found["distributions"][OLD]["promptflow"] == OLD


def test_invalid_runs_are_there_and_must_not_be_ranked(tmp_path: Path) -> None:
    """A release with an invalid run alone has a row and a run, with the outcome and the reason."""
    made = synthetic_runs.record(release=NEW, outcome="failed", reasons=("the server ended",))
    synthetic_runs.write(tmp_path, made)
    assert report.main(["--results", str(tmp_path)]) == 0
    found = document(tmp_path / "report.html")
    ((row,), (run,)) = found["rows"], found["runs"]
    assert (row["usable"], row["outcome"], run["usable"]) == (False, "failed", False)
    assert run["reasons"] == ["the server ended"]


def test_output_elsewhere(results: Path, tmp_path: Path) -> None:
    """`--output` names another file; a folder that is missing is an error with the command that makes it."""
    other = tmp_path / "page.html"
    assert report.main(["--results", str(results), "--output", str(other)]) == 0
    assert other.is_file()
    assert not (results / "report.html").exists()
    with pytest.raises(UsageError) as caught:
        report.main(["--results", str(results), "--output", str(tmp_path / "none" / "page.html")])
    assert caught.value.then.startswith(f"mkdir -p {tmp_path / 'none'}")


def test_open(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--open` shows the file in a browser, and says so where there is none."""
    opened: list[str] = []

    def browser(address: str) -> bool:
        opened.append(address)
        return False

    monkeypatch.setattr(webbrowser, "open", browser)
    assert report.main(["--results", str(results), "--open"]) == 0
    assert opened == [(results / "report.html").as_uri()]
    assert "open the file yourself" in capsys.readouterr().out


def test_no_records(tmp_path: Path) -> None:
    """Without a record there is nothing to show: an error, and no file."""
    with pytest.raises(NothingMeasuredError):
        report.main(["--results", str(tmp_path)])
    assert not list(tmp_path.iterdir())
