"""Waiting for a real server that a test has started."""

from __future__ import annotations

import socket
import time


def wait_for_port(port: int) -> None:
    """Wait until something listens on loopback; TimeoutError after 15 s."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")
