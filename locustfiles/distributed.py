"""The load of score.py or mock_api.py, made by several processes: locust's workers make it, and its master counts.

By hand, a master and as many workers as it expects, on this machine or others:
  locust -f locustfiles/distributed.py ScoreUser --master --master-bind-host 127.0.0.1 --expect-workers 2 --headless
      --host http://127.0.0.1:8080 --run-time 60s
  locust -f locustfiles/distributed.py --worker --master-host 127.0.0.1
The user is ScoreUser or MockApiUser. The options are those of score.py, and the master tells them to its workers, with
the body of the request. User k of all workers draws the think times of user k of a single process.

A worker is let in when its locustfiles and its locust are the master's; it then records as a single process does. With
--record-to DIR of both, the worker sends its recording after the load, and the master writes
  DIR/worker-1/load.json, requests.csv  as the first worker wrote them, in its own clock
  DIR/worker-1/clock.json               what to add to its times for those of the master, and how far off that may be
  DIR/load.json                         locust's rows of all requests; written last, so where it lies all is there
  DIR/failed.txt                        instead: why the load is not whole
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import logging
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import gevent  # type: ignore[import-untyped]
import locust
from gevent.event import AsyncResult, Event  # type: ignore[import-untyped]
from locust import FastHttpUser, argument_parser, runners
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

if TYPE_CHECKING:
    from locustfiles import answers, clocks, load_user, recorder
    from locustfiles.mock_api import MockApiUser
    from locustfiles.score import ScoreUser
else:  # locust puts this folder on sys.path
    import answers
    import clocks
    import load_user
    import recorder
    from mock_api import MockApiUser
    from score import ScoreUser

__all__ = ["MockApiUser", "ScoreUser"]  # the users that locust finds here

NOT_WHOLE, REFUSED = 21, 22  # exit codes: of a master whose load is not whole, of a worker that is not let in
CLOCK_FILE, FAILED_FILE = "clock.json", "failed.txt"
_RECORDING = (recorder.LOAD_FILE, recorder.REQUESTS_FILE, CLOCK_FILE)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_QUESTIONS = 10  # about the master's clock; the fastest answer counts
_ANSWER_S = 5.0  # for an answer about the clock
_ASK_AGAIN_S = 2.0  # to be let in: the master of the load before may just have ended
_LOOK_EVERY_S = 0.5  # for workers that are lost
_LINGER_MS = 2000  # for the last messages to leave
_DELIVERY_S = 60.0  # for all recordings to arrive
_REPORT_EVERY_S = 1.0  # locust's own 3 s would let the progress jump

logger = logging.getLogger(__name__)


class WholeRecording(recorder.Recording):
    """What the master knows of the whole load. The requests are in the recordings of the workers."""

    def _watch_progress(self) -> None:
        total = self._runner.stats.total
        for elapsed_s in self._seconds():
            p95 = total.get_current_response_time_percentile(0.95)
            self._progress.write(
                f"{elapsed_s:.1f},{self._note_users()},{total.num_requests},{total.num_failures},"
                f"{'' if p95 is None else round(p95, 1)}\n"
            )
            self._progress.flush()


class Master:
    """Lets workers in, watches that none is lost, and gathers their recordings before it ends them."""

    def __init__(self, environment: Environment, runner: MasterRunner) -> None:
        """Take over what comes from workers, and the end of the load."""
        options = environment.parsed_options or Namespace()
        self._environment, self._runner = environment, runner
        self._wanted: int = options.expect_workers
        self._greeted: set[str] = set()
        self._numbers: dict[str, int] = {}  # of the workers that were let in, from 1, by locust's name of each
        self._delivered: set[str] = set()
        self._ended = False
        self._watcher: Any = None
        self._record_to: Path | None = options.record_to
        self._recording: WholeRecording | None = None
        options.request_body = ScoreUser.body
        options.answer_in, options.answer = ScoreUser.expected.answer_in, dict(ScoreUser.expected.fields)
        # A path cannot be sent. Nor does load_user begin a recording of its own without one.
        options.record_to = options.request_file = options.bench_file = None
        self._handle, self._quit = runner.handle_message, runner.quit
        runner.handle_message = self.handle  # type: ignore[method-assign]
        runner.quit = self.quit  # type: ignore[method-assign]
        runner.register_message("recording", self.keep)
        end_soon(runner.server.socket)
        load_user.events.test_start.add_listener(self.begin)
        load_user.events.spawning_complete.add_listener(self.all_users_started)
        load_user.events.test_stopping.add_listener(self.stop)

    def handle(self, client_id: str, msg: Message) -> None:
        """Pass on what comes from workers that were let in, and answer others while some are wanted."""
        told = msg.data if isinstance(msg.data, dict) else {}  # from anybody who reaches the port
        if client_id in self._numbers and msg.type != "clock":
            self._handle(client_id, msg)
        elif msg.type == "clock" and client_id in self._greeted:
            data = {"sent_s": told.get("sent_s"), "master_s": time.monotonic()}
            self._runner.send_message("clock", data, client_id)
        elif len(self._numbers) == self._wanted:
            logger.debug("passed over %s of a worker that is not wanted", msg.type)
        elif msg.type == "client_ready":
            self._runner.send_message("ack", {"index": 0}, client_id)
        elif msg.type == "hello":
            self._judge(client_id, told)
        elif msg.type == "ready" and client_id in self._greeted:
            self._let_in(client_id)

    def _judge(self, client_id: str, told: dict[str, Any]) -> None:
        """Greet a worker that would make the same load; refuse any other."""
        differing = [name for name, ours in about().items() if told.get(name) != ours]
        if differing:
            logger.error("refused a worker: its %s differ", " and ".join(differing))
            self._runner.send_message("refused", {"differing": differing}, client_id)
            return
        self._greeted.add(client_id)
        self._runner.send_message("welcome", {"boot": boot()}, client_id)

    def _let_in(self, client_id: str) -> None:
        number = self._numbers[client_id] = len(self._numbers) + 1
        self._runner.send_message("number", {"number": number, "of": self._wanted}, client_id)
        ready: Any = Message  # without types
        self._handle(client_id, ready("client_ready", locust.__version__, client_id))

    def begin(self, **_: object) -> None:
        """Begin to record, and to watch the workers."""
        if self._record_to is not None:
            self._recording = WholeRecording(self._record_to, self._runner)
        self._watcher = gevent.spawn(self._watch)

    def all_users_started(self, **_: object) -> None:
        """Note the end of the ramp."""
        if self._recording is not None:
            self._recording.all_users_started()

    def stop(self, **_: object) -> None:
        """Note the end of the load."""
        gevent.kill(self._watcher)
        if self._recording is not None:
            self._recording.stop()

    def keep(self, msg: Message, **_: object) -> None:
        """Write the recording of a worker."""
        number = self._numbers.get(msg.node_id)
        if number is None or self._record_to is None:
            return
        directory = self._record_to / f"worker-{number}"
        directory.mkdir(exist_ok=True)
        for name in _RECORDING:
            recorder.write_atomically(directory / name, msg.data[name])
        self._delivered.add(msg.node_id)

    def quit(self) -> None:
        """Stop the load, wait for what the workers recorded, and only then end them: they would take it with them."""
        if self._ended:
            self._quit()
            return
        self._ended = True
        self._runner.stop()
        if self._recording is not None:
            awaited = self._undelivered()
            if awaited:
                self._fail(f"no recording came from {self._named(awaited)}")
            else:
                options = load_user.effective_options(self._environment)
                self._recording.write(user_class=FastHttpUser.__name__, options=options)
        self._quit()

    def _watch(self) -> None:
        """End the load as soon as a worker is lost: the others would get its users."""
        while True:
            gevent.sleep(_LOOK_EVERY_S)
            lost = {name for name in self._numbers if name not in self._runner.clients or self._is_missing(name)}
            if lost:
                self._fail(f"{self._named(lost)} was lost under load")
                self._ended = True
                gevent.spawn(self._quit)  # which ends this watch
                return

    def _undelivered(self) -> set[str]:
        """Wait for all recordings; the workers of which none comes, because they are lost or late."""
        until_s = time.monotonic() + _DELIVERY_S
        while (awaited := self._numbers.keys() - self._delivered) and time.monotonic() < until_s:
            if any(map(self._is_missing, awaited)):
                break
            gevent.sleep(0.05)
        return awaited

    def _is_missing(self, name: str) -> bool:
        """Whether locust has heard nothing of a worker for some seconds."""
        client = self._runner.clients.get(name)
        return client is not None and client.state == STATE_MISSING

    def _named(self, names: set[str]) -> str:
        numbers = sorted(self._numbers[name] for name in names)
        return f"worker {', '.join(map(str, numbers))} of {self._wanted}"

    def _fail(self, message: str) -> None:
        logger.error(message)
        if self._record_to is not None:
            recorder.write_atomically(self._record_to / FAILED_FILE, f"{message}\n")
        self._environment.process_exit_code = NOT_WHOLE


class Worker:
    """Asks to be let in, records its part of the load, and sends the recording."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        """Ask to be let in."""
        options = environment.parsed_options or Namespace()
        self._environment, self._runner = environment, runner
        self._record_to: Path | None = options.record_to
        self._number = self._of = 1
        self._settled = Event()  # let in, or refused
        self._measures = False
        self._answer = AsyncResult()
        self._same_clock = False
        self._before: clocks.Offset | None = None
        runner.register_message("welcome", self.welcome)
        runner.register_message("refused", self.refused)
        runner.register_message("number", self.number)
        runner.register_message("clock", self.clock)
        end_soon(runner.client.socket)
        load_user.events.test_start.add_listener(self.begin)
        load_user.events.test_stop.add_listener(self.end)
        argument_parser.default_args_dict()  # now, and not under load
        gevent.spawn(self._ask)

    def _ask(self) -> None:
        """Also of the next master, where this one had workers enough."""
        ours = about()
        while not self._settled.is_set():
            self._runner.send_message("hello", ours)
            self._settled.wait(_ASK_AGAIN_S)

    def welcome(self, msg: Message, **_: object) -> None:
        """The master wants this worker once its clock is known."""
        if not self._measures:
            self._measures = True
            self._same_clock = bool(msg.data["boot"]) and msg.data["boot"] == boot()
            gevent.spawn(self._ready)

    def refused(self, msg: Message, **_: object) -> None:
        """The master does not want this worker: end it."""
        self._settled.set()
        logger.error("the master refused this worker: its %s differ", " and ".join(msg.data["differing"]))
        self._environment.process_exit_code = REFUSED
        gevent.spawn(self._runner.quit)

    def number(self, msg: Message, **_: object) -> None:
        """The master has let this worker in, as one of several."""
        self._number, self._of = msg.data["number"], msg.data["of"]
        self._settled.set()

    def clock(self, msg: Message, **_: object) -> None:
        """The master has told its time."""
        self._answer.set((msg.data["sent_s"], msg.data["master_s"], time.monotonic()))

    def begin(self, **_: object) -> None:
        """Take over what the master loads with, and begin to record; after load_user has begun."""
        options: Any = self._environment.parsed_options
        ScoreUser.body = options.request_body
        ScoreUser.expected = answers.Expected(answer_in=options.answer_in, fields=options.answer)
        load_user.RecordedUser.numbers = itertools.count(self._number - 1, self._of)
        if self._record_to is not None:
            load_user.RecordedUser.recording = recorder.Recording(self._record_to, self._runner)

    def end(self, **_: object) -> None:
        """Send the recording, which load_user has written."""
        self._environment.stop_timeout = 0.0  # for which locust would now be deaf: all users have ended
        if self._record_to is not None and self._before is not None:
            gevent.spawn(self._deliver, self._record_to, self._before)

    def _ready(self) -> None:
        try:
            self._before = self._offset()
            self._runner.send_message("ready")
        finally:
            self._measures = False

    def _deliver(self, directory: Path, before: clocks.Offset) -> None:
        """Send locust's last statistics, then the recording: they arrive in this order."""
        texts = {name: (directory / name).read_text(encoding="utf-8") for name in _RECORDING[:2]}
        offset = clocks.between(before, self._offset())
        texts[CLOCK_FILE] = json.dumps({"offset_s": offset.offset_s, "error_s": offset.error_s}) + "\n"
        report: dict[str, Any] = {}
        events: Any = self._environment.events  # without types
        events.report_to_master.fire(client_id=self._runner.client_id, data=report)
        self._runner.send_message("stats", report)
        self._runner.send_message("recording", texts)

    def _offset(self) -> clocks.Offset:
        """How the clock differs now: processes of one machine share it, and others ask the master."""
        return clocks.SAME if self._same_clock else clocks.best(self._asked() for _ in range(_QUESTIONS))

    def _asked(self) -> clocks.Offset:
        """Ask the master for its time."""
        self._answer = AsyncResult()
        sent_s = time.monotonic()
        self._runner.send_message("clock", {"sent_s": sent_s})
        asked_s, master_s, received_s = cast("tuple[float, float, float]", self._answer.get(timeout=_ANSWER_S))
        if asked_s != sent_s:
            raise ValueError("an answer of the master to another question")
        return clocks.answered(sent_s, master_s, received_s)


def about() -> dict[str, str]:
    """What has to be the same of a worker and its master: the version of locust, and the digest of the locustfiles."""
    files = sorted(Path(__file__).resolve().parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
    return {"locust": locust.__version__, "locustfiles": digest}


def boot() -> str:
    """What all processes of one machine share, and with it a clock; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def end_soon(socket: Any) -> None:  # noqa: ANN401 - zmq's own has no types
    """Let the process end although messages wait for somebody who is gone; zmq would wait for ever."""
    socket.linger = _LINGER_MS


def take_part(environment: Environment, runner: object, **_: object) -> None:
    """As what locust has started this process: a master, a worker, or neither."""
    if isinstance(runner, MasterRunner):
        Master(environment, runner)
    elif isinstance(runner, WorkerRunner):
        Worker(environment, runner)


runners.WORKER_REPORT_INTERVAL = _REPORT_EVERY_S
# A worker asks for these for each option of each message that starts users, and locust builds its parser every time.
# So it would stand still for 0.9 s in each second of the ramp.
argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
load_user.events.init.add_listener(take_part)
