"""What runs in a fake outside are made with: a release's virtualenv that holds a server script, and a session."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host import leftovers
from scripts.host.progress import Progress
from scripts.measure.run import Prepared, RunContext
from scripts.serving.launch import Limits
from scripts.serving.server_command import _TEMPLATE
from tests.fakes.system import FakeSystem


def prepared(tmp_path: Path, digest: str = "1" * 64) -> Prepared:
    """A release in a virtualenv that holds nothing but a server script for 2 workers; several may share it."""
    site_packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (site_packages / _TEMPLATE).parent.mkdir(parents=True, exist_ok=True)
    (site_packages / _TEMPLATE).write_text("gunicorn -w 2 -b 0.0.0.0:8080 app\n", encoding="utf-8")
    environment = Environment(
        path=tmp_path / "venv",
        python="3.11.9",
        site_packages=site_packages,
        distributions={"promptflow": "1.12.0"},
        built=False,
    )
    return Prepared(environment=environment, lock=Lock(path=tmp_path / "1.12.0.txt", digest=digest, requirements=()))


def session(outside: FakeSystem, tmp_path: Path, release: Prepared | None) -> RunContext:
    """A session whose sweeps find nothing."""
    return RunContext(
        system=outside,
        progress=Progress(outside.monotonic, Console(file=io.StringIO())),
        results=tmp_path / "results",
        scratch=tmp_path / "scratch",
        marker="marker",
        sweep=lambda: leftovers.NOTHING_LEFT,
        prepared=release,
        limits=Limits(boot_s=10.0, verify_s=5.0),
    )
