"""The same work as the DAG flows in one class: three guards in parallel, then one GET of the backend."""

import asyncio
import os
import time
from typing import TypedDict

import aiohttp

WAIT_S = 0.25  # of each guard; bench.toml declares it as `own_wait_s`
TIMEOUT = aiohttp.ClientTimeout(total=300)  # gunicorn's own: the backend is not given up before the worker is
HTTP_OK = 200


class Answer(TypedDict):
    """The reply; promptflow accepts no plain `dict` as the type of what a class returns."""

    total_time_sec: float  # these three are the backend's
    min_wait_time_sec: float
    max_wait_time_sec: float
    pf_node_time_sec: float  # how long the call of the backend took
    type: str


async def _guard(question: str) -> bool:
    await asyncio.sleep(WAIT_S)
    return bool(question)


async def _ask_backend() -> Answer:
    endpoint = os.environ.get("MOCK_API_ENDPOINT")
    if not endpoint:
        raise RuntimeError("the environment variable MOCK_API_ENDPOINT must hold the URL of the backend")
    started = time.perf_counter()
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(endpoint) as response:
        if response.status != HTTP_OK:
            raise RuntimeError(f"the backend answered with HTTP status {response.status}")
        answer = await response.json()
    return {**answer, "pf_node_time_sec": time.perf_counter() - started, "type": "flex_async"}


class GuardedBackend:
    """The flow; promptflow makes one of it in each worker."""

    def __init__(self) -> None:
        """Take nothing; it is here because promptflow 1.12.0 does not serve a class without it."""

    async def __call__(self, question: str, chat_history: list) -> Answer:  # noqa: ARG002 - promptflow passes it
        """Return the backend's answer with its own duration; RuntimeError says why there is none."""
        if not all(await asyncio.gather(*(_guard(question) for _ in range(3)))):
            raise RuntimeError("a guard refused the question")
        return await _ask_backend()
