"""Lock: `nox -s lock -- 1.18.5` resolves a release's dependencies again and writes its lock; `tools` the suite's own.

Runs in nox's own environment, before any other exists: standard library, `packaging` and uv only.
"""

from __future__ import annotations

from scripts.commands import cli
from scripts.config import matrix, matrix_file
from scripts.config.errors import UsageError
from scripts.environments import locks, virtualenvs
from scripts.host.process import RealSystem, terminate_as_exception


def main(argv: list[str]) -> int:
    """Resolve, or with --check verify, the named locks."""
    parser = cli.parser("lock", "Resolve dependencies as of a day, and write locks with hashes.")
    parser.add_argument(
        "names", nargs="*", metavar="RELEASE|tools", help="a release of suite.toml, or the suite's own locks"
    )
    parser.add_argument("--all", action="store_true", help="every release, and the suite's own locks")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail for a missing, stale or altered lock (default: all locks)",
    )
    args = parser.parse_args(argv)
    if args.all and args.names:
        parser.error("--all means every lock: leave out the names, or leave out --all")
    suite = matrix_file.load()
    everything = [release.version for release in suite.releases] + ["tools"]
    names = everything if args.all or (args.check and not args.names) else args.names
    if not names:
        raise UsageError("name a release, or tools", then="nox -s lock -- 1.12.0")
    terminate_as_exception()
    for inputs in [inputs for name in names for inputs in _inputs(suite, name)]:
        if args.check:
            locks.read(inputs)
            print(f"locks/{inputs.path.name} is up to date", flush=True)
        else:
            cli.say(f"resolving {inputs.name} as of {inputs.as_of} ...")
            locks.write(inputs, uv=virtualenvs.find_uv(), env=virtualenvs.install_env(), system=RealSystem())
            print(f"wrote locks/{inputs.path.name}", flush=True)
    return 0


def _inputs(suite: matrix.Suite, name: str) -> list[locks.Inputs]:
    if name == "tools":
        return [locks.of_group(suite, group) for group in locks.GROUPS]
    return [locks.of_release(suite, suite.release(name))]
