"""Sentences as server-sent events."""

import asyncio
import json
import socket
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import Message

from app.sampling.event_stream import Events, EventStream
from app.sampling.streams import Event, Piece, Refused, Relay, Whole
from ml.models.kneser_ney import KneserNey
from ml.sampling.controls import Controls
from ml.sampling.engine import draw_all
from ml.sampling.request import Speech
from ml.sampling.voice import Voice
from ml.serving.speaker import PlainSpeaker
from ml.text.subwords import SubwordTokenizer
from tests.app.conftest import ADMIN_KEY, posts
from tests.app.sampling.conftest import RememberingEngine, until

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/sentences"
STREAM = {"Accept": "text/event-stream"}
# None of these ends by itself before its time is over.
ENDLESS = {"n": 8, "min_characters": 9_990, "max_characters": 10_000}


@dataclass(frozen=True)
class Sent:
    name: str
    data: dict[str, Any]


def events_of(text: str) -> list[Sent]:
    sent = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        sent.append(Sent(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return sent


async def streamed(api: httpx.AsyncClient, **wanted: Any) -> list[Sent]:
    answer = await api.post(URL, json=wanted, headers=STREAM)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_of(answer.text)


def texts_of(sent: list[Sent]) -> dict[int, str]:
    """As a client puts them together."""
    texts: defaultdict[int, str] = defaultdict(str)
    for event in sent:
        if event.name == "token":
            texts[event.data["sentence"]] += event.data["text"]
        if event.name == "refused":
            texts[event.data["sentence"]] = ""
    return dict(texts)


@pytest.mark.parametrize(
    "wanted",
    [
        {"n": 1},
        {"n": 7, "temperature": 1.3, "prompt": "The cat"},
        {"n": 5, "stop": ["the", "a"], "prompt": "A bird "},
        {"n": 6, "max_characters": 40},
    ],
)
async def test_a_stream_tells_token_by_token_what_the_plain_answer_says(
    wanted: dict[str, Any], api: httpx.AsyncClient, speaking: str
) -> None:
    plain = (await api.post(URL, json=wanted | {"seed": 7})).json()
    sent = await streamed(api, seed=7, **wanted)
    sentences = {event.data.pop("sentence"): event.data for event in sent if event.name == "sentence"}
    assert [sentences[number] for number in range(wanted["n"])] == plain["sentences"]
    assert texts_of(sent) == {number: sentence["text"] for number, sentence in enumerate(plain["sentences"])}
    assert sent[-1] == Sent("done", {"model": 1, "seed": 7, "given_up": plain["given_up"]})
    refused = [event for event in sent if event.name == "refused"]
    assert len(refused) == sum(plain["given_up"].values())


async def test_who_does_not_ask_for_events_gets_json(api: httpx.AsyncClient, speaking: str) -> None:
    for accept in ("*/*", "application/json", "text/html"):
        answer = await api.post(URL, headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"
    answer = await api.post(URL, headers={"Accept": "application/json;q=0.5, TEXT/Event-Stream; q=0.9"})
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("wanted", "status", "kind"),
    [
        ({"temperature": 9}, 422, "invalid-input"),
        ({"prompt": "x" * 501}, 422, "prompt-too-long"),
        ({"banned_words": ["cat"], "prompt": "The cat"}, 422, "invalid-input"),
    ],
)
async def test_what_fails_before_it_begins_is_an_ordinary_error(
    wanted: dict[str, Any], status: int, kind: str, api: httpx.AsyncClient, speaking: str
) -> None:
    answer = await api.post(URL, json=wanted, headers=STREAM)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:mynah:problem:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_persona_that_cannot_speak_is_an_ordinary_error(api: httpx.AsyncClient, persona: str) -> None:
    answer = await api.post(URL, headers=STREAM)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:mynah:problem:no-model-yet")


async def test_what_fails_after_it_began_is_the_last_event(api: httpx.AsyncClient, speaking: str) -> None:
    sent = await streamed(api, max_characters=1, seed=1)
    assert sent[0].name in {"token", "refused"}
    assert sent[-1].name == "problem"
    assert sent[-1].data["type"] == "urn:mynah:problem:no-sentence"
    assert (sent[-1].data["status"], sent[-1].data["instance"]) == (422, URL)
    assert "max_characters" in sent[-1].data["detail"]


def request_to(path: str, body: dict[str, Any], **headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: mynah.test",
        f"Authorization: Bearer {ADMIN_KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_a_client_that_hangs_up_frees_its_rows(
    accept: str, speaking: str, engine: RememberingEngine, port: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_to(URL, ENDLESS, Accept=accept))
    await writer.drain()
    await until(lambda: bool(engine.submitted))
    if accept == "text/event-stream":
        assert b"200 OK" in await reader.readuntil(b"event: token")
    (request,) = engine.submitted
    assert engine.under_way == 1
    writer.close()
    await until(lambda: engine.under_way == 0)
    assert request.cancelled
    assert not request.done
    assert request.error is None


async def test_a_client_that_does_not_read_keeps_nobody_waiting(
    api: httpx.AsyncClient, speaking: str, engine: RememberingEngine, port: int
) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.to_thread(connection.sendall, request_to(URL, ENDLESS, Accept="text/event-stream"))
        await until(lambda: bool(engine.submitted))
        assert (await api.post(URL, json={"n": 3})).status_code == 200
        assert engine.submitted[0].over is False
    await until(lambda: engine.under_way == 0)


async def test_events_are_closed_when_the_client_leaves_while_one_is_being_sent() -> None:
    closed, sending = asyncio.Event(), asyncio.Event()

    async def source() -> Events:
        try:
            while True:
                yield b"data: 1\n\n"
        finally:
            closed.set()

    async def send(message: Message) -> None:
        if message.get("body"):
            sending.set()
            await asyncio.Event().wait()  # a connection whose buffers are full

    async def receive() -> Message:
        await sending.wait()
        return {"type": "http.disconnect"}

    events = source()  # held here: nothing but closing it ends it
    scope = {"type": "http", "method": "POST", "headers": [], "asgi": {"spec_version": "2.3"}}
    await EventStream(events)(scope, receive, send)
    assert closed.is_set()


@pytest.fixture(scope="module")
def voice() -> Voice:
    corpus = posts(120)
    tokenizer = SubwordTokenizer.learn(corpus, vocabulary_size=300)
    model = KneserNey.fit(
        tokenizer.encode_posts(corpus), order=4, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    return Voice(PlainSpeaker(model), tokenizer)


async def told_by(relay: Relay) -> list[Event]:
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    over.set_result(None)
    return [event async for event in relay.events(over)]


async def test_a_slow_reader_costs_an_entry_an_attempt_and_misses_nothing(voice: Voice) -> None:
    relay = Relay()
    speech = Speech(voice, Controls(max_characters=45), n=50, seed=2, listener=relay)
    await asyncio.to_thread(draw_all, speech)
    refused = speech.given_up.total()
    assert refused > 0
    assert len(relay) == 50 + refused
    assert sum(sentence.tokens for sentence in speech.sentences) > 2 * len(relay)
    told = await told_by(relay)
    assert len(relay) == 0
    pieces = {event.sentence: event.text for event in told if isinstance(event, Piece)}
    assert pieces == {number: sentence.text for number, sentence in enumerate(speech.sentences)}
    assert len([event for event in told if isinstance(event, Refused)]) == refused
    assert [event.said.text for event in sorted(whole_of(told), key=lambda whole: whole.sentence)] == [
        sentence.text for sentence in speech.sentences
    ]


def whole_of(told: list[Event]) -> list[Whole]:
    return [event for event in told if isinstance(event, Whole)]


async def test_who_wants_whole_sentences_hears_of_nothing_else(voice: Voice) -> None:
    relay = Relay(pieces=False)
    speech = Speech(voice, Controls(max_characters=45), n=20, seed=2, listener=relay)
    await asyncio.to_thread(draw_all, speech)
    assert speech.given_up.total() > 0
    told = await told_by(relay)
    assert len(told) == 20
    assert {event.sentence: event.said for event in whole_of(told)} == dict(enumerate(speech.sentences))
