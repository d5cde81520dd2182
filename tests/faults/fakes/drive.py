"""A bench session whose release is the fake beside this file: what `python -m scripts bench` does after planning.

Run as `python -m tests.faults.fakes.drive`; it ends with the exit codes of `bench`.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from scripts.analysis import run_reader, validity
from scripts.campaign import runner
from scripts.campaign.stopping_rule import StoppingRule
from scripts.commands import bench, cli
from scripts.config import flows, matrix_file
from scripts.config.load_profiles import Profile
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec, Target
from scripts.environments.candidates import Arm
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host.process import Child, RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.measure.run import Prepared
from scripts.records.storage import UNFINISHED
from scripts.report.pages import session_summary
from scripts.serving.launch import Limits

RELEASE, ENGINE = "1.12.0", "flask"
PROFILE = "fault"
USERS = 5


class Unlucky(RealSystem):
    """The real outside at its worst moments."""

    def __init__(self, taken: list[int], interrupt_at: str) -> None:
        self._taken = taken
        self._interrupt_at = interrupt_at

    def free_port(self) -> int:
        """A port that somebody else has, as long as there is one."""
        return self._taken.pop(0) if self._taken else super().free_port()

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Child:
        """Start a child; Ctrl-C may come before anybody knows of it."""
        child = super().start(name, argv, env=env, cwd=cwd, log=log)
        if name == self._interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        return child


def interrupt_while_keeping(event: str, arguments: tuple[object, ...]) -> None:
    """Press Ctrl-C when a record has been written and not yet moved to its place (an audit hook)."""
    if event == "os.rename" and str(arguments[0]).endswith(UNFINISHED):
        os.kill(os.getpid(), signal.SIGINT)


def main(argv: list[str]) -> int:
    """Make the runs, print the summary, and end as the bench verb does."""
    args = _arguments(argv)
    logging.getLogger("scripts").setLevel(logging.INFO)  # as --verbose does: tests read what each step says
    suite = matrix_file.load()
    terminate_as_exception()
    if args.interrupt_at == "keep":
        sys.addaudithook(interrupt_while_keeping)
    options = session.Options(
        results=args.at / "results", scratch=args.at / "scratch", limits=Limits(boot_s=args.boot_s, verify_s=20.0)
    )
    plan = _plan(suite, args)
    if args.campaign:
        return _campaign(plan, args, options)

    def prepare(_matrix: Suite, _spec: RunSpec, _system: System, _progress: Progress) -> Prepared:
        return _prepared(args.at / "environment")

    done = session.make(suite, plan, options, Unlucky(args.taken, args.interrupt_at), Progress(time.monotonic), prepare)
    print(session_summary.of_session(suite, [run_reader.read_run(one.directory) for one in done]))  # noqa: T201 - as the verb does
    return bench.verdict([one for one in done if one.error is not None])  # how quiet the machine is, is no fault


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=Path, required=True, help="holds flow, environment, results and scratch")
    parser.add_argument("--boot-s", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--run-time-s", type=int, default=3)
    parser.add_argument("--warm-up-s", type=int, default=0)
    parser.add_argument("--campaign", action="store_true", help="against itself in so many rounds")
    parser.add_argument("--taken", type=int, nargs="*", default=[], metavar="PORT")
    parser.add_argument("--interrupt-at", default="", metavar="CHILD|keep")
    return parser.parse_args(argv)


def _plan(suite: Suite, args: argparse.Namespace) -> Plan:
    profile: Profile = dataclasses.replace(
        suite.profile("smoke"),
        name=PROFILE,
        users=USERS,
        spawn_rate=USERS,
        run_time_s=args.run_time_s,
        warm_up_s=args.warm_up_s,
        wait_min_s=0.05,
        wait_max_s=0.1,
        backend_wait_min_s=0.0,
        backend_wait_max_s=0.0,
    )
    target = Target(
        release=suite.release(RELEASE), engine=suite.engine(ENGINE), flow=flows.read(args.at / "flow"), version=RELEASE
    )
    rounds = range(1, args.rounds + 1)
    return Plan(runs=tuple(RunSpec(target=target, profile=profile, python="3.11", round=n) for n in rounds))


def _campaign(plan: Plan, args: argparse.Namespace, options: session.Options) -> int:
    """What the compare verb does after planning, on a machine that may be busy."""
    target, prepared = plan.runs[0].target, _prepared(args.at / "environment")
    assert target is not None
    arm = Arm(release=target.release, version=target.version, lock=prepared.lock, about="a fake")
    requested = Campaign(
        arms=(arm, arm),
        scenarios=(CampaignScenario(engine=target.engine, flow=target.flow),),
        profile=plan.runs[0].profile,
        python="3.11",
    )
    with (
        mock.patch.object(session, "install", return_value=prepared),
        mock.patch.object(validity, "reasons", lambda sample: sample.record.reasons),
    ):
        found = runner.measure(requested, StoppingRule(rounds=args.rounds), options, RealSystem())
    runner.require_whole(requested, found)
    return 0


def _prepared(path: Path) -> Prepared:
    environment = Environment(
        path=path,
        python=platform.python_version(),
        site_packages=path / "lib" / "python3.11" / "site-packages",
        distributions={},
        built=False,
    )
    return Prepared(environment=environment, lock=Lock(path=Path(sys.executable), digest="0" * 64, requirements=()))


if __name__ == "__main__":
    cli.run(main)
