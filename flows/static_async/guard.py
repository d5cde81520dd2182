"""A guard-rail: it waits for a fixed time without a thread of its own and refuses an empty question."""

import asyncio

try:
    from promptflow.core import tool
except ImportError:  # up to promptflow 1.6.0
    from promptflow import tool

WAIT_S = 0.25  # bench.toml declares it as `own_wait_s`


@tool
async def guard(question: str) -> bool:
    """Say whether the question may pass."""
    await asyncio.sleep(WAIT_S)
    return bool(question)
