"""What set the throughput of a run: the load, the server, or what should not have.

The generator's part is a matter of validity: see there. A throughput that the load sets cannot rank releases.
"""

from __future__ import annotations

from typing import Literal

from scripts.analysis import operational_laws, validity
from scripts.analysis.run_data import RunData

Bound = Literal["generator-bound", "mock-bound", "load-bound", "server-bound"]


def verdict(data: RunData) -> Bound | None:
    """The bound of a run, in order of what must be excluded first; None where it is unknown.

    It cannot without a steady window, and when the flow does not declare its ideal time or nothing in the load waits.
    """
    if any(validity.generator(data)):
        return "generator-bound"
    if 0 < validity.BUSY_CORE * data.measured.disturbance.window_s <= data.measured.backend.cpu_s:
        return "mock-bound"
    allowed, reached = operational_laws.load_rps(data.record), data.steady_throughput_rps
    if allowed is None or reached is None:
        return None
    return "load-bound" if reached >= operational_laws.LOAD_BOUND_SHARE * allowed else "server-bound"
