"""Flow directories: what they must hold, and what changes their digest."""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.config import flows
from scripts.config.errors import UsageError
from tests.fakes.values import write_flow

BENCH = 'own_wait_s = 1\nanswer_in = "answer"\n[answer]\ntype = "mine"\n'


def test_whole(tmp_path: Path) -> None:
    """A flow directory is read with its request, byte for byte, and what bench.toml declares."""
    found = flows.read(write_flow(tmp_path / "mine", bench__toml=BENCH))
    assert (found.name, found.request) == ("mine", b'{"question": "why"}')
    assert (found.own_wait_s, found.answer_in, found.answer) == (1.0, "answer", {"type": "mine"})


def test_without_declarations(tmp_path: Path) -> None:
    """Without bench.toml nothing is expected of an answer, and there is no floor."""
    found = flows.read(write_flow(tmp_path / "mine"))
    assert (found.own_wait_s, found.answer_in, found.answer) == (None, None, {})


@pytest.mark.parametrize("definition", ["flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml"])
def test_definitions(tmp_path: Path, definition: str) -> None:
    """Each of promptflow's names of a flow definition is taken."""
    mine = write_flow(tmp_path / "mine")
    (mine / "flow.flex.yaml").rename(mine / definition)
    assert flows.read(mine).name == "mine"


@pytest.mark.parametrize(
    ("bench", "message"),
    [
        ("own_wait_s =", "bench.toml cannot be read"),
        ("own_wait = 1", "unknown key own_wait; did you mean 'own_wait_s'?"),
        ("own_wait_s = '1'", "own_wait_s must be a number of seconds, not negative"),
        ("own_wait_s = true", "own_wait_s must be a number of seconds, not negative"),
        ("own_wait_s = nan", "own_wait_s must be a number of seconds, not negative"),
        ("own_wait_s = inf", "own_wait_s must be a number of seconds, not negative"),
        ("own_wait_s = -0.1", "own_wait_s must be a number of seconds, not negative"),
        ("answer_in = 1", "answer_in must be the name of an output"),
        ("answer = 'x'", r"\[answer\] must be a table"),
    ],
)
def test_bad_declaration(tmp_path: Path, bench: str, message: str) -> None:
    """A mistake in bench.toml is refused by its key."""
    with pytest.raises(UsageError, match=message):
        flows.read(write_flow(tmp_path / "mine", bench__toml=bench))


def test_no_request(tmp_path: Path) -> None:
    """A flow without request.json is refused with where to write it."""
    mine = write_flow(tmp_path / "mine")
    (mine / "request.json").unlink()
    with pytest.raises(UsageError, match=r"flow 'mine' has no request.json") as caught:
        flows.read(mine)
    assert str(mine / "request.json") in caught.value.then


@pytest.mark.parametrize(("request_body", "message"), [("{", "cannot be read"), ("[1]", "is not a JSON object")])
def test_bad_request(tmp_path: Path, request_body: str, message: str) -> None:
    """A request that is no JSON object is refused."""
    with pytest.raises(UsageError, match=message):
        flows.read(write_flow(tmp_path / "mine", request__json=request_body))


def test_no_definition(tmp_path: Path) -> None:
    """A directory without a flow definition is refused with the names it may have."""
    mine = write_flow(tmp_path / "mine")
    (mine / "flow.flex.yaml").unlink()
    with pytest.raises(UsageError, match=r"has none of flow.dag.yaml"):
        flows.read(mine)


def test_bad_name(tmp_path: Path) -> None:
    """A directory whose name could not stand in a path of results is refused."""
    with pytest.raises(UsageError, match="a name has letters, digits"):
        flows.read(write_flow(tmp_path / "my flow"))


def test_no_such_directory() -> None:
    """What is neither a flow of the suite nor a directory is refused with the nearest flow."""
    with pytest.raises(UsageError, match=r"unknown flow 'flexasync'.*did you mean 'flex_async'"):
        flows.find("flexasync")


