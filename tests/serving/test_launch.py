"""What starts a release's server."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.config.errors import ServerError
from scripts.environments.virtualenvs import Environment
from scripts.host.process import RealSystem
from scripts.serving import launch
from scripts.serving.launch import Limits

pytestmark = pytest.mark.process


@pytest.mark.fault
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("", "Exec format error"),
        ("#!/nowhere/python\n", "No such file or directory"),
        (None, "No such file or directory"),
    ],
    ids=["emptied", "its Python is gone", "gone"],
)
def test_a_damaged_server_script_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    """A server script that cannot be started ends in an error that names the virtualenv and how to build it again."""
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    environment = Environment(
        path=tmp_path / ".envs" / "1.12.0",
        python="3.11.9",
        site_packages=tmp_path,
        distributions={},
        built=False,
    )
    gunicorn = environment.command("gunicorn")
    gunicorn.parent.mkdir(parents=True)
    if script is not None:
        gunicorn.write_text(script, encoding="utf-8")
        gunicorn.chmod(0o755)
    shipped = ("gunicorn", "-w", "2", "-b", "0.0.0.0:8080", "app")
    with ExitStack() as stack, pytest.raises(ServerError) as caught:
        launch.boot_release(RealSystem(), stack, shipped, environment, tmp_path, {}, Limits(), tmp_path / "log")
    assert caught.value.message == f"the virtualenv is damaged: bin/gunicorn cannot be started: {said}"
    assert caught.value.then == "rm -r .envs/1.12.0, then repeat this command"
