"""The cost of the recorder: the load generator's CPU time per request with it and without it, under the same load.

Loads the mock API, so that only generator and mock run. Part of `nox -s bench-self`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from scripts.config.errors import InvalidMeasurementError
from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.host.process import System, wait_until
from scripts.measure import loadgen
from scripts.serving import launch
from scripts.serving.launch import Booted, Limits
from scripts.serving.server_command import last_lines

_OPTION = "--record-to"
_SETTLE_S = 3.0  # after the ramp, before the first sample
_LATE_S = 60.0


def cpu_per_request_ms(system: System, spec: RunSpec, scratch: Path, *, recorded: bool) -> float:
    """CPU time of locust per request that the mock received, in steady state."""
    scratch.mkdir(parents=True)
    env = launch.child_environment(os.environ, scratch, str(scratch))
    with ExitStack() as stack:
        mock = launch.boot_mock(system, stack, spec, env, Limits(), scratch)
        argv = loadgen.command(spec, [mock.port], scratch / "recorded")
        wanted = argv if recorded else _without(argv)
        locust = launch.start(system, stack, wanted, env=env, cwd=scratch, log=scratch / "locust.log")

        def running(deadline_s: float) -> None:
            began = system.monotonic()
            wait_until(
                system,
                "the load",
                met=lambda: locust.code() is not None or system.monotonic() - began >= deadline_s,
                deadline_s=deadline_s + _LATE_S,
            )
            if locust.code() is not None:
                raise InvalidMeasurementError(
                    f"locust ended early:\n{last_lines(locust.log)}", then="nox -s bench-self"
                )

        running(spec.profile.ramp_s + _SETTLE_S)
        first = telemetry.sample(locust.pid, system.monotonic()), _received(system, mock)
        running(spec.profile.run_time_s - spec.profile.ramp_s - 2 * _SETTLE_S)
        last = telemetry.sample(locust.pid, system.monotonic()), _received(system, mock)
    return (last[0].total_cpu_s - first[0].total_cpu_s) * 1000 / (last[1] - first[1])


def _without(argv: Sequence[str]) -> tuple[str, ...]:
    place = argv.index(_OPTION)
    return (*argv[:place], *argv[place + 2 :])


def _received(system: System, mock: Booted) -> int:
    reply = system.request(f"{mock.base}/counts")
    return msgspec.json.decode(reply.body if reply else b"", type=dict[str, int])["received"]
