"""A guard-rail: it occupies its thread for a fixed time and refuses an empty question."""

import time

try:
    from promptflow.core import tool
except ImportError:  # up to promptflow 1.6.0
    from promptflow import tool

WAIT_S = 0.25  # bench.toml declares it as `own_wait_s`


@tool
def guard(question: str) -> bool:
    """Say whether the question may pass."""
    time.sleep(WAIT_S)
    return bool(question)
