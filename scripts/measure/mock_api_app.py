"""The mock API: the backend that every flow asks. It stands for a model that takes its time to answer.

A FastAPI application for a single uvicorn process. It imports nothing of ours, and reads its settings
from the environment once, when it is imported:
  MIN_WAIT_TIME_SEC, MAX_WAIT_TIME_SEC  bounds of the wait of one answer, in seconds (1 and 1)
  MOCK_SEED                             seed of the waits, an integer (42)
"""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request


class SettingsError(ValueError):
    """The environment says something that is not a wait or a seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How long answers take."""

    min_wait_s: float
    max_wait_s: float
    seed: int


@dataclass(kw_only=True, slots=True)
class Counts:
    """Calls of `GET /`; a caller that goes away while it waits is received and not answered."""

    received: int = 0
    answered: int = 0


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Check the environment; SettingsError names the variable."""
    least, most = (_seconds(environment, name) for name in ("MIN_WAIT_TIME_SEC", "MAX_WAIT_TIME_SEC"))
    if most < least:
        raise SettingsError(f"MAX_WAIT_TIME_SEC ({most:g}) is less than MIN_WAIT_TIME_SEC ({least:g})")
    seed = environment.get("MOCK_SEED", "42")
    try:
        return Settings(min_wait_s=least, max_wait_s=most, seed=int(seed))
    except ValueError as error:
        raise SettingsError(f"MOCK_SEED must be an integer, not {seed!r}") from error


def _seconds(environment: Mapping[str, str], name: str) -> float:
    text = environment.get(name, "1")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:  # false for nan, too
        raise SettingsError(f"{name} must be a number of seconds, not {text!r}")
    return value


def create_app(settings: Settings) -> FastAPI:
    """Build the application with its own random numbers and counts."""
    api = FastAPI(title="Mock API")
    draws = random.Random(settings.seed)  # noqa: S311 - waits must repeat, not surprise
    counts = Counts()

    @api.get("/")
    async def answer(request: Request) -> dict[str, float]:
        """Answer after a wait; `total_time_sec` is the wait that was drawn, not the one that passed."""
        counts.received += 1
        wait_s = draws.uniform(settings.min_wait_s, settings.max_wait_s)
        await asyncio.sleep(wait_s)
        # uvicorn lets a handler go on after its caller has gone, so that has to be asked.
        counts.answered += not await request.is_disconnected()
        return {
            "total_time_sec": wait_s,
            "min_wait_time_sec": settings.min_wait_s,
            "max_wait_time_sec": settings.max_wait_s,
        }

    @api.get("/health")
    async def health() -> dict[str, str]:
        """Say that the application serves."""
        return {"status": "ok"}

    @api.get("/counts")
    async def count() -> dict[str, int]:
        """Tell how many calls of `GET /` have come in and been answered so far."""
        return {"received": counts.received, "answered": counts.answered}

    return api


app = create_app(read_settings(os.environ))
