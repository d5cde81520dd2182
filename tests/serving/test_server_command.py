"""A release's server: the command it ships, and what a good answer is."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path

import pytest

from locustfiles import answers
from scripts.config.errors import ServerError, VerificationError
from scripts.host.process import Finished, RealSystem, Reply
from scripts.serving import launch, server_command
from tests.fakes import values
from tests.fakes.system import FakeSystem, Script, reply

SCRIPTS = Path(__file__).resolve().parent.parent / "fakes" / "scripts"
OLD_APP = "promptflow._sdk._serving.app:create_app()"
FASTAPI = ("--worker-class", "uvicorn.workers.UvicornWorker")


def shipped(name: str, tmp_path: Path, **settings: str) -> tuple[str, ...]:
    """What a script starts, read by a real shell."""
    script = (SCRIPTS / f"{name}.jinja2").read_text(encoding="utf-8")
    return server_command.shipped_command(script, settings, RealSystem(), tmp_path)


def read(script: str, tmp_path: Path) -> tuple[str, ...]:
    """What a script of the test's own starts, read by a real shell."""
    return server_command.shipped_command(script, server_command.settings("flask", 2, 4), RealSystem(), tmp_path)


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "engine", "command"),
    [
        ("fixed-flask", "flask", ("-w", "8", "--threads", "1", "-b", "0.0.0.0:8080", "--timeout", "300", OLD_APP)),
        (
            "flask-by-variables",
            "flask",
            ("-w", "2", "--threads", "4", "-b", "0.0.0.0:8080", "--timeout", "300", OLD_APP),
        ),
        (
            "two-engines",
            "flask",
            (
                *("-w", "2", "--threads", "4", "-b", "0.0.0.0:8080", "--timeout", "300"),
                "promptflow.core._serving.app:create_app(engine='flask')",
            ),
        ),
        (
            "two-engines",
            "fastapi",
            (
                *(*FASTAPI, "-w", "2", "-b", "0.0.0.0:8080", "--timeout", "300"),
                "promptflow.core._serving.app:create_app(engine='fastapi')",
            ),
        ),
    ],
)
def test_shipped_command(tmp_path: Path, name: str, engine: str, command: tuple[str, ...]) -> None:
    """Each era's own script gives its own command, with the workers and threads that it lets be set."""
    assert shipped(name, tmp_path, **server_command.settings(engine, 2, 4)) == ("gunicorn", *command)


@pytest.mark.process
def test_defaults_of_the_script(tmp_path: Path) -> None:
    """What is not set is the script's own choice."""
    command = shipped("two-engines", tmp_path)
    assert (server_command.workers_of(command), server_command.threads_of(command)) == (8, 1)


@pytest.mark.process
def test_hostile_script(tmp_path: Path) -> None:
    """A script that removes or overwrites files, by whatever way, touches none; its server command is still read."""
    victim = tmp_path / "victim"
    victim.write_text("stays", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    command = shipped("hostile", tmp_path, VICTIM=str(victim))
    assert command == ("gunicorn", "-w", "8", "-b", "0.0.0.0:8080", "app")
    assert victim.read_text(encoding="utf-8") == "stays"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo nothing", "starts 0 gunicorn commands, not 1"),
        ("gunicorn -w 1 -b a x\ngunicorn -w 1 -b b y", "starts 2 gunicorn commands, not 1"),
        ("exec gunicorn -w 1 -b a x", "starts 0 gunicorn commands, not 1"),
        ("/opt/bin/gunicorn -w 1 -b a x", "starts 0 gunicorn commands, not 1"),
        ("gunicorn -w 1 x", "not 1 with one -b and one -w"),
        ("gunicorn -w 1 -b a -b b x", "not 1 with one -b and one -w"),
        ("gunicorn -b a x", "not 1 with one -b and one -w"),
        ("if", "syntax error"),
    ],
)
def test_unclear_script(tmp_path: Path, script: str, message: str) -> None:
    """A script from which no single command can be read is refused with what it said."""
    with pytest.raises(ServerError, match=message) as caught:
        read(script, tmp_path)
    assert caught.value.then


