"""Stands for aiohttp in the tests of flows: one GET on a new connection, made by urllib in a thread."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self


class ClientTimeout:
    """Accepted and kept."""

    def __init__(self, total: float) -> None:
        self.total = total


class Response:
    """Status and body of an answer."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = body

    async def json(self) -> object:
        """Decode the body."""
        return json.loads(self._body)


class ClientSession:
    """A session that keeps nothing."""

    def __init__(self, timeout: ClientTimeout) -> None:
        self._timeout_s = timeout.total

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[Response]:
        """Send a GET."""
        yield await asyncio.to_thread(self._get, url)

    def _get(self, url: str) -> Response:
        try:
            with urllib.request.urlopen(url, timeout=self._timeout_s) as reply:  # noqa: S310 - loopback
                return Response(reply.status, reply.read())
        except urllib.error.HTTPError as error:
            return Response(error.code, b"")
