"""The real commands, as a person runs them: own PostgreSQL, own worker, Ctrl-C, and on from there."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.app.conftest import posts

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 90


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    # Not pytest's own folder: see tests/app/conftest.py.
    with tempfile.TemporaryDirectory(prefix="mynah-test-") as folder:
        yield _environment(Path(folder))


def _environment(folder: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MYNAH_")}
    return kept | {
        "MYNAH_DATA_DIR": str(folder / "data"),
        "MYNAH_PORT": str(port),
        "MYNAH_TRAINING_MINUTES": "0.02",
        "COLUMNS": "200",
    }


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "posts.txt"
    file.write_text("\n".join(posts(300)) + "\nRT @somebody: Not mine.\n")
    return file


class Running:
    """A command under way; what it prints is collected."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self.printed = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed += line

    def wait_for(self, pattern: str) -> re.Match[str]:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if found := re.search(pattern, self.printed):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} was not printed:\n{self.printed}")

    def wait_until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if holds():
                return
            time.sleep(0.05)
        raise AssertionError(f"It did not come to pass:\n{self.printed}")

    def children(self) -> list[psutil.Process]:
        """The processes that it has started and that live."""
        started = psutil.Process(self._process.pid).children()
        return [child for child in started if child.status() != psutil.STATUS_ZOMBIE]

    def stop(self, number: int = signal.SIGINT) -> int:
        self._process.send_signal(number)
        try:
            return self._process.wait(timeout=PATIENCE_SECONDS)
        finally:
            self._process.kill()
            self._reader.join(timeout=5)
            assert self._process.stdout is not None
            self._process.stdout.close()


@pytest.fixture
def no_server_left(environment: dict[str, str]) -> Iterator[None]:
    """PostgreSQL removes this file when it has stopped in order."""
    yield
    assert not (Path(environment["MYNAH_DATA_DIR"]) / "postgres" / "postmaster.pid").exists()


def command(*arguments: str, environment: dict[str, str], fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.usefixtures("no_server_left")
def test_the_demo_speaks_stops_and_carries_on(environment: dict[str, str], corpus: Path) -> None:
    arguments = ("demo", "--corpus", str(corpus), "--handle", "tess")
    first = Running(*arguments, environment=environment)
    key = first.wait_for(r"admin key\s+(\S+)")[1]
    first.wait_for(r"300 posts stored, 0 duplicates, 1 left out")
    first.wait_for(r"Model 1 \(kneser-ney\) says:\n  “.+”")
    base = f"http://127.0.0.1:{environment['MYNAH_PORT']}"
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{base}/readyz").status_code == 200
    said = httpx.post(f"{base}/api/v1/personas/tess/sentences", json={"seed": 7}, headers=headers).json()
    assert httpx.get(f"{base}/@tess").status_code == 200
    assert first.stop() == 0, first.printed

    second = Running(*arguments, environment=environment)
    second.wait_for(r"Model \d+ \(.+\) says:\n  “.+”")
    assert "Importing" not in second.printed
    assert key in second.printed
    models = httpx.get(f"{base}/api/v1/personas/tess/models", headers=headers).json()["items"]
    if next(model["number"] for model in models if model["promoted"]) == said["model"]:
        again = httpx.post(f"{base}/api/v1/personas/tess/sentences", json={"seed": 7}, headers=headers).json()
        assert again == said
    assert second.stop(signal.SIGTERM) == 0, second.printed


@pytest.mark.usefixtures("no_server_left")
def test_from_a_file_to_a_sentence_on_the_command_line(environment: dict[str, str], corpus: Path) -> None:
    assert "No persona yet" in command("personas", environment=environment)
    imported = command("import", "tess", str(corpus), environment=environment)
    assert "300 posts stored; 0 known already; left out: 1 repost." in imported
    trained = command("train", "tess", "--preset", "kneser-ney", environment=environment)
    assert re.search(r"test\s+\d+\.\d+\s+\d\.\d{3}", trained)
    first, again = (command("say", "tess", "-n", "2", "--seed", "5", environment=environment) for _ in range(2))
    assert first == again
    assert len(first.splitlines()) == 2
    assert re.search(r"@tess\s+tess\s+300\s+1 \(kneser-ney\)", command("personas", environment=environment))


@pytest.mark.usefixtures("no_server_left")
def test_a_wrong_command_is_told_in_a_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    assert "@nobody" in command("say", "nobody", environment=environment, fails=True)
    assert "no handle" in command("import", "no/body", __file__, environment=environment, fails=True)
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    assert "format" in command("import", "tess", str(picture), environment=environment, fails=True)
    wrong = environment | {"MYNAH_PORT": "many"}
    assert "MYNAH_PORT" in command("personas", environment=wrong, fails=True)


@pytest.mark.usefixtures("no_server_left")
def test_a_service_that_was_killed_leaves_nothing_that_the_next_one_cannot_stop(
    environment: dict[str, str],
) -> None:
    killed = Running("serve", environment=environment)
    killed.wait_for("worker.started")
    killed.stop(signal.SIGKILL)
    after = Running("serve", environment=environment)
    after.wait_for("worker.started")
    assert after.stop() == 0, after.printed


@pytest.mark.usefixtures("no_server_left")
def test_a_demo_that_cannot_learn_from_its_file_says_why_and_ends(environment: dict[str, str], tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("\n".join(posts(5)))
    told = command("demo", "--corpus", str(few), environment=environment, fails=True)
    assert "too small" in told
    assert "5 distinct posts" in told
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    told = command("demo", "--corpus", str(picture), environment=environment, fails=True)
    assert "format" in told


@pytest.mark.usefixtures("no_server_left")
def test_several_processes_answer_and_one_that_dies_is_replaced(environment: dict[str, str]) -> None:
    """All on one address, each with an engine of its own; the worker is a process beside them."""
    base = f"http://127.0.0.1:{environment['MYNAH_PORT']}"
    serving = Running("serve", "--processes", "2", environment=environment)
    serving.wait_until(lambda: _answers(f"{base}/readyz"))
    children = serving.children()
    roles = sorted(role for child in children for role in ("serve", "worker") if role in child.cmdline())
    assert roles == ["serve", "serve", "worker"]
    victim = next(child for child in children if "serve" in child.cmdline())
    victim.kill()
    serving.wait_until(lambda: victim.pid not in {child.pid for child in serving.children()})
    serving.wait_until(lambda: len(serving.children()) == 3)
    serving.wait_until(lambda: _answers(f"{base}/readyz"))
    assert serving.stop(signal.SIGTERM) == 0, serving.printed
    assert not any(child.is_running() for child in children)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
