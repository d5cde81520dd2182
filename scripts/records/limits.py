"""What a record may hold: the range of every number, and the form of every name that becomes part of a path.

A record is read from anywhere. What is out of these limits is refused before anything is computed from it, so that no
figure overflows, nothing is divided by zero, and no name leads out of the results.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from scripts.config.toml_tables import MOST_INTEGER, NAME
from scripts.records.schema import Histograms, LocustRow, RunRecord, Second

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
CAMPAIGN = re.compile(r"([0-9a-f]{12})?")
PERCENTILES = 11  # of a row of locust's statistics; none without a request
MOST_SECONDS = 100_000  # of a timeline: more than a day
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,127}")  # a release, or a candidate with its local version
_MOST = 1e15  # of any number: far above every real one, and far below what overflows when two are multiplied
_MOST_ITEMS = 10_000  # of any list or table
_SHOWN = 60  # characters of a value in a message

_NAMES = {
    "requested.release": LABEL,
    "requested.engine": NAME,
    "requested.flow": NAME,
    "requested.profile.name": NAME,
    "requested.campaign": CAMPAIGN,
    "requested.round_id": re.compile(f"({NAME.pattern})?"),
    "requested.search.id": re.compile(r"[0-9a-f]{12}"),
    "machine.identity": re.compile(r"([0-9a-f]{12})?"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "requested.arm": (0, 1000),
    "requested.round": (0, 1_000_000),
    "requested.load_processes": (1, 1000),
    "requested.load_workers": (0, 1000),
    "requested.seed": (-MOST_INTEGER, MOST_INTEGER),
    "requested.profile.seed": (-MOST_INTEGER, MOST_INTEGER),
    "requested.profile.users": (1, 1_000_000),
    "requested.profile.spawn_rate": (1, 1_000_000),
    "requested.profile.run_time_s": (1, MOST_SECONDS),
    "requested.profile.workers": (1, 100_000),
    "requested.profile.threads": (1, 100_000),
    "observed.workers": (0, 100_000),  # 0: all had ended
    "observed.threads": (1, 100_000),
    "machine.cores": (1, 100_000),
    "machine.open_files_limit": (-1, 2**64),  # -1: none
    "measurements.disturbance.cores": (1, 100_000),
    "measurements.disturbance.window_s": (0.001, MOST_SECONDS),
    # differences of two readings of a clock or a counter, which may step back
    "measurements.disturbance.busy_s": (-_MOST, _MOST),
    "measurements.disturbance.other_s": (-_MOST, _MOST),
    "measurements.disturbance.stolen_s": (-_MOST, _MOST),
    "measurements.disturbance.harness_s": (-_MOST, _MOST),
    "measurements.disturbance.suspended_s": (-_MOST, _MOST),
    "measurements.disturbance.clock_step_s": (-_MOST, _MOST),
    "measurements.generator.lag_p50_ms": (-_MOST, _MOST),
    "measurements.generator.lag_p99_ms": (-_MOST, _MOST),
    "measurements.generator.lag_max_ms": (-_MOST, _MOST),
    "measurements.generator.processes.lag_p50_ms": (-_MOST, _MOST),
    "measurements.generator.processes.lag_p99_ms": (-_MOST, _MOST),
    "measurements.generator.processes.lag_max_ms": (-_MOST, _MOST),
    "measurements.soak.overhead_p50_ms": (-_MOST, _MOST),
}
_FROM_ZERO = (0, _MOST)


def problems(record: RunRecord) -> Iterator[str]:
    """What is out of limits, with its field, e.g. "requested.arm is -1, not 0 to 1000"; of a good record nothing."""
    yield from _walk("", record)
    try:
        datetime.fromisoformat(record.started_at)
    except ValueError:
        yield f"started_at is {_short(record.started_at)}, not a time"
    profile = record.requested.profile
    for what in ("wait", "backend_wait"):
        if getattr(profile, f"{what}_max_s") < getattr(profile, f"{what}_min_s"):
            yield f"requested.profile.{what}_max_s is less than {what}_min_s"
    if record.requested.search is not None:
        yield from (f"requested.search.settings: {text}" for text in record.requested.search.settings.problems())
    if record.measurements is None:
        return
    load, server = record.measurements.load, record.measurements.server
    if load.stopped_s <= load.started_s:
        yield "measurements.load.stopped_s is not after started_s"
    samples = record.measurements.soak
    if any(after.at_s <= one.at_s or after.requests < one.requests for one, after in itertools.pairwise(samples)):
        yield "measurements.soak is not in order of time"
    for number, row in enumerate(load.locust_rows):
        yield from _row(f"measurements.load.locust_rows[{number}]", row)
    if server is not None and server.window_s[1] < server.window_s[0]:
        yield "measurements.server.window_s ends before it begins"


def histogram_problems(found: Histograms) -> Iterator[str]:
    """What is out of limits in distributions."""
    for window, kinds in found.windows.items():
        for kind, counts in kinds.items():
            exact = (counts.total_us, counts.max_us, counts.min_us)
            if max(map(abs, exact)) > _MOST:
                yield f"{window} {_short(kind)} has a sum or an end of more than {_MOST:g} us"
            if (counts.counts < 0).any() or float(counts.counts.sum(dtype=float)) > _MOST:
                yield f"{window} {_short(kind)} has a negative count, or counts more than {_MOST:g} values"
            if (abs(counts.values_us) > _MOST).any() or (counts.values_us[1:] <= counts.values_us[:-1]).any():
                yield f"{window} {_short(kind)} has values that do not ascend, or above {_MOST:g} us"


def timeline_problems(rows: list[Second]) -> Iterator[str]:
    """What is out of limits in a timeline: each row is the next second, and no number is negative."""
    if len(rows) > MOST_SECONDS:
        yield f"it has {len(rows)} rows, not at most {MOST_SECONDS}"
    for number, row in enumerate(rows):
        if row.second != number:
            yield f"row {number + 1} is of second {row.second}, not {number}"
            return
        for problem in _walk("", row):
            yield f"row {number + 1}: {problem}"
            return


def _row(where: str, row: LocustRow) -> Iterator[str]:
    if len(row.percentiles) not in ((PERCENTILES,) if row.request_count else (0, PERCENTILES)):
        yield f"{where}.percentiles has {len(row.percentiles)} numbers, not {PERCENTILES}"


def _walk(path: str, value: object, field: str = "") -> Iterator[str]:
    """Every leaf under a value. `field` is the path without places in a list, by which limits are found.

    A record has hundreds of leaves, and collate reads thousands of records: a path is put together where it is told.
    """
    if isinstance(value, (tuple, dict)) and len(value) > _MOST_ITEMS:
        yield f"{path} has {len(value)} entries, not at most {_MOST_ITEMS}"
        return
    for key, inner_field, inner in _inside(value, field):
        if isinstance(inner, str):
            if inner_field in _NAMES and not _NAMES[inner_field].fullmatch(inner):
                yield f"{_at(path, value, key)} is {_short(inner)}, which is no name that this suite makes"
        elif isinstance(inner, (int, float)):
            low, high = _RANGES.get(inner_field, _FROM_ZERO)
            if not low <= inner <= high and not isinstance(inner, bool):  # nor is a NaN
                yield f"{_at(path, value, key)} is {_number(inner)}, not {low:g} to {high:g}"
        elif inner is not None:
            yield from _walk(_at(path, value, key), inner, inner_field)


def _inside(value: object, field: str) -> Iterable[tuple[object, str, object]]:
    """What a value holds: the name or place of each, its field, and itself."""
    if isinstance(value, tuple):
        return zip(itertools.count(), itertools.repeat(field), value)
    if isinstance(value, dict):
        return zip(value, itertools.repeat(field), value.values())
    kind: Any = type(value)  # a class, which mypy takes for one that cannot be hashed
    return [(name, inner_field, getattr(value, name)) for name, inner_field in _fields(kind, field)]


@functools.cache
def _fields(kind: type[Any], field: str) -> tuple[tuple[str, str], ...]:
    """The names of a dataclass's fields, and the field that each is in a record."""
    return tuple((one.name, _joined(field, one.name)) for one in dataclasses.fields(kind))


def _at(path: str, value: object, key: object) -> str:
    """The path of what a value holds under a name or at a place."""
    if isinstance(value, (tuple, dict)):
        return f"{path}[{_short(key)}]"
    return _joined(path, str(key))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _number(value: float) -> str:
    """The number; not the digits of one that has thousands of them."""
    return "a number of more than 20 digits" if isinstance(value, int) and abs(value) >= 10**20 else repr(value)
