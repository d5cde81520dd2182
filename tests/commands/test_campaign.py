"""The verb campaign: says what it makes, goes on after what fails, tells at the end, and shares the work out."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.campaign import missing_work
from scripts.campaign.missing_work import Item, Work
from scripts.commands import bench, campaign, count
from scripts.config import matrix_file
from scripts.config.errors import (
    InvalidMeasurementError,
    NothingMeasuredError,
    ServerError,
    SuiteError,
    ValgrindError,
)
from scripts.config.shards import Shard
from scripts.host import machine
from scripts.report.pages import site
from tests.fakes import synthetic_runs, values

FLOWS = ("a", "b", "c", "d", "e", "f")


def item(verb: str, flow: str) -> Item:
    """Something that takes a minute."""
    what = f"1.12.0 flask {flow}"
    return Item(verb=verb, what=what, cell=f"report {what}", argv=("--flow", flow), expected_s=60.0)


@dataclass(kw_only=True, slots=True)
class Verbs:
    """Verbs that note how they are called, and fail where they are told to."""

    errors: dict[str, SuiteError] = field(default_factory=dict)  # by flow
    called: list[str] = field(default_factory=list)  # verb and flow
    words: list[str] = field(default_factory=list)  # of the last call

    def main(self, verb: str, argv: list[str]) -> int:
        """Print a page as every verb does, then end."""
        flow = argv[argv.index("--flow") + 1] if "--flow" in argv else "all"
        self.called.append(f"{verb} {flow}")
        self.words = argv
        sys.stdout.write(f"page of {flow}\n")
        if flow in self.errors:
            raise self.errors[flow]
        return 0


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """Six benches and two counts are missing; nothing is started."""
    made = Verbs()
    works = [
        Work(verb="bench", number=6, missing=tuple(item("bench", flow) for flow in FLOWS)),
        Work(verb="count", number=2, missing=(item("count", "a"), item("count", "b"))),
    ]
    monkeypatch.setattr(missing_work, "find", lambda *arguments: [work for work in works if work.verb in arguments[-1]])
    monkeypatch.setattr(machine, "describe", lambda: values.MACHINE)
    monkeypatch.setattr(campaign, "terminate_as_exception", lambda: None)
    called = {verb: lambda argv, verb=verb: made.main(verb, argv) for verb in missing_work.VERBS}
    monkeypatch.setattr(campaign, "_VERBS", called)
    return made


def test_all_items_are_made(verbs: Verbs, capsys: pytest.CaptureFixture[str]) -> None:
    """Each item is a call of its verb, in order; standard output has the answer alone."""
    assert campaign.main([]) == 0
    assert verbs.called == [*(f"bench {flow}" for flow in FLOWS), "count a", "count b"]
    out, err = capsys.readouterr()
    assert out == "8 of 8 items are complete\n"
    assert "8 item(s), about 8 minutes" in err
    assert "item 3 of 8, about 6 minutes left: bench 1.12.0 flask c" in err
    assert "page of a" in err


def test_options_reach_the_verbs(verbs: Verbs, tmp_path: Path) -> None:
    """How a run is made, and where it is recorded, is the same for every item."""
    argv = ["--results", str(tmp_path), "--keep-logs", "--wait-quiet", "5m", "--quiet", "--only", "count"]
    assert campaign.main(argv) == 0
    assert verbs.words == [
        "--flow", "b", "--results", str(tmp_path), "--quiet", "--keep-logs", "--wait-quiet", "300s",
    ]  # fmt: skip


def test_a_failure_does_not_end_it(verbs: Verbs, capsys: pytest.CaptureFixture[str]) -> None:
    """The items after one that failed are made; then the end names it, with its own exit code and how to go on."""
    verbs.errors["c"] = ServerError("the server died", then="see the log")
    with pytest.raises(
        ServerError, match=r"7 of 8 items are complete; .* bench 1.12.0 flask c: the server died"
    ) as end:
        campaign.main(["--only", "bench", "--only", "count"])
    assert len(verbs.called) == 8
    assert end.value.then == "nox -s campaign -- --only bench --only count, which makes only what is missing"
    assert "bench 1.12.0 flask c" in capsys.readouterr().out


def test_counts_are_left_out_without_valgrind(verbs: Verbs) -> None:
    """What every count would end with is said once, and no other count is tried."""
    verbs.errors["a"] = ValgrindError("valgrind is missing", then="install valgrind")
    with pytest.raises(ValgrindError, match="0 of 2 items"):
        campaign.main(["--only", "count"])
    assert verbs.called == ["count a"]


@pytest.mark.parametrize(
    ("flows", "error", "called"),
    [
        ("b", NothingMeasuredError("the machine is busy", then="close it"), 2),
        ("bcd", InvalidMeasurementError("invalid", then="wait"), 4),
        ("bce", InvalidMeasurementError("invalid", then="wait"), 6),
    ],
    ids=["busy", "three in a row", "not in a row"],
)
def test_it_gives_up_where_nothing_can_be_made(verbs: Verbs, flows: str, error: SuiteError, called: int) -> None:
    """A machine that is busy, or has spoilt three items in a row, ends it; the same command goes on later."""
    verbs.errors |= dict.fromkeys(flows, error)
    with pytest.raises(type(error), match="of 6 items are complete"):
        campaign.main(["--only", "bench"])
    assert len(verbs.called) == called


def test_a_busy_machine_says_what_to_do(verbs: Verbs) -> None:
    """What ends the whole campaign says what to do about it, and that the same command goes on."""
    verbs.errors["b"] = NothingMeasuredError("the machine is busy", then="repeat this command with --wait-quiet 5m")
    with pytest.raises(NothingMeasuredError) as end:
        campaign.main(["--only", "bench"])
    assert end.value.then == "repeat this command with --wait-quiet 5m: it makes only what is missing"


def test_dry_run(verbs: Verbs, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan names each item with its time, and makes nothing."""
    assert campaign.main(["--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "bench 1.12.0 flask a: about 1.0 minutes"
    assert lines[-1] == "8 item(s), about 8 minutes, and virtualenvs that are not built"
    assert not verbs.called


def test_shards_share_the_items_out(verbs: Verbs) -> None:
    """Each item is made in one shard."""
    for number in (1, 2, 3):
        assert campaign.main(["--shard", f"{number}/3", "--only", "bench"]) == 0
    assert sorted(verbs.called) == [f"bench {flow}" for flow in FLOWS]


def test_json(verbs: Verbs, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has every item with its end, also when one failed."""
    verbs.errors["b"] = ServerError("the server died", then="see the log")
    with pytest.raises(ServerError):
        campaign.main(["--only", "bench", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "campaign"
    assert [one["complete"] for one in document["items"]] == [True, False, True, True, True, True]
    assert document["items"][1]["error"] == "the server died"


def test_nothing_is_missing(
    verbs: Verbs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """With everything there nothing is started, and the answer says so."""
    monkeypatch.setattr(missing_work, "find", lambda *_: [Work(verb="bench", number=6, missing=())])
    assert campaign.main(["--shard", "2/3"]) == 0
    assert capsys.readouterr().out.startswith("nothing is missing: in shard 2/3, everything is measured")
    assert not verbs.called


@pytest.mark.parametrize("text", ["0/4", "5/4", "a/b"])
@pytest.mark.parametrize("verb", ["campaign", "bench", "count"])
def test_a_wrong_shard_is_refused(verb: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A shard that cannot be ends every verb that takes one, before anything starts, with one that can."""
    module = {"campaign": campaign.main, "bench": bench.main, "count": count.main}[verb]
    arguments = ["1.12.0"] if verb == "bench" else []
    with pytest.raises(SystemExit) as end:
        module([*arguments, "--shard", text])
    assert end.value.code == 2
    assert "argument --shard: " in capsys.readouterr().err


def test_a_session_outside_of_the_shard_has_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bench session whose runs belong to other shards starts nothing, and ends well."""
    monkeypatch.setattr(machine, "describe", lambda: values.MACHINE)
    cell = "report 1.12.0 flask static_sync"
    other = next(n for n in range(1, 5) if not Shard(number=n, count=4).holds(cell))
    argv = ["--release", "1.12.0", "--engine", "flask", "--results", str(tmp_path), "--shard", f"{other}/4"]
    assert bench.main(argv) == 0
    assert capsys.readouterr().out == f"nothing to do: shard {other}/4 has no run of this session\n"


def test_records_of_shards_collate_as_if_made_on_one_machine(tmp_path: Path) -> None:
    """The records of all shards, copied into one folder, give the same bytes as records that were made in one place."""
    suite = matrix_file.load()
    whole, copied = tmp_path / "whole", tmp_path / "copied"
    made = [
        synthetic_runs.record(release=release, flow=flow, number=number + 10 * place)
        for place, (release, flow) in enumerate(
            (release, flow) for release in ("1.12.0", "1.13.0", "1.18.5") for flow in ("static_async", "flex_async")
        )
        for number in (1, 2)
    ]
    in_shards = 0
    for shard in (Shard(number=number, count=3) for number in (3, 1, 2)):
        for record in made:
            requested = record.requested
            cell = f"{requested.profile.name} {requested.release} {requested.engine} {requested.flow}"
            if shard.holds(cell):
                synthetic_runs.write(copied, record)
                in_shards += 1
    for record in made:
        synthetic_runs.write(whole, record)
    assert in_shards == len(made)
    assert site.derive(copied, suite).files == site.derive(whole, suite).files


def test_work_of_a_cluster(verbs: Verbs, capsys: pytest.CaptureFixture[str]) -> None:
    """On a cluster all runs of a verb are one call, which shares them out to the workers."""
    assert campaign.main(["--cluster", "tcp://192.0.2.7:8786", "--insecure", "--certificates", "keys"]) == 0
    assert verbs.called == ["bench all", "count all"]
    given = ["--cluster", "tcp://192.0.2.7:8786", "--certificates", "keys", "--insecure"]
    assert verbs.words[0] == "--missing"
    assert verbs.words[-len(given) :] == given
    assert "count 2 cells, on one worker: about 2.0 minutes" in capsys.readouterr().err


def test_mock_api_alone_is_no_work_of_a_cluster(
    verbs: Verbs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where only the mock API alone is missing, a cluster has nothing to do."""
    mock = Item(verb="bench", what="mock uvicorn mock_api", cell="report mock", argv=("--mock",), expected_s=60.0)
    monkeypatch.setattr(missing_work, "find", lambda *_: [Work(verb="bench", number=7, missing=(mock,))])
    assert campaign.main(["--cluster", "local:2"]) == 0
    assert capsys.readouterr().out.startswith("nothing is missing")
    assert not verbs.called


def test_a_shard_is_no_work_of_a_cluster(verbs: Verbs, capsys: pytest.CaptureFixture[str]) -> None:
    """A part of the work for a machine without a network is refused together with a cluster."""
    with pytest.raises(SystemExit):
        campaign.main(["--cluster", "local:2", "--shard", "1/2"])
    assert verbs.called == []
    assert "leave out --cluster" in capsys.readouterr().err
