"""Dask's scheduler, workers and client, set up for machines that measure. The only module that knows Dask.

What travels is text both ways. Dask itself pickles the call, between machines that have shown their certificates.
What Dask does beside its calls is off or rare: it uses the cores that are measured.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import dask
from distributed.client import Client
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker, NoValidWorkerError, Scheduler
from distributed.security import Security
from distributed.utils import get_ip
from distributed.worker import Worker, get_worker

from scripts.config.cluster_address import CA_FILE, CERTIFICATE_FILE, KEY_FILE, ClusterAddress
from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.host import process

_RESOURCE = "machine"  # a worker has one, and a call takes it
_PLUGIN = "calls"
_CONNECT_S = 20  # for client and worker to find the scheduler
_RETRY_S = 2.0  # between a worker's tries
_UNWIND_S = 2.0  # for a stopped call to end by itself, before what it waits for is ended
_CLOSE_S = 5
_SETTINGS: Mapping[str, object] = {
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
    "distributed.comm.timeouts.tcp": "60s",  # for which a network may be cut
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.allowed-failures": 3,  # times that a call is made again because its worker has died
    "distributed.scheduler.no-workers-timeout": "60s",
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "120s",
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
}
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")  # callers say what matters


class Handler(Protocol):
    """What a worker does with a call."""

    def call(self, text: str, stopped: threading.Event) -> str:
        """The answer; it ends soon once `stopped` is set."""

    def abort(self) -> None:
        """End what a stopped call still waits for."""


class WorkerLostError(Exception):
    """The workers that may make a call have gone, or died of it."""


class SchedulerLostError(Exception):
    """The scheduler has gone, and with it what was asked of it."""


def _set_up() -> None:
    dask.config.set(_SETTINGS)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _security(address: ClusterAddress) -> Security:
    options: dict[str, object] = {"require_encryption": address.encrypted}
    if address.encrypted:
        options["tls_ca_file"] = str(address.certificates / CA_FILE)
        for role in ("scheduler", "worker", "client"):
            options[f"tls_{role}_cert"] = str(address.certificates / CERTIFICATE_FILE)
            options[f"tls_{role}_key"] = str(address.certificates / KEY_FILE)
    return Security(**options)  # type: ignore[no-untyped-call]


class _NoHttp:
    """Dask's servers also answer HTTP, and ask for no certificate there: not these."""

    def start_http_server(self, *_arguments: Any, **_options: Any) -> None:  # noqa: ANN401 - as Dask's
        """Open nothing."""


class _Scheduler(_NoHttp, Scheduler):
    """Of a cluster of machines that measure."""


class _Worker(_NoHttp, Worker):
    """Likewise."""


def serve_scheduler(address: ClusterAddress, say: Callable[[str], None]) -> BaseException:
    """Be the scheduler until a signal arrives, and return what it stands for; UsageError for an address in use."""
    _set_up()
    parts = urlsplit(address.url)

    async def serve() -> BaseException:
        ended = process.signalled(asyncio.get_running_loop())
        scheduler = _Scheduler(
            host=parts.hostname, port=parts.port or 0, protocol=f"{parts.scheme}://", security=_security(address),
            dashboard=False,
        )  # fmt: skip
        async with scheduler:
            say(f"the scheduler listens at {address.url}")
            return await ended

    try:
        return asyncio.run(serve())
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"the scheduler cannot listen at {address.url}: {error.__cause__ or error}",
            then="end what listens there, or repeat this command with another address",
        ) from error


class _Calls(WorkerPlugin):
    """Carries out the calls of a worker, and stops one that nobody waits for any more."""

    name = _PLUGIN

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._running: tuple[object, threading.Event] | None = None  # the key of the call
        self._idle = threading.Event()
        self._idle.set()

    def call(self, key: object, text: str) -> str:
        """In the worker's thread."""
        stopped = threading.Event()
        self._running = (key, stopped)
        self._idle.clear()
        try:
            return self._handler.call(text, stopped)
        finally:
            self._running = None
            self._idle.set()

    def transition(self, key: object, start: str, finish: str, **_more: object) -> None:
        """Stop the call when its client has gone, or has cancelled it."""
        running = self._running
        if running is not None and running[0] == key and (start, finish) == ("executing", "released"):
            self.stop()

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - as Dask's
        """Stop the call when the worker closes, as it does when its scheduler has gone."""
        self.stop()

    def stop(self) -> None:
        """Stop the call that is being made."""
        running = self._running
        if running is not None and not running[1].is_set():
            running[1].set()
            threading.Thread(target=self._unwind, daemon=True).start()

    def _unwind(self) -> None:
        if not self._idle.wait(_UNWIND_S):
            self._handler.abort()

    def wait(self) -> None:
        """Wait until no call is being made."""
        self._idle.wait(_UNWIND_S + _CLOSE_S)


