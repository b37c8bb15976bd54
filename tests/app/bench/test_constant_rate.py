"""The open loop: sent by the clock, counted from when each request was due."""

import socket
import threading

from app.bench.constant_rate import constant_rate
from app.bench.load import Target
from ml.bench.apart import run_apart
from tests.app.bench.answers import answering_server

SENTENCE = b'{"sentences":[{"text":"Yes.","log_probability":-2.0,"tokens":2}]}'


def test_requests_go_out_although_none_has_been_answered() -> None:
    count, rate = 20, 100
    arrived = threading.Barrier(count)

    def answer(*_: object) -> tuple[int, bytes]:
        arrived.wait()  # nobody is answered before the last has asked: a closed loop would wait for ever
        return 200, SENTENCE

    with answering_server(answer) as port:
        target = Target(port=port, paths=("/",), body="{}")
        load = run_apart(constant_rate, target, requests_per_second=rate, seconds=count / rate)
    assert (load.answered, load.errors, load.sentences, load.tokens) == (count, 0, count, 2 * count)
    assert load.p50_ms is not None
    assert load.p99_ms is not None
    # The first was due when the last had so long to go, and waited for it.
    assert load.p99_ms >= (count - 1) / rate * 1e3
    assert load.p50_ms >= (count / 2 - 1) / rate * 1e3
    assert load.answers_per_second <= rate


def test_the_paths_are_asked_in_turn_with_body_and_key() -> None:
    seen = []

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        seen.append((method, path, headers["authorization"], body))
        return 200, SENTENCE

    with answering_server(answer) as port:
        target = Target(port=port, paths=("/a", "/b"), body='{"n": 1}', key="key")
        run_apart(constant_rate, target, requests_per_second=50, seconds=0.08)
    assert sorted(seen) == [("POST", path, "Bearer key", b'{"n": 1}') for path in ("/a", "/a", "/b", "/b")]


def test_a_refusal_is_an_error_and_says_nothing() -> None:
    def answer(_method: str, path: str, *_: object) -> tuple[int, bytes]:
        return (200, SENTENCE) if path == "/good" else (503, SENTENCE)

    with answering_server(answer) as port:
        target = Target(port=port, paths=("/good", "/bad"), body="{}")
        load = run_apart(constant_rate, target, requests_per_second=100, seconds=0.1)
    assert (load.answered, load.errors, load.sentences) == (5, 5, 5)


def test_where_nobody_listens_all_are_errors() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = Target(port=closed.getsockname()[1], paths=("/",))
        load = run_apart(constant_rate, target, requests_per_second=100, seconds=0.05)
    assert (load.answered, load.errors, load.p50_ms, load.p99_ms) == (0, 5, None, None)
