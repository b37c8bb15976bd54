"""Several processes of the service on one address: started, watched and ended together.

They share the listening socket, the database and the artifacts, and nothing else: each loads the models that it is
asked for and draws with an engine of its own.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType

import structlog
import uvicorn

from app.auth.api_keys import admin_key
from app.db.embedded import embedded_postgres
from app.sampling.blocklists import Blocklists
from app.settings import Settings

log = structlog.get_logger()

# As long as one process takes to stop by itself, and a little more.
STOP_SECONDS = 12.0
LOOK_SECONDS = 0.2
# A process that dies again and again is not started more often than this, and not for ever.
RESTART_SECONDS = 2.0
SHORT_LIFE_SECONDS = 20.0
MOST_SHORT_LIVES = 5


@dataclass
class _Child:
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    started_at: float


def serve_in_processes(settings: Settings, *, processes: int, with_worker: bool) -> None:
    """Run so many API processes, and one worker if wanted, until Ctrl-C or SIGTERM; one that dies is started again.

    Raises BrokenBlocklist, BrokenKeyFile, and SystemExit when they die as soon as they are started.
    """
    Blocklists.open(settings.blocklist)
    admin_key(settings)
    with ExitStack() as stack:
        environment = dict(os.environ)
        if settings.database_url is None:
            # Ours to keep: a database that one of the processes ran would go with it.
            environment["MYNAH_DATABASE_URL"] = stack.enter_context(embedded_postgres(settings.data_dir))
        listening = uvicorn.Config("", host=settings.host, port=settings.port, log_config=None).bind_socket()
        stack.callback(listening.close)
        api = ("serve", "--no-worker", "--socket", str(listening.fileno()))
        commands = [api] * processes + ([("worker",)] if with_worker else [])
        _Supervisor(commands, environment=environment, sockets=(listening.fileno(),)).run()


class _Supervisor:
    def __init__(
        self, commands: Sequence[tuple[str, ...]], *, environment: dict[str, str], sockets: tuple[int, ...]
    ) -> None:
        self._commands = commands
        self._environment = environment
        self._sockets = sockets
        self._stopping = False
        self._short_lives = 0

    def run(self) -> None:
        with self._signals():
            children = [self._start(arguments) for arguments in self._commands]
            try:
                while not self._stopping:
                    time.sleep(LOOK_SECONDS)
                    self._restart_dead(children)
            finally:
                _stop(children)

    def _start(self, arguments: tuple[str, ...]) -> _Child:
        process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", "app.cli", *arguments, "--die-with-parent"],
            env=self._environment,
            pass_fds=self._sockets,
            # Ctrl-C in the terminal reaches us only, and we end them in order.
            start_new_session=True,
        )
        return _Child(arguments, process, time.monotonic())

    def _restart_dead(self, children: list[_Child]) -> None:
        for number, child in enumerate(children):
            status = child.process.poll()
            if status is None or time.monotonic() - child.started_at < RESTART_SECONDS:
                continue
            log.error("process.died", command=child.arguments[0], status=status)
            lived_seconds = time.monotonic() - child.started_at
            self._short_lives = self._short_lives + 1 if lived_seconds < SHORT_LIFE_SECONDS else 0
            if self._short_lives > MOST_SHORT_LIVES:
                raise SystemExit("The processes end as soon as they are started; what they said stands above.")
            children[number] = self._start(child.arguments)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stopping = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop(children: Sequence[_Child]) -> None:
    """Tell all to stop, and end those that do not."""
    for child in children:
        child.process.terminate()
    until = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