def _call(text: str) -> str:
    """On a worker: hand the call to the handler that it was started with."""
    worker = get_worker()
    calls: Any = worker.plugins[_PLUGIN]
    return str(calls.call(worker.get_current_task(), text))


def serve_worker(
    address: ClusterAddress, name: str, port: int, handler: Handler, say: Callable[[str], None]
) -> BaseException:  # fmt: skip
    """Be a worker until a signal arrives, and return what it stands for. A scheduler that goes is waited for.

    `port`: on which it listens; 0: any that is free.
    """
    _set_up()
    parts = urlsplit(address.url)

    async def serve() -> BaseException:
        ended = process.signalled(asyncio.get_running_loop())
        waits = False
        while not ended.done():
            calls = _Calls(handler)
            own = get_ip(parts.hostname)  # type: ignore[no-untyped-call]
            worker = _Worker(
                address.url, name=name, host=f"{parts.scheme}://{own}", port=port, nthreads=1,
                resources={_RESOURCE: 1}, memory_limit=0, security=_security(address), plugins=(calls,),
                death_timeout=_CONNECT_S, dashboard=False,
            )  # fmt: skip
            if await _started(worker, ended):
                say(f"worker {name} is ready for {address.url}")
                waits = False
                closed = asyncio.ensure_future(worker.finished())  # type: ignore[no-untyped-call]
                await asyncio.wait({closed, ended}, return_when=asyncio.FIRST_COMPLETED)
            calls.stop()
            await asyncio.to_thread(calls.wait)
            await worker.close(timeout=_CLOSE_S, executor_wait=False)
            if not ended.done():
                if not waits:
                    say(f"no scheduler with these certificates answers at {address.url}: waiting for one")
                waits = True
                await asyncio.wait({ended}, timeout=_RETRY_S)
        return ended.result()

    return asyncio.run(serve())


async def _started(worker: Worker, ended: asyncio.Future[BaseException]) -> bool:
    """Connect to the scheduler; False when there is none, or a signal arrives before."""
    starting = asyncio.ensure_future(worker.start())  # type: ignore[no-untyped-call]
    await asyncio.wait({starting, ended}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return False
    return starting.exception() is None


class Connection:
    """A client's connection to the scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def workers(self) -> dict[str, str]:
        """The name of each worker that is connected, by its address; SchedulerLostError."""
        try:
            info = self._client.scheduler_info(n_workers=-1)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise SchedulerLostError from error
        return {address: str(worker["name"]) for address, worker in info["workers"].items()}

    def call(self, text: str, workers: Collection[str]) -> str:
        """Let one of the workers answer, by their addresses; WorkerLostError and SchedulerLostError when none does."""
        try:
            asked = self._client.submit(_call, text, pure=False, workers=list(workers), resources={_RESOURCE: 1})
            return str(asked.result())
        except (KilledWorker, NoValidWorkerError) as error:
            raise WorkerLostError(str(error)) from error
        except (concurrent.futures.CancelledError, RuntimeError) as error:
            raise SchedulerLostError from error


@contextlib.contextmanager
def connected(address: ClusterAddress) -> Iterator[Connection]:
    """Connect; NothingMeasuredError when no scheduler answers, or none that has these certificates."""
    _set_up()
    try:
        client = Client(  # type: ignore[no-untyped-call]
            address.url, security=_security(address), timeout=_CONNECT_S, set_as_default=False
        )
    except OSError as error:
        raise NothingMeasuredError(
            f"no scheduler with these certificates answers at {address.url}",
            then="start one on that machine: nox -s scheduler",
        ) from error
    try:
        yield Connection(client)
    finally:
        client.close(timeout=_CLOSE_S)  # type: ignore[no-untyped-call]