@pytest.mark.process
def test_endless_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that does not end is killed after its time, and refused."""
    monkeypatch.setattr(server_command, "_EXPAND_S", 0.3)
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"does not end: bash did not end within 0\.3 s"):
        read("while :; do :; done", tmp_path)
    assert time.monotonic() - began < 5


@pytest.mark.process
def test_arguments_stay_whole(tmp_path: Path) -> None:
    """Blanks, quotes and newlines within an argument do not divide it."""
    command = read("gunicorn -w 1 -b 'a b' \"create_app('x y')\"", tmp_path)
    assert command[-2:] == ("a b", "create_app('x y')")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("{% if %}", "cannot be rendered"),
        ("{{ env.conda_env_name", "cannot be rendered"),
        ("{{ missing.attribute.of }}", "cannot be rendered"),
        ("{{ ''.__class__.__mro__ }}", "cannot be rendered"),
    ],
)
def test_template_errors(tmp_path: Path, outside: FakeSystem, script: str, message: str) -> None:
    """A template that cannot be rendered, or reaches beyond itself, is refused before any shell sees it."""
    with pytest.raises(ServerError, match=message):
        server_command.shipped_command(script, {}, outside, tmp_path)
    assert outside.events == []


def test_no_script(tmp_path: Path) -> None:
    """A release that ships no script is refused."""
    with pytest.raises(ServerError, match="ships no server command"):
        server_command.template(tmp_path)


def test_no_command_while_the_virtualenv_is_built(tmp_path: Path, outside: FakeSystem) -> None:
    """A virtualenv that another session is building now has no command to show yet, and is no error."""
    (tmp_path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    assert server_command.of_environment(tmp_path, {}, outside) is None


def test_at() -> None:
    """Only the address is replaced."""
    command = ("gunicorn", "-w", "2", "-b", "0.0.0.0:8080", "--timeout", "300", "app")
    assert server_command.at(command, 4242) == (
        "gunicorn",
        "-w",
        "2",
        "-b",
        "127.0.0.1:4242",
        "--timeout",
        "300",
        "app",
    )


@pytest.mark.parametrize(("command", "threads"), [(("gunicorn", "--threads", "4"), 4), (("gunicorn",), 1)])
def test_threads_of(command: tuple[str, ...], threads: int) -> None:
    """A command that names no threads has one."""
    assert server_command.threads_of(command) == threads


GOOD: dict[str, object] = {"answer": values.ANSWER}
REPLIES = {
    "good": (reply(GOOD), ""),
    "more outputs": (reply(GOOD | {"other": 1}), ""),
    "at the floor": (reply(GOOD, elapsed_s=1.2495), ""),
    "no answer": (None, "no answer"),
    "status 500": (Reply(status=500, body=b"oh no", elapsed_s=2.0), "HTTP status 500: oh no"),
    "status 424": (Reply(status=424, body=b"\xff", elapsed_s=2.0), "HTTP status 424"),
    "not JSON": (Reply(status=200, body=b"<html>", elapsed_s=2.0), "not the JSON object that example should answer"),
    "no such output": (reply({"result": values.ANSWER}), "not the JSON object that example should answer"),
    "an output that is text": (reply({"answer": "yes"}), "not the JSON object that example should answer"),
    "a list": (Reply(status=200, body=b"[1]", elapsed_s=2.0), "not the JSON object that example should answer"),
    "another type": (reply({"answer": {"type": "other"}}), "type is 'other', not 'example'"),
    "no type": (reply({"answer": {}}), "type is None, not 'example'"),
    "too fast": (reply(GOOD, elapsed_s=1.2), "it answered in 1.200 s, faster than its ideal time of 1.25 s"),
}


def verify(outside: FakeSystem, tmp_path: Path, **changes: object) -> None:
    """Verify the example flow on a server that runs."""
    env = {"HOME": str(tmp_path)}
    outside.start("server", ["x", "127.0.0.1:1"], env=env, cwd=tmp_path, log=tmp_path / "server.log")
    flow = dataclasses.replace(values.flow(tmp_path), **changes)  # type: ignore[arg-type]
    server_command.verify(outside, "http://127.0.0.1:1", flow, 1.0, 5.0)


@pytest.mark.parametrize("name", REPLIES)
def test_verify(outside: FakeSystem, tmp_path: Path, name: str) -> None:
    """One request before any load: its answer is checked for status, shape, declared fields and the floor."""
    answer, message = REPLIES[name]
    outside.replies["server /score"] = answer
    if message:
        with pytest.raises(VerificationError, match=message) as caught:
            verify(outside, tmp_path)
        assert caught.value.message.startswith("example does not verify: ")
    else:
        verify(outside, tmp_path)


def test_verify_without_declarations(outside: FakeSystem, tmp_path: Path) -> None:
    """A flow that declares nothing is content with any JSON object, as fast as it comes."""
    outside.replies["server /score"] = Reply(status=200, body=b"{}", elapsed_s=0.01)
    verify(outside, tmp_path, answer={}, answer_in=None, own_wait_s=None)
    assert outside.events[-1] == "POST server /score"


DECLARED: tuple[tuple[str | None, dict[str, object]], ...] = (
    (None, {}),
    (None, {"type": "example"}),
    ("answer", {"type": "example"}),
)
JUDGED = {  # whether a reply is good under each of these declarations
    b"{}": (True, False, False),
    b'{"type": "example"}': (True, True, False),
    b'{"type": "other"}': (True, False, False),
    b'{"answer": {"type": "example"}}': (True, False, True),
    b'{"answer": {"type": "other"}}': (True, False, False),
    b'{"answer": {}}': (True, False, False),
    b'{"answer": "example"}': (True, False, False),
    b'{"answer": null}': (True, False, False),
    b'{"answer": ["type"]}': (True, False, False),
    b'["answer"]': (False, False, False),
    b'"answer"': (False, False, False),
    b"null": (False, False, False),
    b"1": (False, False, False),
    b"<html>": (False, False, False),
    b"\xff": (False, False, False),
    b"": (False, False, False),
}


@pytest.mark.parametrize("body", JUDGED)
def test_verified_as_under_load(tmp_path: Path, body: bytes) -> None:
    """A reply is good before the load exactly when it is good under load, whatever the flow declares."""
    for (answer_in, fields), good in zip(DECLARED, JUDGED[body], strict=True):
        flow = dataclasses.replace(values.flow(tmp_path), answer_in=answer_in, answer=fields, own_wait_s=None)
        assert (server_command._what_is_wrong(Reply(status=200, body=body, elapsed_s=1.0), flow, 1.0) == "") is good
        with contextlib.nullcontext() if good else pytest.raises(answers.WrongAnswerError):
            answers.Expected(answer_in=answer_in, fields=fields).check(body)


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (reply({"version": "1.11.0"}), "1.11.0"),
        (reply({"build": 3}), ""),
        (Reply(status=404, body=b"{}", elapsed_s=0.1), ""),
        (Reply(status=200, body=b"1.12.0", elapsed_s=0.1), ""),
        (Reply(status=200, body=b"<html>", elapsed_s=0.1), ""),
        (None, ""),
    ],
)
def test_wrong_version(outside: FakeSystem, tmp_path: Path, answer: Reply | None, version: str) -> None:
    """A server of another version, or of none that it reports, is refused; the next step depends on which."""
    outside.replies["server /version"] = answer
    env = {"HOME": str(tmp_path)}
    outside.start("server", ["x", "127.0.0.1:1"], env=env, cwd=tmp_path, log=tmp_path / "server.log")
    log = tmp_path / "server.log"
    said = f"promptflow {version}, not 1.12.0" if version else "does not answer /version; its last lines:\n    starting"
    with pytest.raises(VerificationError, match=said) as caught:
        server_command.require_version(server_command.live_version(outside, "http://127.0.0.1:1"), "1.12.0", log)
    assert (caught.value.then == f"see {log}") is not bool(version)


def test_a_server_that_is_refused_a_thread(tmp_path: Path) -> None:
    """Where the system refused a server a process or a thread, the next step is the limit, and the log is named."""
    log = tmp_path / "server.log"
    log.write_text("RuntimeError: can't start new thread\n", encoding="utf-8")
    with pytest.raises(VerificationError, match="does not answer /version") as caught:
        server_command.require_version("", "1.12.0", log)
    assert caught.value.then.startswith("raise the limit of processes (ulimit -u")
    assert str(log) in caught.value.then


@pytest.mark.parametrize(("code", "how"), [(3, "ended with exit code 3"), (-9, "was killed by signal 9")])
def test_require_alive(outside: FakeSystem, tmp_path: Path, code: int, how: str) -> None:
    """The error about a child that has ended has how it ended, the last lines of its log, and its path."""
    outside.scripts["server"] = [Script(ends_s=0.0, code=code, says="".join(f"line {n}\n" for n in range(20)))]
    log = tmp_path / "server.log"
    child = outside.start("server", ["x"], env={"HOME": str(tmp_path)}, cwd=tmp_path, log=log)
    with pytest.raises(ServerError, match=how) as caught:
        server_command.require_alive(child)
    assert "line 19" in caught.value.message
    assert "line 7\n" not in caught.value.message
    assert caught.value.then == f"see {log}"


def test_long_log_is_quoted_from_its_end(tmp_path: Path) -> None:
    """Of a log as long as half an hour of load makes it, only the end is read, and all of a short one."""
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        stream.truncate(3 * 2**30)  # sparse
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nthe last line\n")
    assert server_command.last_lines(log, 1) == "    the last line"
    log.write_text("one\ntwo\n", encoding="utf-8")
    assert server_command.last_lines(log) == "    one\n    two"


def test_children_get_an_allow_list(tmp_path: Path) -> None:
    """Children get a home of their own, the marker, and nothing of the user's environment but an allow-list."""
    outer = {"PATH": "/bin", "LANG": "C", "PYTHONDONTWRITEBYTECODE": "1", "AWS_SECRET": "x", "HOME": "/home/me"}
    assert launch.child_environment(outer, tmp_path, "m") == {
        "PATH": "/bin",
        "LANG": "C",
        "HOME": str(tmp_path),
        "PROMPTFLOW_SERVE_BENCH": "m",
    }


def test_served_copy(tmp_path: Path) -> None:
    """The flow is served from a copy of all of its files, without what Python or promptflow wrote there."""
    mine = values.write_flow(tmp_path / "mine", node__py="x = 1\n")
    for inner in ("data", "__pycache__", ".promptflow"):
        (mine / inner).mkdir()
        (mine / inner / "file").touch()
    copy = launch.copy_flow(values.flow(mine), tmp_path / "copy")
    found = sorted(str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file())
    assert found == ["data/file", "flow.flex.yaml", "node.py", "request.json"]


def test_broken_shell(tmp_path: Path) -> None:
    """A shell that says nothing is a script without a command."""
    with pytest.raises(ServerError, match="starts 0 gunicorn commands"):
        server_command.shipped_command("gunicorn", {}, FakeSystem(shell=Finished(code=127, output="")), tmp_path)
