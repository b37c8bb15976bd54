"""wrk: what is asked of it, and what is made of what it prints."""

import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest

from app.bench.closed_loop import closed_loop, load_of
from app.bench.errors import BenchmarkError, ToolMissing
from app.bench.load import Target
from tests.app.bench.answers import answering_server
from tests.app.bench.test_constant_rate import SENTENCE

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def test_what_wrk_measured_is_read_from_its_last_line() -> None:
    printed = (
        "Running 1s test @ http://127.0.0.1:1\n  1 threads and 8 connections\n\n"
        '{"seconds": 2.0, "requests": 110, "refused": 10, "broken": 3, "p50_ms": 1.5, "p99_ms": 9.25, '
        '"sentences": 200, "tokens": 4000}\n'
    )
    load = load_of(printed)
    assert (load.answered, load.errors, load.p50_ms, load.p99_ms) == (100, 13, 1.5, 9.25)
    assert (load.answers_per_second, load.sentences, load.tokens) == (50, 200, 4000)


@pytest.mark.parametrize("printed", ["", "no such host", '{"seconds": 1}', "[1]"])
def test_when_wrk_prints_no_figures_that_is_said(printed: str) -> None:
    with pytest.raises(BenchmarkError, match="wrk printed no figures"):
        load_of(printed)


def test_without_wrk_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="apt-get install wrk"):
        closed_loop(Target(port=1, paths=("/",)), connections=1, seconds=1)


@needs_wrk
def test_a_loop_asks_all_paths_and_counts_what_was_said() -> None:
    asked: Counter[tuple[str, str, str, bytes]] = Counter()
    lock = threading.Lock()

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with lock:
            asked[method, path, headers["authorization"], body] += 1
        return (503, b"{}") if path == "/c" else (200, SENTENCE)

    with answering_server(answer) as port:
        target = Target(port=port, paths=("/a", "/b", "/c"), body='{"n": 1}', key="key")
        load = closed_loop(target, connections=2, seconds=1)
    assert set(asked) == {("POST", path, "Bearer key", b'{"n": 1}') for path in target.paths}
    assert load.answered > 0
    assert load.errors > 0
    assert load.sentences >= load.answered
    assert load.tokens == 2 * load.sentences


@needs_wrk
def test_answers_in_which_no_sentence_is_found_are_no_speed() -> None:
    with (
        answering_server(lambda *_: (200, b'{"said": []}')) as port,
        pytest.raises(BenchmarkError, match="no sentence"),
    ):
        closed_loop(Target(port=port, paths=("/",), body="{}"), connections=1, seconds=1)
