"""What must agree before two runs may share a table, be pooled or be compared; everything else is information."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

from scripts.records.schema import Machine, RequestedConfig, RunRecord

_GIB = 2**30
_DIGEST_SHOWN = 12
PROFILE, FLOW, PYTHON = "load profile", "flow", "Python"
_PROCESSES, _ONE = "load processes", "1"
_OF_A_TRIAL = ("users", "spawn_rate", "description", "reported")  # of a profile: what a search sets, and texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A condition in which two runs differ."""

    name: str
    first: str
    second: str


def of_machine(machine: Machine) -> dict[str, str]:
    """What makes a machine one of a kind, by name.

    Memory is rounded to GiB, because a kernel update moves it by a few MiB.
    """
    return {
        "CPU": machine.cpu_model,
        "cores": str(machine.cores),
        "memory": f"{machine.memory_bytes / _GIB:.0f} GiB",
        "system": machine.system,
    }


def conditions(record: RunRecord) -> dict[str, str]:
    """Everything but the release and its lock that decides the numbers, by name."""
    digests = record.digests
    return {
        **of_machine(record.machine),
        PYTHON: record.python,
        "Python of the tools": record.machine.tools_python,
        PROFILE: digests.profile[:_DIGEST_SHOWN],
        FLOW: digests.flow[:_DIGEST_SHOWN],
        "locustfile": digests.locustfile[:_DIGEST_SHOWN],
        "mock API": digests.mock_api[:_DIGEST_SHOWN],
        "tools": digests.tools[:_DIGEST_SHOWN],
        _PROCESSES: _processes(record.requested),
    }


def _processes(requested: RequestedConfig) -> str:
    elsewhere = " elsewhere" if requested.load_workers else ""
    return f"{requested.load_processes}{elsewhere}"


def fingerprint(record: RunRecord) -> str:
    """Eight hexadecimal digits that are the same for runs that may be pooled."""
    return _fingerprint(conditions(record))


def of_search(record: RunRecord) -> str:
    """The same for runs that may differ in their users alone, as those of a capacity search do."""
    profile = dataclasses.asdict(record.requested.profile)
    load = {name: value for name, value in sorted(profile.items()) if name not in _OF_A_TRIAL}
    return _fingerprint(conditions(record) | {PROFILE: repr(load)})


def _fingerprint(named: dict[str, str]) -> str:
    # One process is left out, so that fingerprints are as they were before there could be several.
    text = "\n".join(f"{name}={value}" for name, value in named.items() if (name, value) != (_PROCESSES, _ONE))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(first: RunRecord, second: RunRecord) -> list[Difference]:
    """The conditions in which two runs differ; empty: they may be compared."""
    theirs = conditions(second)
    return [
        Difference(name=name, first=value, second=theirs[name])
        for name, value in conditions(first).items()
        if theirs[name] != value
    ]
