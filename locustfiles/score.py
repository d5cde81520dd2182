"""Load on a served flow: every user posts the flow's request.json to /score.

By hand: locust -f locustfiles/score.py --host http://127.0.0.1:8080
Its own options, which locust's --help does not list because it comes before the locustfile is read:
  --request-file FILE             body of every request (flows/static_async/request.json)
  --bench-file FILE               says what a good answer is (bench.toml beside the request file, if it is there)
  --wait-min-s S, --wait-max-s S  shortest and longest pause of a user between requests (1 and 2)
  --seed N                        of the pauses (42)
  --record-to DIR                 write every request, a summary and the progress into DIR (nothing is written)
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from locust import task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

if TYPE_CHECKING:
    from locustfiles.answers import Expected, read_expected
    from locustfiles.load_user import RecordedUser, events
else:  # locust puts this folder on sys.path
    from answers import Expected, read_expected
    from load_user import RecordedUser, events

DEFAULT_REQUEST = Path(__file__).resolve().parent.parent / "flows" / "static_async" / "request.json"


class ScoreUser(RecordedUser):
    """Asks the flow."""

    body: ClassVar[bytes]
    expected: ClassVar[Expected]

    @task
    def score(self) -> None:
        """Ask once."""
        self.exchange("POST", "/score", self.expected, self.body)


def add_flow_options(parser: LocustArgumentParser) -> None:
    """Options that name the flow."""
    parser.add_argument(
        "--request-file",
        type=Path,
        default=DEFAULT_REQUEST,
        metavar="FILE",
        include_in_web_ui=False,
        help="Body of every request (default: flows/static_async/request.json)",
    )
    parser.add_argument(
        "--bench-file",
        type=Path,
        metavar="FILE",
        include_in_web_ui=False,
        help="Says what a good answer is (default: bench.toml beside the request file, if there is one)",
    )


def read_flow(environment: Environment, **_: object) -> None:
    """Read the flow's files before anything starts; SystemExit says what is wrong with them."""
    options = environment.parsed_options or Namespace()
    bench_file = options.bench_file or options.request_file.with_name("bench.toml")
    try:
        ScoreUser.body = options.request_file.read_bytes()
    except OSError as error:
        raise SystemExit(f"--request-file cannot be read: {error}") from error
    try:
        ScoreUser.expected = read_expected(bench_file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{bench_file} cannot be used: {error}") from error


events.init_command_line_parser.add_listener(add_flow_options)
events.init.add_listener(read_flow)
