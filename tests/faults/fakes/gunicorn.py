"""A server that fails on request: stands where gunicorn stands in a release's virtualenv.

A master binds and forks workers that answer /health, /version and /score, as promptflow's server does. How it
behaves is read from behaviour.json in the working directory, which is the copy of the flow. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import ClassVar

_NOBODY = 65534


class Worker(ThreadingHTTPServer):
    """Serves a socket that the master has bound."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, master: int, behaviour: dict[str, str]) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.master = master
        self.behaviour = behaviour
        self.scored = 0


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    server: Worker
    bodies: ClassVar[dict[str, object]] = {
        "ok": {"answer": {"type": "fake", "total_time_sec": 0.0, "pf_node_time_sec": 0.0}},
        "long_ago": {"answer": {"type": "fake", "total_time_sec": -1e9, "pf_node_time_sec": 0.0}},
        "not_a_number": {"answer": {"type": "fake", "total_time_sec": float("nan"), "pf_node_time_sec": 0.0}},
        "slow": {"answer": {"type": "fake"}},
        "wrong": {"answer": {"type": "something else"}},
        "status500": {"error": {"message": "the flow raised"}},
    }

    def do_GET(self) -> None:
        """Health and version."""
        self._reply(200, {"status": "Healthy", "version": self.server.behaviour["version"]})

    def do_POST(self) -> None:
        """Answer as set, and fall over under load if set so."""
        self.rfile.read(int(self.headers["Content-Length"]))
        note(self.server.behaviour, "score")
        answer = self.server.behaviour["answer"]
        if answer == "hang":
            time.sleep(60)
        if answer == "slow" and not Path("asked").exists():  # the first request
            Path("asked").touch()
            time.sleep(2)
        self.server.scored += 1
        if self.server.scored == int(self.server.behaviour["fail_at_request"]):
            UNDER_LOAD[self.server.behaviour["load"]](self.server.master)
        self._reply(500 if answer == "status500" else 200, self.bodies[answer])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay quiet."""

    def _reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def note(behaviour: dict[str, str], event: str) -> None:
    """Leave a line for the test that waits for it."""
    with Path(behaviour["events"]).open("a", encoding="utf-8") as stream:
        stream.write(f"{event}\n")


def say(text: str) -> None:
    """Write a line into the server's log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def die(master: int) -> None:
    """Take the master away, as the kernel does when memory runs out; another worker may have done so already."""
    say("worker: out of memory (as told)")
    with contextlib.suppress(ProcessLookupError):
        os.kill(master, signal.SIGKILL)


def fill_disk(_master: int) -> None:
    """Leave no room on the disk that holds the working directory."""
    with Path("filler").open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            return


UNDER_LOAD: dict[str, Callable[[int], None]] = {"ok": lambda _master: None, "die": die, "fill_disk": fill_disk}


def bound(address: str) -> socket.socket:
    """Bind and listen; a taken address ends the process with gunicorn's own words."""
    host, port = address.split(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError:
        say(f"[ERROR] Connection in use: {(host, int(port))}")
        sys.exit(1)
    listener.listen(128)
    listener.setblocking(False)  # several workers wake up for one connection; only one of them gets it
    return listener


def main() -> None:
    """Boot as set, then serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-w", type=int, required=True)
    parser.add_argument("-b", required=True)
    args, _ = parser.parse_known_args()
    behaviour: dict[str, str] = json.loads(Path("behaviour.json").read_text(encoding="utf-8"))
    if behaviour["sigterm"] == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("[INFO] Starting gunicorn (a fake)")
    note(behaviour, "boot")
    if behaviour["boot"] == "die":
        say("ModuleNotFoundError: No module named 'promptflow' (as told)")
        sys.exit(3)
    if behaviour["boot"] == "never_ready":
        time.sleep(60)
    if behaviour["strays"] == "two":
        leave_strays(behaviour)
    listener = bound(args.b)
    if behaviour["boot"] == "no_fork":
        forbid_forks()
    Master(listener, args.w, behaviour).serve()


def leave_strays(behaviour: dict[str, str]) -> None:
    """Start two processes that leave session and parent, as a daemon does; one clears its environment too."""
    for words in ("setsid sleep 600", "env -i setsid sleep 600"):
        shell = ["sh", "-c", f"{words} > /dev/null 2>&1 & echo $!"]
        pid = subprocess.run(shell, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        note(behaviour, f"stray:{pid}")


class Master:
    """Forks workers, and ends them on SIGTERM unless they are to outlive it.

    As gunicorn's, it forks one more worker on SIGTTIN, and on SIGUSR2 a second master with workers of its own.
    """

    def __init__(self, listener: socket.socket, count: int, behaviour: dict[str, str]) -> None:
        self.listener = listener
        self.count = count
        self.behaviour = behaviour
        self.children: list[int] = []

    def serve(self) -> None:
        """Start the workers, and wait for signals."""
        self.fork_workers()
        signal.signal(signal.SIGTTIN, lambda _number, _frame: self.fork_worker())
        signal.signal(signal.SIGUSR2, lambda _number, _frame: self.fork_master())
        if self.behaviour["sigterm"] != "ignore":
            signal.signal(signal.SIGTERM, self.end)
        while True:
            signal.pause()

    def fork_workers(self) -> None:
        """As many as were asked for."""
        for _ in range(self.count):
            self.fork_worker()

    def fork_worker(self) -> None:
        """One more."""
        master = os.getpid()
        pid = os.fork()
        if pid == 0:
            if self.behaviour["sigterm"] == "workers_stay":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Worker(self.listener, master, self.behaviour).serve_forever()
        self.children.append(pid)

    def fork_master(self) -> None:
        """A second master on the same socket."""
        pid = os.fork()
        if pid == 0:
            self.children.clear()
            self.fork_workers()
        else:
            self.children.append(pid)

    def end(self, _number: int, _frame: FrameType | None) -> None:
        """End the children, then itself."""
        for pid in self.children:
            os.kill(pid, signal.SIGTERM)
        sys.exit(0)


def forbid_forks() -> None:
    """Let the kernel refuse every new process; root is held to no limit, so it becomes somebody else."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if os.geteuid() == 0:
        os.setuid(_NOBODY)


if __name__ == "__main__":
    main()
