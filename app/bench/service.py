"""A service as its operator runs it: a child process, asked over HTTP, ended in order."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from app.bench import request
from app.bench.errors import BenchmarkError
from app.bench.load import HOST, Target
from app.bench.stage import Stage

SERVE: Final = ("app.cli", "serve")
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.01
ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service that runs. started_at: on the monotonic clock, when its process was begun."""

    process: "subprocess.Popen[bytes]"
    port: int
    key: str
    log: Path
    started_at: float

    def target(self, handles: Sequence[str], *, n: int) -> Target:
        """Requests for n sentences to these personas in turn."""
        paths = tuple(request.path(handle) for handle in handles)
        return Target(port=self.port, paths=paths, body=request.body(n), key=self.key)

    def say(self, handle: str) -> None:
        """Ask for one sentence. Raises BenchmarkError for an answer without, OSError for none."""
        target = self.target([handle], n=1)
        status, body = self._ask(target)
        if status != HTTPStatus.OK:
            raise BenchmarkError(f"{target.paths[0]} answered {status}: {body.decode(errors='replace')[:300]}")

    def wait_for(self, path: str) -> None:
        """Wait until a path answers 200. Raises BenchmarkError when the process ends or takes too long."""
        target = Target(port=self.port, paths=(path,))
        self._wait_until(lambda: self._ask(target)[0] == HTTPStatus.OK)

    def wait_for_sentence(self, handle: str) -> float:
        """Seconds from the begin of its process to its first sentence. Raises BenchmarkError."""

        def said() -> bool:
            self.say(handle)
            return True

        self._wait_until(said)
        return time.monotonic() - self.started_at

    def _ask(self, target: Target) -> tuple[int, bytes]:
        """Status and body of one answer. Nothing heavier: what asks must not keep a core from what is starting."""
        connection = HTTPConnection(HOST, self.port, timeout=ANSWER_SECONDS)
        with closing(connection):
            connection.request(target.method, target.paths[0], body=target.body or None, headers=target.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _wait_until(self, good: Callable[[], bool]) -> None:
        """Ask again and again while nobody listens yet. Raises BenchmarkError."""
        while True:
            with suppress(OSError, HTTPException):  # it has not begun to listen
                if good():
                    return
            self._check_starting()
            time.sleep(POLL_SECONDS)

    def _check_starting(self) -> None:
        """Raises BenchmarkError where waiting longer makes no sense."""
        late = time.monotonic() - self.started_at > START_SECONDS
        if late or self.process.poll() is not None:
            state = f"does not answer after {START_SECONDS:g} s" if late else f"ended with {self.process.returncode}"
            lines = self.log.read_text(errors="replace").splitlines()
            raise BenchmarkError(f"The service {state}: {' | '.join(lines[-5:]) or 'it said nothing'}")


@contextmanager
def begun(stage: Stage, module: Sequence[str] = SERVE) -> Iterator[Service]:
    """A service whose process has just begun; ended when the block is left, however that is.

    module: the arguments of `python -m`.
    """
    port = _free_port()
    log = stage.folder / f"{module[0]}.{port}.log"
    with log.open("wb") as output:
        started_at = time.monotonic()
        process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", *module],
            env=_environment(stage, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C reaches us only, and we end it.
            start_new_session=True,
        )
    try:
        yield Service(process=process, port=port, key=stage.key, log=log, started_at=started_at)
    finally:
        _end(process)


@contextmanager
def answering(stage: Stage, module: Sequence[str] = SERVE) -> Iterator[Service]:
    """A service that answers. Raises BenchmarkError."""
    with begun(stage, module) as service:
        service.wait_for("/healthz")
        yield service


def _environment(stage: Stage, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MYNAH_")}
    return kept | {
        "MYNAH_DATABASE_URL": stage.database_url,
        "MYNAH_DATA_DIR": str(stage.settings.data_dir),
        "MYNAH_ADMIN_KEY": stage.key,
        "MYNAH_LOG_LEVEL": stage.settings.log_level,
        "MYNAH_HOST": HOST,
        "MYNAH_PORT": str(port),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
