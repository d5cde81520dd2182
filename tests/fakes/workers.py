"""A cluster without a network: real workers on a stage, called in this process, one at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.campaign.worker import Worker
from scripts.cluster import dask_cluster
from scripts.cluster.dask_cluster import SchedulerLostError
from scripts.config import flows, matrix_file
from scripts.config.cluster_address import ClusterAddress
from scripts.environments import locks, virtualenvs
from scripts.environments.candidates import Arm
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from tests.fakes import values
from tests.fakes.stage import Stage

ADDRESS = ClusterAddress(url="tls://cluster.example:8786")


@dataclass(kw_only=True, slots=True, eq=False)
class FakeCluster:
    """Workers that are connected. Change what they answer before use."""

    stage: Stage
    connected: dict[str, Worker] = field(default_factory=dict)  # by address
    log: list[tuple[str, str]] = field(default_factory=list)  # address and text of each call
    answers: dict[str, Callable[[str], str]] = field(default_factory=dict)  # by address: alters an answer
    ends_after: int | None = None  # calls, after which the scheduler goes
    _one: threading.Lock = field(default_factory=threading.Lock)

    def workers(self) -> dict[str, str]:
        """As Dask knows them."""
        if self._gone:
            raise SchedulerLostError
        return {address: worker.name for address, worker in self.connected.items()}

    def call(self, text: str, workers: Collection[str]) -> str:
        """Whoever of them was called least often answers."""
        with self._one:
            if self._gone:
                raise SchedulerLostError
            calls = self.calls
            address = min(workers, key=lambda one: (calls[one], one))
            self.log.append((address, text))
            answer = self.connected[address].call(text, threading.Event())
            return self.answers.get(address, str)(answer)

    @property
    def calls(self) -> Counter[str]:
        """How many there were, by address."""
        return Counter(address for address, _ in self.log)

    @property
    def _gone(self) -> bool:
        return self.ends_after is not None and len(self.log) >= self.ends_after

    @property
    def options(self) -> session.Options:
        """Of a session on this cluster."""
        return dataclasses.replace(self.stage.options(), cluster=ADDRESS)

    def campaign(self, *labels: str) -> Campaign:
        """That of the stage, with locks that can travel."""
        return campaign(self.stage, *labels)


def campaign(stage: Stage, *labels: str) -> Campaign:
    """That of a stage, with locks that can travel."""
    plain = stage.campaign(*labels)
    scenarios = [
        dataclasses.replace(scenario, flow=flows.read(scenario.flow.path))  # whose digest is that of its files
        for scenario in plain.scenarios
    ]
    arms = tuple(with_lock(stage, arm) for arm in plain.arms)
    return dataclasses.replace(plain, arms=arms, scenarios=tuple(scenarios))


def with_lock(stage: Stage, arm: Arm) -> Arm:
    """The arm with a lock that can travel."""
    path = stage.at / "locks" / f"{arm.release.version}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"promptflow=={arm.version} \\\n    --hash=sha256:{arm.lock.digest}\n", encoding="utf-8")
    return dataclasses.replace(arm, lock=locks.received(path, None))


@contextlib.contextmanager
def started(stage: Stage, monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[FakeCluster]:
    """So many workers, which hold the stage's machine; `coordinator.opened` connects to them."""
    suite, cluster = matrix_file.load(), FakeCluster(stage=stage)
    monkeypatch.setattr(platform, "python_version", lambda: values.MACHINE.tools_python)
    monkeypatch.setattr(virtualenvs, "ENVIRONMENTS", stage.at / "environments")
    monkeypatch.setattr(dask_cluster, "connected", lambda _address: contextlib.nullcontext(cluster))
    options = session.Options(results=stage.at / "made", scratch=stage.at / "scratch")
    with session.opened(options, 0, stage.outside, Progress(stage.outside.monotonic)) as context:
        for place in range(1, number + 1):
            folder = Path(stage.at / f"worker-{place}")
            cluster.connected[f"tls://10.0.0.{place}:4000"] = Worker(f"w{place}", suite, context, folder)
        yield cluster
