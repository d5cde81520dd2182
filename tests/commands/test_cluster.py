"""The command lines of a cluster: what they refuse before anything starts, and what they do without one."""

from __future__ import annotations

import importlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cluster import dask_cluster
from scripts.commands import bench, certificates, cli, count, scheduler, worker
from scripts.config.cluster_address import CA_FILE, ClusterAddress
from scripts.config.errors import Terminated, UsageError
from scripts.config.matrix import ROOT

WITH_CLUSTER = ("attribute", "bench", "capacity", "compare", "count", "find", "gate", "self_test")


def test_certificates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command makes the directory, and says what it is good for."""
    assert certificates.main([str(tmp_path / "made")]) == 0
    assert stat.S_IMODE((tmp_path / "made" / CA_FILE).stat().st_mode) == 0o600
    assert "whoever has it can run commands on every machine" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [scheduler, worker], ids=["scheduler", "worker"])
def test_plain_tcp_is_refused(verb: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither end speaks plain TCP beyond this machine, unless --insecure is typed."""
    monkeypatch.setattr(verb, "terminate_as_exception", lambda: None)
    with pytest.raises(UsageError, match="plain TCP"):
        verb.main(["tcp://10.0.0.1:8786"])  # type: ignore[attr-defined]


def test_scheduler_ends_as_its_signal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler listens where it was told, and leaves with what ended it."""
    asked: list[ClusterAddress] = []

    def serve(address: ClusterAddress, _say: object) -> BaseException:
        asked.append(address)
        return Terminated()

    monkeypatch.setattr(scheduler, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(dask_cluster, "serve_scheduler", serve)
    with pytest.raises(Terminated):
        scheduler.main(["tcp://10.0.0.1:8786", "--insecure"])
    assert [one.url for one in asked] == ["tcp://10.0.0.1:8786"]


@pytest.mark.parametrize("options", [["--name", "../a"], ["--port", "-1"], ["--port", "65536"]])
def test_worker_options(options: list[str]) -> None:
    """A name that is no name and a port that is none are refused."""
    with pytest.raises(UsageError, match=r"--name|--port"):
        worker.main(["tcp://127.0.0.1:8786", *options])


@pytest.mark.parametrize("verb", WITH_CLUSTER)
def test_verbs_with_a_cluster(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb that measures many runs takes a cluster."""
    with pytest.raises(SystemExit):
        importlib.import_module(f"scripts.commands.{verb}").main(["--help"])
    assert "--cluster" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--jobs", "2"], ["--install-only"]])
def test_count_on_a_cluster(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is of this machine alone is refused beside --cluster."""
    with pytest.raises(SystemExit):
        count.main(["1.12.0", "--cluster", "local:2", *options])
    assert "leave out --cluster" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--load-processes", "2"], ["--load-workers", "2"], ["--install-only"]])
def test_bench_on_a_cluster(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Load processes and virtualenvs of this machine alone are refused beside --cluster."""
    with pytest.raises(SystemExit):
        bench.main(["1.12.0", "--cluster", "local:2", *options])
    assert "leave out --cluster" in capsys.readouterr().err


def test_no_cluster(tmp_path: Path) -> None:
    """A verb that takes none, and a command line without one, have none."""
    parser = cli.parser("compare", "it")
    assert cli.cluster(parser.parse_args([])) is None
    cli.add_cluster_options(parser)
    assert cli.cluster(parser.parse_args([])) is None
    asked = parser.parse_args(["--cluster", "local:3", "--certificates", str(tmp_path)])
    assert cli.cluster(asked) == ClusterAddress(url="", local=3)


@pytest.mark.process
def test_nothing_of_a_cluster_is_imported_without_one() -> None:
    """Without --cluster, no verb that could use one imports Dask or cryptography."""
    code = (
        "import sys, importlib\n"
        f"for verb in {WITH_CLUSTER!r}: importlib.import_module(f'scripts.commands.{{verb}}')\n"
        "print(sorted({'dask', 'distributed', 'cryptography'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
