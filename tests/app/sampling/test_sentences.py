"""Sentences over HTTP."""

from typing import Any

import httpx
import pytest

from app.runtime import Runtime

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/sentences"


async def said(api: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await api.post(URL, json=wanted)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_persona_speaks_as_many_sentences_as_asked_for(api: httpx.AsyncClient, speaking: str) -> None:
    body = await said(api, n=5)
    assert body["model"] == 1
    assert len(body["sentences"]) == 5
    for sentence in body["sentences"]:
        assert sentence["text"].strip()
        assert sentence["log_probability"] < 0
        assert sentence["perplexity"] > 1


async def test_without_a_body_it_says_one_sentence(api: httpx.AsyncClient, speaking: str) -> None:
    answer = await api.post(URL)
    assert len(answer.json()["sentences"]) == 1


async def test_the_same_seed_model_and_parameters_give_the_same_sentences(
    api: httpx.AsyncClient, speaking: str
) -> None:
    wanted = {"n": 4, "temperature": 0.9, "top_k": 50, "top_p": 0.9, "seed": 7}
    assert await said(api, **wanted) == await said(api, **wanted)
    assert (await said(api, **wanted))["sentences"] != (await said(api, **wanted | {"seed": 8}))["sentences"]


async def test_the_seed_of_an_answer_brings_its_sentences_back(api: httpx.AsyncClient, speaking: str) -> None:
    first = await said(api, n=2)
    assert await said(api, n=2, seed=first["seed"]) == first


async def test_many_banned_words_are_never_said(api: httpx.AsyncClient, speaking: str) -> None:
    banned = ["cat", "harbour", "sea", *(f"word{number}" for number in range(100))]
    for sentence in (await said(api, n=20, banned_words=banned))["sentences"]:
        assert not {"cat", "harbour", "sea"} & set(sentence["text"].lower().replace(".", " ").replace("!", " ").split())


async def test_a_sentence_begins_with_its_prompt_and_fits_its_limit(api: httpx.AsyncClient, speaking: str) -> None:
    for sentence in (await said(api, n=10, prompt="The cat", max_characters=60))["sentences"]:
        assert sentence["text"].startswith("The cat")
        assert len(sentence["text"]) <= 60


@pytest.mark.parametrize(
    ("wanted", "problem", "pointer"),
    [
        ({"n": 0}, "invalid-input", "/n"),
        ({"n": 101}, "invalid-input", "/n"),
        ({"temperature": -1}, "invalid-input", "/temperature"),
        ({"top_p": 0}, "invalid-input", "/top_p"),
        ({"top_k": 0}, "invalid-input", "/top_k"),
        ({"prompt": "x" * 501}, "prompt-too-long", "/prompt"),
        ({"prompt": "x" * 100, "max_characters": 50}, "invalid-input", "/prompt"),
    ],
)
async def test_what_cannot_be_asked_for_is_told_by_field(
    wanted: dict[str, Any], problem: str, pointer: str, api: httpx.AsyncClient, speaking: str
) -> None:
    answer = await api.post(URL, json=wanted)
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:mynah:problem:{problem}")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


ABSURD: list[tuple[str, str]] = [
    ('{"temperature": NaN}', "/temperature"),
    ('{"temperature": Infinity}', "/temperature"),
    ('{"temperature": "hot"}', "/temperature"),
    ('{"top_p": NaN}', "/top_p"),
    ('{"typical_p": NaN}', "/typical_p"),
    ('{"min_p": NaN}', "/min_p"),
    ('{"min_p": 1.5}', "/min_p"),
    ('{"repetition_penalty": NaN}', "/repetition_penalty"),
    ('{"repetition_penalty": 0.5}', "/repetition_penalty"),
    ('{"top_k": 1e30}', "/top_k"),
    ('{"n": 1e30}', "/n"),
    ('{"n": 2.5}', "/n"),
    ('{"seed": -1}', "/seed"),
    ('{"seed": 9223372036854775808}', "/seed"),
    ('{"min_characters": 50, "max_characters": 40}', "/min_characters"),
    ('{"counted_as": "furlongs"}', "/counted_as"),
    ('{"max_tokens": 0}', "/max_tokens"),
    ('{"stop": [""]}', "/stop"),
    ('{"stop": "x"}', "/stop"),
    ('{"prompt": "\\ud800"}', "/prompt"),
    ('{"banned_words": ["cat"], "prompt": "The cat"}', "/prompt"),
    ('{"banned_words": [" "]}', "/banned_words"),
    ('{"banned_patterns": ["("]}', "/banned_patterns"),
    ('{"banned_patterns": ["x*"]}', "/banned_patterns"),
    ('{"required": ["news"]}', "/required"),
    ('{"required": ["#news"], "banned_words": ["news"]}', "/required"),
    ('{"required": ["#news"], "stop": ["#"]}', "/required"),
    ('{"required": ["#averylonghashtag"], "max_characters": 10}', "/required"),
    ('{"temprature": 1}', "/temprature"),
]


async def test_absurd_and_contradictory_values_are_told_by_field(api: httpx.AsyncClient, speaking: str) -> None:
    for body, pointer in ABSURD:
        answer = await api.post(URL, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, (body, answer.text)
        assert answer.json()["type"] == "urn:mynah:problem:invalid-input", body
        pointers = {error["pointer"] for error in answer.json()["errors"]}
        assert {"/" + found.split("/")[1] for found in pointers} == {pointer}, body
        assert answer.headers["content-type"] == "application/problem+json"


async def test_when_no_sentence_fits_the_answer_says_so(api: httpx.AsyncClient, speaking: str) -> None:
    answer = await api.post(URL, json={"max_characters": 1, "seed": 1})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mynah:problem:no-sentence")
    assert "max_characters" in answer.json()["detail"]


async def test_a_damaged_model_is_told_and_never_served(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime
) -> None:
    (file,) = (runtime.settings.data_dir / "artifacts" / "models").rglob("kneser_ney.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    answer = await api.post(URL, json={})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:mynah:problem:model-unavailable")
