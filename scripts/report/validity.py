"""When a run that ended well may still not be believed, with reasons. Pure; imports the record only.

Thresholds are those of measurement practice stated in README under "When a run counts".
"""

from __future__ import annotations

from collections.abc import Iterator

from scripts.record import Disturbance, Measurements, RunRecord

OTHER_CPU = 0.05  # share of all cores; a quiet machine shows below 1 %
LAG_P99_MS = 10.0  # of the generator's event loop: beyond it, response times include the generator's own


def reasons(record: RunRecord) -> tuple[str, ...]:
    """Why the run is not valid; empty when it is."""
    if record.outcome != "ok" or record.measurements is None:
        return record.reasons
    measured = record.measurements
    return (*_generator(record, measured), *_server(record, measured), *_machine(measured.disturbance))


def _generator(record: RunRecord, measured: Measurements) -> Iterator[str]:
    users = record.asked.profile.users
    if measured.load.users_reached < users:
        yield f"only {measured.load.users_reached} of {users} users were reached"
    if measured.generator.lag_p99_ms >= LAG_P99_MS:
        yield f"the generator's event loop lagged: p99 {measured.generator.lag_p99_ms:.1f} ms, not below {LAG_P99_MS:g}"
    if measured.generator.exceptions:
        yield f"the locustfile raised {measured.generator.exceptions} exceptions of its own"


def _machine(found: Disturbance) -> Iterator[str]:
    other = found.other_s / (found.window_s * found.cores)
    if other > OTHER_CPU:
        yield f"other processes took {other:.1%} of the machine's CPU time, more than {OTHER_CPU:.0%}"


def _server(record: RunRecord, measured: Measurements) -> Iterator[str]:
    if measured.load.recorded == sum(failure.count for failure in measured.load.failures):
        yield "no request succeeded"
    if measured.server is not None and measured.server.workers_lost:
        yield f"{measured.server.workers_lost} of the server's workers ended under load"
    if record.ran is not None and record.ran.workers != record.asked.profile.workers:
        yield f"{record.ran.workers} workers ran, not the {record.asked.profile.workers} asked for"
