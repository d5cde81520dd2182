"""A stage for whole campaigns: fake arms in a fake outside, carried out by the real session, runner and records.

The verbs take no time there, so a campaign of many rounds is a test of a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from scripts.campaign import runner
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.commands import add_release, attribute, campaign_options, compare, find, gate
from scripts.config import matrix_file
from scripts.config.matrix import Release, Suite
from scripts.environments import candidates
from scripts.environments.candidates import Arm
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host import machine, telemetry
from scripts.host.process import Finished, Reply, System
from scripts.host.progress import Progress
from scripts.host.telemetry import TreeSample
from scripts.measure import session
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.measure.run import Prepared
from scripts.records import storage
from scripts.records.schema import Machine, RunRecord
from scripts.serving.server_command import _TEMPLATE
from tests.fakes import values
from tests.fakes.system import FakeChild, FakeSystem, reply

BASELINE, CANDIDATE = "1.12.0", "1.12.0+candidate"
DUET = dataclasses.replace(values.PROFILE, name="short-duet", at_once=2)
ARGUMENTS = ("--profile", values.PROFILE.name, "--engine", "fastapi")


@dataclass(kw_only=True, slots=True)
class FakeArms(FakeSystem):
    """A fake outside in which an arm may use more CPU time than another, or say another version."""

    cpu: dict[str, Sequence[float]] = field(default_factory=dict)  # by label, in turn: times that of a usual server
    versions: dict[str, str] = field(default_factory=dict)  # by label: what its /version says
    missing: Collection[str] = ()  # Pythons that the machine does not have
    ends_at_run: int | None = None  # Ctrl-C comes under the load of that run, from 1
    labels: dict[int, str] = field(default_factory=dict)  # by process id of a server: its arm, in order of start

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> FakeChild:
        """Start a child, and remember of which arm its virtualenv is."""
        child = FakeSystem.start(self, name, argv, env=env, cwd=cwd, log=log)
        if name.startswith("server"):
            self.labels[child.pid] = Path(env["PATH"].split(":")[0]).parent.name
        return child

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """As the usual fake, but for Pythons that are missing."""
        if list(argv[1:3]) == ["python", "find"] and argv[-1] in self.missing:
            return Finished(code=2, output=f"error: No interpreter found for Python {argv[-1]}\n")
        return FakeSystem.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)

    def sample(self, root: int, at_s: float) -> TreeSample:
        """A tree that uses as much CPU time as its arm is set to."""
        usual = FakeSystem.sample(self, root, at_s)
        label = self.labels.get(root, "")
        factors, earlier = self.cpu.get(label, (1.0,)), [pid for pid in self.labels if pid < root]
        factor = factors[sum(self.labels[pid] == label for pid in earlier) % len(factors)]
        return TreeSample(at_s=at_s, cpu_s={pid: cpu_s * factor for pid, cpu_s in usual.cpu_s.items()})

    def request(self, url: str, *, body: bytes | None = None, timeout_s: float = 5.0) -> Reply | None:
        """A good reply, with the version that the arm is set to report."""
        label = self.labels.get(self.children[-1].pid, "")
        if url.endswith("/version") and label in self.versions:
            return reply({"version": self.versions[label]})
        if url.endswith("/counts") and self.runs == self.ends_at_run:
            raise KeyboardInterrupt
        return FakeSystem.request(self, url, body=body, timeout_s=timeout_s)

    @property
    def runs(self) -> int:
        """Loads begun so far."""
        return self.events.count("start locust")


@dataclass(kw_only=True, slots=True)
class Stage:
    """Arms to compare, and where their records go."""

    outside: FakeArms
    at: Path
    machine: Machine = values.MACHINE
    pythons: dict[str, str] = field(default_factory=dict)  # by label: of its virtualenv, if not 3.11.9 or the like

    @property
    def results(self) -> Path:
        """The directory of the records."""
        return self.at / "results"

    def flow(self, name: str = "example") -> Path:
        """A flow directory that the fake servers answer as it should be."""
        context = 'own_wait_s = 0.25\nanswer_in = "answer"\n[answer]\ntype = "example"\n'
        return values.write_flow(self.at / name, bench__toml=context)

    def options(self) -> session.Options:
        """A session that keeps everything here."""
        return session.Options(results=self.results, scratch=self.at / "scratch")

    def records(self) -> list[RunRecord]:
        """All records, oldest first."""
        found = [storage.read_record(path.parent) for path in self.results.glob("runs/*/*/*/*/record.json")]
        return sorted(found, key=lambda record: (record.requested.round_id, record.run_id))

    def arguments(self, *arguments: str) -> list[str]:
        """A command line with what every one here needs."""
        return [*arguments, *ARGUMENTS, "--flow", str(self.flow())]

    def duet(self, *labels: str, pairs: Sequence[tuple[int, int]] = ((0, 1),)) -> Campaign:
        """A campaign whose arms are loaded two at once."""
        return dataclasses.replace(self.campaign(*labels), profile=DUET, groups=tuple(pairs))

    def campaign(self, *labels: str, flows: Sequence[str] = ("example",), again: int = 0) -> Campaign:
        """A campaign of these arms; of baseline and candidate without any."""
        return Campaign(
            arms=tuple(arm(label) for label in labels or (BASELINE, CANDIDATE)),
            scenarios=tuple(
                CampaignScenario(
                    engine=values.ENGINE, flow=dataclasses.replace(values.flow(self.flow(name)), name=name)
                )
                for name in flows
            ),
            profile=values.PROFILE,
            python="3.11",
            again=again,
        )

    def measure(self, requested: Campaign, rule: StoppingRule) -> CampaignResult:
        """Carry it out."""
        return runner.measure(requested, rule, self.options(), self.outside)

    def install(self, label: str, lock: Lock, python: str, _system: System, _progress: Progress) -> Prepared:
        """A virtualenv that holds nothing but a server script."""
        path = self.at / "environments" / label
        template = path / "site-packages" / _TEMPLATE
        template.parent.mkdir(parents=True, exist_ok=True)
        template.write_text("gunicorn -w 2 -b 0.0.0.0:8080 app\n", encoding="utf-8")
        environment = Environment(
            path=path,
            python=self.pythons.get(label, f"{python}.9"),
            site_packages=path / "site-packages",
            distributions={"promptflow": label},
            built=False,
        )
        return Prepared(environment=environment, lock=lock)


def arm(label: str) -> Arm:
    """Something to measure; its label may have a local part."""
    release: Release = dataclasses.replace(values.RELEASE, version=label)
    lock = Lock(path=Path(f"{label}.txt"), digest=label.encode().hex().ljust(64, "0"), requirements=())
    return Arm(release=release, version=label.partition("+")[0], lock=lock, about=f"promptflow {label}")


def built(at: Path, monkeypatch: pytest.MonkeyPatch, outside: FakeArms | None = None) -> Stage:
    """A stage on which the verbs play as well."""
    stage = Stage(outside=outside or FakeArms(), at=at)
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(at / "lock"))
    for look in ("sample", "machine_sample", "memory", "memory_sample", "shape", "listens"):
        monkeypatch.setattr(telemetry, look, getattr(stage.outside, look))
    monkeypatch.setattr(telemetry, "reference_loop_ms", lambda: 10.0)
    monkeypatch.setattr(machine, "describe", lambda: stage.machine)
    monkeypatch.setattr(session, "install", stage.install)
    suite = matrix_file.load()
    suite = dataclasses.replace(suite, profiles=(*suite.profiles, values.PROFILE, DUET))
    monkeypatch.setattr(matrix_file, "load", lambda: suite)
    monkeypatch.setattr(candidates, "resolve", _resolve)
    monkeypatch.setattr(campaign_options, "options", lambda _args: stage.options())
    for verb in (add_release, compare, gate, attribute, find):
        monkeypatch.setattr(verb, "RealSystem", lambda: stage.outside)
        monkeypatch.setattr(verb, "terminate_as_exception", _nothing)
    return stage


def _nothing() -> None:
    """Signals stay the test's."""


def _resolve(
    _matrix: Suite,
    spec: str,
    *,
    uv: str,
    system: System,
    as_of: date | None = None,
    dry_run: bool = False,  # noqa: ARG001 - fakes resolve nothing
) -> Arm:
    assert uv
    assert system
    return arm(f"{spec}+asof.{as_of:%Y%m%d}" if as_of else spec)