def _edit(mine: Path) -> None:
    (mine / "node.py").write_text("x = 2\n", encoding="utf-8")


def _rename(mine: Path) -> None:
    (mine / "node.py").rename(mine / "other.py")


def _add(mine: Path) -> None:
    (mine / "more").mkdir()
    (mine / "more" / "empty.txt").touch()


def _request(mine: Path) -> None:
    (mine / "request.json").write_text("{}", encoding="utf-8")


def _caches(mine: Path) -> None:
    for name in ("__pycache__", ".promptflow", ".runs", ".git"):
        (mine / name).mkdir()
        (mine / name / "x").write_text("x", encoding="utf-8")


def _virtualenv(mine: Path) -> None:
    (mine / "env").mkdir()
    for name in ("pyvenv.cfg", "x.py"):
        (mine / "env" / name).touch()


def _linked_directory(mine: Path) -> None:
    (mine / "again").symlink_to(mine, target_is_directory=True)


def _hidden_file(mine: Path) -> None:
    (mine / ".editor.swp").touch()


def _linked_file(mine: Path) -> None:
    (mine / "also.py").symlink_to(mine / "node.py")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        *((_edit, False), (_rename, False), (_add, False), (_request, False), (_linked_file, False)),
        *((_caches, True), (_virtualenv, True), (_linked_directory, True), (_hidden_file, True)),
    ],
)
def test_digest(tmp_path: Path, change: Callable[[Path], None], *, same: bool) -> None:
    """The digest changes with the content or name of any file, and not with what is hidden, linked or a virtualenv."""
    mine = write_flow(tmp_path / "mine", node__py="x = 1\n")
    before = flows.read(mine).digest
    change(mine)
    assert (flows.read(mine).digest == before) is same


def test_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    """The same files elsewhere have the same digest."""
    first, second = (flows.read(write_flow(tmp_path / place / "mine", a__py="1")) for place in ("here", "there"))
    assert first.digest == second.digest


@pytest.mark.fault
def test_pipe_or_device_in_a_flow_is_refused(tmp_path: Path) -> None:
    """A pipe as request.json or bench.toml would wait for ever; it is named instead, and so is a device."""
    for name in (flows.REQUEST_FILE, flows.BENCH_FILE):
        for device in ("", "/dev/zero"):
            path = tmp_path / f"{name}-{bool(device)}"
            shutil.copytree(flows.FLOWS / "static_async", path)
            (path / name).unlink()
            (path / name).symlink_to(device) if device else os.mkfifo(path / name)
            with pytest.raises(UsageError, match="it is a pipe, a device or a socket, not a file"):
                flows.read(path)


@pytest.mark.fault
def test_deep_nesting_in_a_flow_is_refused(tmp_path: Path) -> None:
    """Nesting that no parser can follow, and a number that overflows, are mistakes of that file."""
    path = tmp_path / "deep"
    shutil.copytree(flows.FLOWS / "static_async", path)
    bench = (path / flows.BENCH_FILE).read_text(encoding="utf-8")
    for text in (f"answer = {'[' * 50_000}", f"own_wait_s = 1{'0' * 400}", f"own_wait_s = 1{'0' * 5000}"):
        (path / flows.BENCH_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"bench\.toml"):
            flows.read(path)
    (path / flows.BENCH_FILE).write_text(bench, encoding="utf-8")
    (path / flows.REQUEST_FILE).write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(UsageError, match=r"request\.json cannot be read"):
        flows.read(path)


@pytest.mark.fault
def test_large_file_of_a_flow_is_read_in_pieces(tmp_path: Path) -> None:
    """The digest of a flow with a file of 300 MB takes a few MB of memory."""
    path = tmp_path / "large"
    shutil.copytree(flows.FLOWS / "static_async", path)
    with (path / "model.bin").open("wb") as stream:
        stream.truncate(300 * 2**20)  # sparse
    tracemalloc.start()
    try:
        flows.read(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
