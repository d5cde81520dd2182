"""Where sampled stacks belong, and how they are drawn."""

from __future__ import annotations

from scripts.analysis import stacks
from scripts.records.explanations import Frame

WORKER = Frame(module="uvicorn/workers.py", function="UvicornWorker.run")
RUNNER = Frame(module="python/asyncio/runners.py", function="Runner.run")
ONCE = Frame(module="python/asyncio/base_events.py", function="BaseEventLoop._run_once")
SCORE = Frame(module="promptflow/core/_serving/v2/routers/score.py", function="score")
SLEEP = Frame(module="python/asyncio/tasks.py", function="sleep")


def test_event_loops_are_drawn_alike() -> None:
    """A stack under asyncio's loop and the same stack under uvloop, which has no frames, are one in a picture."""
    under_asyncio = stacks.drawn((WORKER, RUNNER, ONCE, SCORE))
    assert under_asyncio == ["UvicornWorker.run (uvicorn)", "event loop", "score (promptflow.core)"]
    assert stacks.drawn((WORKER, RUNNER, SCORE)) == under_asyncio


def test_only_the_loop_itself_is_one_box() -> None:
    """What the served code calls of asyncio keeps its name; a stack without a loop, or in it, loses nothing."""
    assert stacks.drawn((RUNNER, SCORE, SLEEP))[-1] == "sleep (python)"
    assert stacks.drawn((WORKER, SCORE)) == ["UvicornWorker.run (uvicorn)", "score (promptflow.core)"]
    assert stacks.drawn((WORKER, RUNNER, ONCE)) == ["UvicornWorker.run (uvicorn)", "event loop"]
    assert stacks.drawn(()) == []
