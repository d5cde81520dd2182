"""Tries whether something that was built also serves a flow: one short run, before rounds of minutes rest on it."""

from __future__ import annotations

import time
from dataclasses import replace

from scripts.campaign import existing_runs
from scripts.config import plan
from scripts.config.flows import Flow
from scripts.config.load_profiles import SERVES
from scripts.config.matrix import Engine, Suite
from scripts.config.plan import Target
from scripts.environments.candidates import Arm
from scripts.host import machine
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import session


def require(
    suite: Suite, arm: Arm, engine: Engine, flow: Flow, python: str | None, options: session.Options, system: System
) -> None:  # fmt: skip
    """EnvironmentBuildError when it cannot be installed, or why its server failed. A good run is not made again."""
    target = Target(release=arm.release, engine=engine, flow=flow, version=arm.version)
    wanted = plan.of_targets(suite, [target], profile=SERVES, python=python, rounds=1)
    locks = {arm.release.version: arm.lock}
    if not existing_runs.missing(suite, wanted.runs, options.results, machine.describe(), locks):
        return
    progress = Progress(time.monotonic)
    (done,) = session.make(
        suite, wanted, replace(options, quiet=None), system, progress, session.prepare_from(locks)
    )  # fmt: skip
    if done.error is not None:
        raise done.error
