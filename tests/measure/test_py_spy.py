"""py-spy: what it writes, and what it may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.config.errors import EnvironmentBuildError, InvalidMeasurementError, SamplerError, ServerError, SuiteError
from scripts.host.process import Finished
from scripts.measure import py_spy
from scripts.measure.py_spy import PySpy
from scripts.records.explanations import Frame
from tests.fakes.system import FakeSystem

ENV = {"HOME": "/home/nobody"}
TOOL = PySpy(path=Path("/somewhere/bin/py-spy"), version="0.4.3")
PROCESS = "process 7:\"/home/me/.envs/1/bin/python gunicorn -w 1 app:create_app(engine='x')\""
FORBIDDEN = (
    "Error: Permission Denied: Try running again with elevated permissions\nReason: Permission denied (os error 13)"
)


@pytest.mark.parametrize(
    ("frame", "module", "function"),
    [
        ("f (/home/me/.envs/1/lib/python3.11/site-packages/promptflow/core/_a.py)", "promptflow/core/_a.py", "f"),
        (
            "A.f.<locals>.<lambda> (/x/lib/python3.11/json/encoder.py)",
            "python/json/encoder.py",
            "A.f.<locals>.<lambda>",
        ),
        ("get (<frozen os>)", "python/os.py", "get"),
        ("f (<frozen importlib._bootstrap>)", "python/importlib/_bootstrap.py", "f"),
        ("__init__ (<attrs generated init a.B>)", "(generated)", "__init__"),
        ("ask (/home/me/scratch/flow/tools/ask.py)", "flow/tools/ask.py", "ask"),
        ("<module> (/home/me/.envs/1/bin/gunicorn)", "(elsewhere)/gunicorn", "<module>"),
        ("a\u202eb (/x/site-packages/y.py)", "y.py", "a?b"),
        (f"{'f' * 300} (/x/site-packages/y.py)", "y.py", "f" * 200),
    ],
)
def test_frames(frame: str, module: str, function: str) -> None:
    """A frame has no path of this machine, and no name that a record may not hold."""
    found = py_spy.parsed(f"{PROCESS};{frame} 3\n", Path("/home/me/scratch/flow"))
    assert found == {(Frame(module=module, function=function),): 3}


def test_stacks_of_several_processes_are_added() -> None:
    """A stack counts over all workers; a thread without a Python frame does not."""
    other = PROCESS.replace("process 7", "process 8")
    lines = [f"{PROCESS};a (/x/site-packages/y.py);b (/x/site-packages/y.py) 3", f"{PROCESS} 9"]
    lines.append(f"{PROCESS};{other};a (/x/site-packages/y.py);b (/x/site-packages/y.py) 2")
    frames = tuple(Frame(module="y.py", function=name) for name in "ab")
    assert py_spy.parsed("\n".join(lines), Path("/flow")) == {frames: 5}


def test_a_line_that_is_no_stack() -> None:
    """What does not end with a number is no output of py-spy."""
    with pytest.raises(InvalidMeasurementError, match="no stack"):
        py_spy.parsed("something else", Path("/flow"))


def test_a_machine_that_forbids_it(tmp_path: Path) -> None:
    """Where py-spy may not trace, the error quotes it, and says what allows it."""
    system = FakeSystem(shell=Finished(code=1, output=FORBIDDEN))
    with pytest.raises(SamplerError, match="Permission denied") as caught:
        py_spy.require(TOOL, system, ENV, tmp_path)
    assert caught.value.exit_code == 4
    assert "kernel.yama.ptrace_scope=1" in caught.value.then
    assert "SYS_PTRACE" in caught.value.then


@pytest.mark.parametrize("shell", [None, Finished(code=0, output="")])
def test_a_py_spy_that_does_nothing(tmp_path: Path, shell: Finished | None) -> None:
    """A py-spy that hangs, or that leaves no samples, is refused before any load."""
    with pytest.raises(SamplerError, match="cannot sample here"):
        py_spy.require(TOOL, FakeSystem(shell=shell), ENV, tmp_path)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (FORBIDDEN, SamplerError, "may not read the server's memory"),
        ("Error: Failed to find a python interpreter in the .data section", EnvironmentBuildError, "no symbols"),
        ("Error: Failed to find python version from target process", EnvironmentBuildError, "no symbols"),
        ("", InvalidMeasurementError, "left no samples"),
        ("thread 'main' panicked", InvalidMeasurementError, "panicked"),
    ],
)
def test_a_py_spy_that_ends_without_samples(
    tmp_path: Path, said: str, error: type[SuiteError], words: str
) -> None:  # fmt: skip
    """Why it ended is told apart: it may not, it cannot read this Python, or it died."""
    (tmp_path / "py-spy.log").write_text(said, encoding="utf-8")
    with pytest.raises(error, match=words) as caught:
        py_spy.result(tmp_path, tmp_path / "flow")
    assert type(caught.value) is error
    assert caught.value.then


def test_samples_that_could_not_be_taken_are_counted(tmp_path: Path) -> None:
    """Py-spy's own count of errors comes with the stacks."""
    (tmp_path / "py-spy.log").write_text("py-spy> Wrote raw data. Samples: 3 Errors: 12\n", encoding="utf-8")
    (tmp_path / "stacks.txt").write_text(f"{PROCESS};a (/x/site-packages/y.py) 3\n", encoding="utf-8")
    stacks, unread = py_spy.result(tmp_path, tmp_path / "flow")
    assert (sum(stacks.values()), unread) == (3, 12)


def test_a_py_spy_that_stops_before_its_time(tmp_path: Path) -> None:
    """Samples of a part of the time are none, although py-spy itself ends well."""
    (tmp_path / "py-spy.log").write_text("py-spy> Stopped sampling because process exited\n", encoding="utf-8")
    (tmp_path / "stacks.txt").write_text(f"{PROCESS};a (/x/site-packages/y.py) 3\n", encoding="utf-8")
    with pytest.raises(InvalidMeasurementError, match="stopped before its time"):
        py_spy.result(tmp_path, tmp_path / "flow")


def test_nothing_to_begin(tmp_path: Path) -> None:
    """A launcher that has ended with its server is an error, and never waited for."""
    TOOL.launcher(tmp_path)
    with pytest.raises(ServerError, match="the server's launcher has ended"):
        py_spy.begin(tmp_path)
