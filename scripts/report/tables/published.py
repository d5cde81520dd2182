"""Reads the figures that others published about a release, from results/published/. Computes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.errors import UsageError
from scripts.records.schema import LocustRow


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedScenario:
    """One section of a published report."""

    engine: str
    flow: str
    title: str
    bound_by_threads: bool  # whether a request holds a thread of its worker
    rows: tuple[LocustRow, ...]  # the request's row, then Aggregated

    @property
    def row(self) -> LocustRow:
        """All requests together."""
        return self.rows[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A published report."""

    release: str
    config: dict[str, str]  # its Config block
    think_s: float  # mean wait of a user between an answer and the next request
    floor_s: float  # no answer of its flows can take less
    sources: dict[str, str]  # where each of these comes from
    scenarios: tuple[PublishedScenario, ...]

    @property
    def users(self) -> int:
        """N."""
        return int(self.config["USERS"])

    @property
    def spawn_rate(self) -> int:
        """Users started per second."""
        return int(self.config["HATCH_RATE"])

    @property
    def run_time_s(self) -> float:
        """Seconds, ramp included."""
        return float(self.config["RUN_TIME"].removesuffix("s"))

    @property
    def workers(self) -> int:
        """Server processes."""
        return int(self.config["PROMPTFLOW_WORKER_NUM"])

    @property
    def threads(self) -> int:
        """Threads of each worker, as declared."""
        return int(self.config["PROMPTFLOW_WORKER_THREADS"])


def read(results: Path) -> dict[str, Published]:
    """Published reports by release; UsageError names a file that cannot be read."""
    found = {}
    for path in sorted((results / "published").glob("*.json")):
        try:
            one = msgspec.json.decode(read_bounded(path, MIB), type=Published)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UsageError(
                f"published/{path.name} cannot be read: {error}", then=f"restore results/published/{path.name}"
            ) from error
        found[one.release] = one
    return found
