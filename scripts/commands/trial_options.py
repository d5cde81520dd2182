"""What the verbs of trials share: their options, and how their candidates are built."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.campaign import request
from scripts.commands import cli
from scripts.config.matrix import Suite
from scripts.environments.candidates import Arm
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.selftest import slowdowns
from scripts.selftest.known_candidates import KnownCandidate


def parser(verb: str, description: str, candidates: Sequence[KnownCandidate], *, nothing: str) -> cli.Parser:
    """Which trials are made, and how long; `nothing`: what a dry run does not do."""
    made = cli.parser(verb, description)
    made.add_argument(
        "--only", action="append", default=[], choices=[one.name for one in candidates], metavar="NAME",
        help="make trials of this candidate alone; repeatable (default: of all); --dry-run lists them",
    )  # fmt: skip
    made.add_argument("--budget", type=cli.duration_s, metavar="TIME", help="begin no trial after this time, e.g. 1h")
    made.add_argument("--dry-run", action="store_true", help=f"print the trials and their time, and {nothing}")
    cli.add_output_options(made)
    cli.add_json_option(made)
    return made


def described(chosen: Sequence[KnownCandidate], hours: str) -> str:
    """The trials, one candidate a line, and their time."""
    lines = [f"{one.trials} trials: {one.name}, {one.what}" for one in chosen]
    return "\n".join([*lines, f"about {hours}; --budget stops earlier, and a repetition goes on"])


def built(suite: Suite, baseline: Arm, wanted: Sequence[KnownCandidate], folder: str, system: System) -> dict[str, Arm]:
    """By name, a candidate like any other: a directory of wheels, made of the release's virtualenv."""
    release = baseline.release.version
    with Progress(system.monotonic) as progress:
        prepared = session.install(release, baseline.lock, suite.python, system, progress)
    into = session.SCRATCH / folder
    return {
        one.name: request.resolved(
            suite, str(slowdowns.build(one.slowdown, prepared.environment.site_packages, into)), system
        )
        for one in wanted
    }
