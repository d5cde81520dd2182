"""The node that stands for the call of a model: one GET of the backend, on a new connection."""

import os
import time

import aiohttp

try:
    from promptflow.core import tool
except ImportError:  # up to promptflow 1.6.0
    from promptflow import tool

TIMEOUT = aiohttp.ClientTimeout(total=300)  # gunicorn's own: the backend is not given up before the worker is
HTTP_OK = 200


@tool
async def ask_backend(content_passed: bool, privacy_passed: bool, injection_passed: bool) -> dict:
    """Return the backend's answer with the time that its call took; RuntimeError says why there is none."""
    if not (content_passed and privacy_passed and injection_passed):
        raise RuntimeError("a guard refused the question")
    endpoint = os.environ.get("MOCK_API_ENDPOINT")
    if not endpoint:
        raise RuntimeError("the environment variable MOCK_API_ENDPOINT must hold the URL of the backend")
    started = time.perf_counter()
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(endpoint) as response:
        if response.status != HTTP_OK:
            raise RuntimeError(f"the backend answered with HTTP status {response.status}")
        answer = await response.json()
    return {**answer, "pf_node_time_sec": time.perf_counter() - started, "type": "static_async"}
