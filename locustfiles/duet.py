"""The same load on two served flows at the same time, by one generator that starts their users in turn.

By hand: locust -f locustfiles/duet.py --host http://127.0.0.1:8080 --second-host http://127.0.0.1:8081
`--users` and `--spawn-rate` are of both together. User k of either host draws the think times of user k of score.py.
Its own options are those of score.py, and:
  --second-host URL               where the other half of the users asks
With --record-to DIR, DIR holds the recording of all requests, and DIR/first and DIR/second one of each host. What is
said of the generator (lag, CPU time, waiting for a core) is in each of them that of the one process.
"""

from __future__ import annotations

import itertools
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from locust import FastHttpUser
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import Runner
from locust.stats import RequestStats

if TYPE_CHECKING:
    from locustfiles import load_user, recorder, score
else:  # locust puts this folder on sys.path; of a module it takes the users that are defined in it, not those inside
    import load_user
    import recorder
    import score

_HOSTS = 2


class ArmUser(score.ScoreUser):
    """Asks the flow of one of the two servers."""

    abstract = True
    recording: ClassVar[HalfRecording | None] = None
    of_arm: ClassVar[Iterator[int]] = itertools.count()  # its users' numbers, from 0 in each test

    def __init__(self, environment: Environment) -> None:
        load_user.RecordedUser.numbers = self.of_arm
        super().__init__(environment)

    def context(self) -> dict[str, object]:
        """Tell the request event which arm it is of."""
        return {"arm": type(self)}


class FirstUser(ArmUser):
    """Asks --host. Locust starts classes of the same weight in turn, by their names."""


class SecondUser(ArmUser):
    """Asks --second-host."""

    def __init__(self, environment: Environment) -> None:
        self.host = (environment.parsed_options or Namespace()).second_host
        super().__init__(environment)


ARMS: dict[str, type[ArmUser]] = {"first": FirstUser, "second": SecondUser}  # by the folder of its recording


class HalfRunner:
    """What a recording asks of locust's runner, for the users of one class."""

    def __init__(self, runner: Runner, arm: type[ArmUser]) -> None:
        self._runner, self._arm = runner, arm
        self.stats = RequestStats()
        self._raised: Counter[str] = Counter()

    @property
    def user_count(self) -> int:
        """Users of the class that run."""
        return self._runner.user_classes_count.get(self._arm.__name__, 0)

    @property
    def exceptions(self) -> Mapping[str, Mapping[str, int]]:
        """How often the class's own code raised what, as locust keeps it."""
        return {text: {"count": count} for text, count in self._raised.items()}

    def log(self, method: str, name: str, time_ms: float, length: int, error: Exception | None) -> None:
        """Count a request, as locust's own runner does."""
        self.stats.log_request(method, name, cast("int", time_ms), length)
        if error is not None:
            self.stats.log_error(method, name, error)

    def raised(self, error: Exception) -> None:
        """Count an exception of a user's own code."""
        self._raised[repr(error)] += 1


class HalfRecording(recorder.Recording):
    """The recording of one host's requests; each is also noted in that of the whole test."""

    def __init__(self, directory: Path, runner: HalfRunner, whole: recorder.Recording) -> None:
        super().__init__(directory, cast("Runner", runner))
        self.runner = runner
        self._whole = whole

    def add(self, row: recorder.Row) -> None:
        """Note a finished request."""
        super().add(row)
        self._whole.add(row)

    def fail(self, kind: str, message: str) -> None:
        """Count a failure."""
        super().fail(kind, message)
        self._whole.fail(kind, message)

    def cut_off(self, age_ms: float) -> None:
        """Note a request that was still in flight when its user was stopped."""
        super().cut_off(age_ms)
        self._whole.cut_off(age_ms)


def add_second_host(parser: LocustArgumentParser) -> None:
    """The option that names the other server."""
    parser.add_argument("--second-host", metavar="URL", help="Where the other half of the users asks")


def require_second_host(environment: Environment, **_: object) -> None:
    """SystemExit without it, before anything starts."""
    if not (environment.parsed_options or Namespace()).second_host:
        raise SystemExit("--second-host is missing: the URL of the second server")


def begin(environment: Environment, **_: object) -> None:
    """Number each arm's users from 0 again, and begin its recording where the whole is recorded."""
    whole, runner = load_user.RecordedUser.recording, environment.runner
    for name, arm in ARMS.items():
        arm.of_arm = itertools.count()
        if whole is not None and runner is not None:
            directory: Path = (environment.parsed_options or Namespace()).record_to / name
            arm.recording = HalfRecording(directory, HalfRunner(runner, arm), whole)


def finished(
    *, request_type: str, name: str, response_time: float, response_length: int, exception: Exception | None,
    context: Mapping[str, Any], **_: object,
) -> None:  # fmt: skip
    """Count a request in its arm's statistics."""
    recording = context["arm"].recording
    if recording is not None:
        recording.runner.log(request_type, name, response_time, response_length, exception)


def raised(*, user_instance: ArmUser, exception: Exception, **_: object) -> None:
    """Count an exception of the arm's own code."""
    if user_instance.recording is not None:
        user_instance.recording.runner.raised(exception)


def all_users_started(**_: object) -> None:
    """Note the end of the ramp, which both arms share."""
    for recording in _recordings().values():
        recording.all_users_started()


def stop(**_: object) -> None:
    """Note the end of the load."""
    for recording in _recordings().values():
        recording.stop()


def write(environment: Environment, **_: object) -> None:
    """Write both recordings."""
    options = half_of(load_user.effective_options(environment))
    for name, recording in _recordings().items():
        ARMS[name].recording = None
        recording.write(user_class=FastHttpUser.__name__, options=options)


def half_of(options: Mapping[str, str]) -> dict[str, str]:
    """The options that shape the load of one arm."""
    users, spawn_rate = int(options["users"]) // _HOSTS, float(options["spawn_rate"]) / _HOSTS
    return {**options, "users": str(users), "spawn_rate": str(spawn_rate)}


def _recordings() -> dict[str, HalfRecording]:
    return {name: arm.recording for name, arm in ARMS.items() if arm.recording is not None}


load_user.events.init_command_line_parser.add_listener(add_second_host)
load_user.events.init.add_listener(require_second_host)
load_user.events.test_start.add_listener(begin)
load_user.events.request.add_listener(finished)
load_user.events.user_error.add_listener(raised)
load_user.events.spawning_complete.add_listener(all_users_started)
load_user.events.test_stopping.add_listener(stop)
load_user.events.test_stop.add_listener(write)
