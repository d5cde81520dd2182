"""What `cluster_cost` measures: a coordinator that has many runs queued, as a process of its own.

`python -m scripts.selftest.cluster_session URL CERTIFICATES RESULTS QUEUED` says for each run that a worker has made,
in a line of JSON, how long the coordinator waited for it. It is ended by a signal when that was enough.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import msgspec

from scripts.campaign import coordinator
from scripts.campaign.coordinator import Coordinator
from scripts.config import matrix_file, plan
from scripts.config.cluster_address import ClusterAddress
from scripts.config.load_profiles import SMOKE
from scripts.config.plan import RunSpec
from scripts.environments import locks
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure.session import Options

RELEASE, ENGINE, FLOW = "1.12.0", "fastapi", "static_async"
WORKERS = 3


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a worker has made."""

    run_id: str
    took_s: float  # from giving the run to a worker until its record was written here


def main(url: str, certificates: Path, results: Path, queued: int) -> None:
    """Queue so many runs, and give them to the workers."""
    suite, system = matrix_file.load(), RealSystem()
    runs = plan.make(
        suite, release=RELEASE, engine=ENGINE, flow_names=[FLOW], profile=SMOKE, python=None, rounds=queued
    ).runs
    lock = locks.read(locks.of_release(suite, suite.release(RELEASE)))
    options = Options(results=results, cluster=ClusterAddress(url=url, certificates=certificates))
    with coordinator.opened(runs[:1], {RELEASE: lock}, options, system, Progress(system.monotonic)) as workers:
        workers.each([functools.partial(_make, workers, system, spec) for spec in runs])


def _make(workers: Coordinator, system: RealSystem, spec: RunSpec, worker: str) -> None:
    """Make a run and say so; an invalid one counts, since the workers disturb one another here."""
    began = system.monotonic()
    run, error = workers.run(worker, spec, f"run {spec.round}")
    if error is not None and run.outcome != "invalid":
        raise error
    answered = Answered(run_id=run.record.run_id, took_s=system.monotonic() - began)
    sys.stdout.write(f"{msgspec.json.encode(answered).decode()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    terminate_as_exception()
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
