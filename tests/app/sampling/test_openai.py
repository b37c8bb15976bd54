"""OpenAI's own client library against a real server."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import openai
import pytest
from openai.types import Completion, CompletionChoice

from app.runtime import Runtime
from app.sampling.completion_tokens import Told, seen_tokens
from app.sampling.speakers import speakers
from app.training import promotion
from ml.text.subwords import SubwordTokenizer
from ml.text.words import WordTokenizer
from tests.app.conftest import ADMIN_KEY
from tests.app.sampling.conftest import OTHER_POSTS, RememberingEngine, SecondPersona, until

pytestmark = pytest.mark.anyio

URL = "/v1/completions"


@pytest.fixture
async def client(port: int) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=ADMIN_KEY, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, timeout=60
    ) as client:
        yield client


async def test_personas_that_can_speak_are_models(
    api: httpx.AsyncClient, client: openai.AsyncOpenAI, speaking: str, learn: SecondPersona, runtime: Runtime
) -> None:
    await learn("loud", OTHER_POSTS)
    assert (await api.post("/api/v1/personas", json={"handle": "mute", "name": "Mute"})).status_code == 201
    models = [model async for model in client.models.list()]
    assert [model.id for model in models] == ["loud", "tess"]
    one = await client.models.retrieve("tess")
    assert one == models[1]
    assert (one.object, one.owned_by) == ("model", "mynah")
    assert one.created > 0
    async with runtime.transaction() as session:
        assert [persona.handle for persona, _ in await speakers(session, limit=1)] == ["loud"]
        for persona, version in await speakers(session):
            assert version == await promotion.promoted(session, persona_id=persona.id)
    for nobody in ("mute", "nobody"):
        with pytest.raises(openai.NotFoundError) as raised:
            await client.models.retrieve(nobody)
        assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


async def test_a_completion_goes_on_from_its_prompt(client: openai.AsyncOpenAI, speaking: str) -> None:
    made = await client.completions.create(model="tess", prompt="The cat", max_tokens=400, seed=3)
    assert made.object == "text_completion"
    assert (made.model, made.system_fingerprint) == ("tess", "tess-1")
    (choice,) = made.choices
    assert choice.text
    assert not choice.text.startswith("The cat")
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    assert 0 < made.usage.completion_tokens <= 400

    echoed = await client.completions.create(model="tess", prompt="The cat", max_tokens=400, seed=3, echo=True)
    assert echoed.choices[0].text == "The cat" + choice.text


async def test_n_seed_and_prompts(client: openai.AsyncOpenAI, speaking: str) -> None:
    async def texts(**wanted: Any) -> list[str]:
        made = await client.completions.create(model="tess", max_tokens=40, **wanted)
        assert [choice.index for choice in made.choices] == list(range(len(made.choices)))
        return [choice.text for choice in made.choices]

    prompts = ["The", "A bird", "The"]
    several = await texts(prompt=prompts, n=4, seed=-5)
    assert len(several) == 12
    assert several == await texts(prompt=prompts, n=4, seed=-5)
    assert several[:4] == await texts(prompt="The", n=4, seed=-5)
    assert several[8:] != several[:4]
    assert several != await texts(prompt=prompts, n=4, seed=6)
    assert len(set(await texts(prompt="The", n=5, temperature=0))) == 1


async def test_where_a_completion_ends(client: openai.AsyncOpenAI, speaking: str) -> None:
    whole = (await client.completions.create(model="tess", prompt="The cat", max_tokens=400, seed=3)).choices[0].text
    word = whole.split()[1]
    stopped = (
        await client.completions.create(model="tess", prompt="The cat", max_tokens=400, seed=3, stop=["~~", word])
    ).choices[0]
    assert (stopped.text, stopped.finish_reason) == (whole[: whole.index(word)], "stop")
    cut = await client.completions.create(model="tess", prompt="The cat", max_tokens=2, seed=3)
    assert cut.choices[0].finish_reason == "length"
    assert whole.startswith(cut.choices[0].text)
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 2
    usual = await client.completions.create(model="tess", prompt="", seed=3, temperature=2)
    assert usual.usage is not None
    assert usual.usage.completion_tokens <= 16


def check_logprobs(choice: Any, k: int) -> None:
    told = choice.logprobs
    assert "".join(told.tokens) == choice.text
    lengths = {len(told.tokens), len(told.token_logprobs), len(told.top_logprobs), len(told.text_offset)}
    assert len(lengths) == 1
    rows = zip(told.tokens, told.token_logprobs, told.top_logprobs, told.text_offset, strict=True)
    for token, logprob, top, offset in rows:
        assert choice.text[offset:].startswith(token)
        assert logprob < 1e-6
        assert max(k, 1) <= len(top) <= k + 1
        assert token == "" or top[token] == logprob
        assert sum(cost <= logprob for cost in top.values()) >= 1


async def test_logprobs_tell_each_token_and_its_rivals(
    api: httpx.AsyncClient, client: openai.AsyncOpenAI, speaking: str
) -> None:
    for k in (0, 5):
        made = await client.completions.create(
            model="tess", prompt="The cat", max_tokens=400, seed=3, logprobs=k, echo=True
        )
        check_logprobs(made.choices[0], k)
        assert made.usage is not None
        assert made.choices[0].logprobs is not None
        tokens = cast("list[str]", made.choices[0].logprobs.tokens)
        assert len(tokens) == made.usage.total_tokens - 1  # the end is said, and stands nowhere
        without = await client.completions.create(model="tess", prompt="The cat", max_tokens=400, seed=3, logprobs=k)
        check_logprobs(without.choices[0], k)


async def test_an_echo_without_a_completion_scores_the_prompt(
    api: httpx.AsyncClient, client: openai.AsyncOpenAI, speaking: str
) -> None:
    text = "My neighbour paints the harbour."
    made = await client.completions.create(model="tess", prompt=text, max_tokens=0, logprobs=2, echo=True, n=2)
    scored = (await api.post("/api/v1/personas/tess/score", json={"text": text})).json()["tokens"]
    for choice in made.choices:
        check_logprobs(choice, 2)
        assert (choice.text, choice.finish_reason) == (text, "length")
        assert choice.logprobs is not None
        costs = cast("list[float]", choice.logprobs.token_logprobs)
        assert costs == pytest.approx([-token["surprisal"] for token in scored[:-1]], rel=1e-5, abs=1e-6)
    assert made.usage is not None
    assert made.usage.completion_tokens == 0


async def test_a_stream_gives_the_same_text_token_by_token(client: openai.AsyncOpenAI, speaking: str) -> None:
    wanted: dict[str, Any] = {
        "model": "tess",
        "prompt": ["The cat", "A"],
        "n": 3,
        "max_tokens": 60,
        "seed": 5,
        "logprobs": 2,
        "echo": True,
        "stop": "!",
    }
    plain: Completion = await client.completions.create(**wanted)
    stream = await client.completions.create(**wanted, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    for choice in plain.choices:
        pieces = [chunk.choices[0] for chunk in chunks[:-1] if chunk.choices[0].index == choice.index]
        assert "".join(piece.text for piece in pieces) == choice.text
        assert len(pieces) > 4
        assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + [choice.finish_reason]
        tokens = [token for piece in pieces if piece.logprobs for token in piece.logprobs.tokens or []]
        assert choice.logprobs is not None
        assert tokens == choice.logprobs.tokens


async def test_a_stream_on_the_wire(api: httpx.AsyncClient, speaking: str) -> None:
    answer = await api.post(URL, json={"model": "tess", "stream": True, "n": 2})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, last = answer.text.removesuffix("\n\n").split("\n\n")
    assert last == "data: [DONE]"
    for chunk in chunks:
        told = json.loads(chunk.removeprefix("data: "))
        assert told["object"] == "text_completion"
        assert "usage" not in told


UNACCEPTABLE: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n"),
    ({"n": 101}, "n"),
    ({"prompt": ["a"] * 11, "n": 10}, "n"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [1, 2]}, "prompt"),
    ({"prompt": "x" * 10_001}, "prompt"),
    ({"prompt": "\ud800"}, "prompt"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"temperature": 2.1}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"stop": ["x"] * 17}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"logprobs": 6}, "logprobs"),
    ({"best_of": 3}, "best_of"),
    ({"suffix": "."}, "suffix"),
    ({"presence_penalty": 0.5}, "presence_penalty"),
    ({"frequency_penalty": -1}, "frequency_penalty"),
    ({"logit_bias": {"50256": -100}}, "logit_bias"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"seed": 2**63}, "seed"),
    ({"temprature": 1}, "temprature"),
    ({"model": None}, "model"),
]


async def test_what_cannot_be_asked_for_is_told_by_parameter(api: httpx.AsyncClient, speaking: str) -> None:
    for wanted, param in UNACCEPTABLE:
        answer = await api.post(
            URL, content=json.dumps({"model": "tess", **wanted}), headers={"Content-Type": "application/json"}
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param), error
        assert error["message"]
        assert "code" in error


async def test_a_body_that_cannot_be_read_is_told_in_the_same_form(api: httpx.AsyncClient, speaking: str) -> None:
    for body, status in (("{", 400), ("[]", 400), (json.dumps({"prompt": "x" * 2_000_000}), 413)):
        answer = await api.post(URL, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_what_fails_in_a_stream_is_raised_after_what_came_before(
    client: openai.AsyncOpenAI, speaking: str
) -> None:
    # A prompt that leaves no room: the likeliest way on is too long, and every attempt goes it.
    full = ("The cat sings about " * 500)[:9_993] + "The cat"
    stream = await client.completions.create(
        model="tess", prompt=["The cat", full], temperature=0, max_tokens=50, stream=True
    )
    heard: list[CompletionChoice] = []

    async def hear() -> None:
        async for chunk in stream:
            heard.append(chunk.choices[0])  # noqa: PERF401  what came before the error counts

    with pytest.raises(openai.APIError, match="max_characters"):
        await hear()
    assert heard[-1].finish_reason == "stop"
    assert {choice.index for choice in heard} == {0}
    alone = await client.completions.create(model="tess", prompt="The cat", temperature=0, max_tokens=50)
    assert "".join(choice.text for choice in heard) == alone.choices[0].text


async def test_nulls_and_defaults_of_other_parameters_are_taken(api: httpx.AsyncClient, speaking: str) -> None:
    names = ("prompt", "n", "best_of", "max_tokens", "temperature", "top_p", "stop", "seed", "logprobs", "echo")
    unused = ("suffix", "presence_penalty", "frequency_penalty", "logit_bias", "user", "stream", "stream_options")
    answer = await api.post(URL, json={"model": "tess", **dict.fromkeys([*names, *unused])})
    assert answer.status_code == 200, answer.text
    defaults = {"best_of": 2, "n": 2, "suffix": "", "presence_penalty": 0, "frequency_penalty": 0.0, "logit_bias": {}}
    answer = await api.post(URL, json={"model": "tess", "user": "me", **defaults})
    assert answer.status_code == 200, answer.text


async def test_errors_are_the_clients_own_exceptions(
    client: openai.AsyncOpenAI, speaking: str, engine: RememberingEngine, port: int
) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.completions.create(model="nobody", prompt="x")
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        await client.completions.create(model="tess", prompt="x", temperature=3)
    assert refused.value.param == "temperature"
    async with openai.AsyncOpenAI(api_key="wrong", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0) as other:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await other.models.list()
        assert unknown.value.code == "invalid_api_key"


async def test_a_full_queue_is_a_rate_limit(
    client: openai.AsyncOpenAI, speaking: str, full_engine: RememberingEngine
) -> None:
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as raised:
            await client.completions.create(model="tess", prompt="x", stream=stream)
        assert raised.value.code == "rate_limit_exceeded"
        assert int(raised.value.response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_rows(
    stream: bool, client: openai.AsyncOpenAI, speaking: str, held_engine: RememberingEngine, gate: threading.Event
) -> None:
    asking = asyncio.ensure_future(
        client.completions.create(model="tess", prompt=["The cat", "A"], n=5, max_tokens=40, stream=stream)
    )
    await until(lambda: len(held_engine.submitted) == 2)
    asking.cancel()
    await until(lambda: all(request.cancelled for request in held_engine.submitted))
    gate.set()
    await until(lambda: held_engine.under_way == 0)
    assert not any(request.done for request in held_engine.submitted)
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_tokens_after_the_cut_stand_nowhere() -> None:
    tokenizer = SubwordTokenizer.learn(["x"], vocabulary_size=257)
    tokens = [*tokenizer.encode("a👍b"), tokenizer.eos]
    told = Told(tokens, [-1.0] * len(tokens), [((tokens[1], -2.0), (tokenizer.eos, -float("inf")))] * len(tokens))
    seen = seen_tokens(tokenizer, told, begin=3, end=6)
    assert [(token.text, token.offset) for token in seen] == [("a", 3), ("", 4), ("", 4), ("", 4), ("👍", 4), ("b", 5)]
    assert seen[0].others == {f"token_id:{tokens[1]}": -2.0, "<eos>": -9999.0, "a": -1.0}
    assert [token.text for token in seen_tokens(tokenizer, told, begin=0, end=1)] == ["a"]


def test_words_are_told_with_the_blank_before_them() -> None:
    tokenizer = WordTokenizer.learn(["a b a b"], vocabulary_size=9)
    tokens = tokenizer.encode("a b a")
    told = Told(tokens, [-1.0] * 3, [((tokens[1], -0.5),)] * 3)
    seen = seen_tokens(tokenizer, told, before=tokens[:1], begin=0, end=99)
    assert [token.text for token in seen] == [" a", " b", " a"]
    assert seen[0].others == {" b": -0.5, " a": -1.0}
