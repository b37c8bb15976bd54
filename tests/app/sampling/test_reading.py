"""Scores of texts, and whom they are attributed to, over HTTP."""

import math
from typing import Any

import httpx
import pytest

from app.runtime import Runtime
from app.sampling.attribution import posterior
from app.sampling.errors import NoAuthor
from ml import artifact
from ml.evaluation.posts import evaluate, surprisal
from ml.text.subwords import SubwordTokenizer
from ml.text.unknown_words import spelling_nats, unknown_words
from ml.text.words import WordTokenizer
from tests.app.conftest import posts
from tests.app.sampling.conftest import OTHER_POSTS, RememberingEngine, SecondPersona

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/score"
ATTRIBUTE = "/api/v1/attribute"
TEXT = "My neighbour paints the harbour at night! 👍"


def loaded(runtime: Runtime) -> artifact.Artifact:
    (config,) = (runtime.settings.data_dir / "artifacts" / "models").rglob("config.json")
    return artifact.load(config.parent)


async def scored(api: httpx.AsyncClient, text: str) -> dict[str, Any]:
    answer = await api.post(URL, json={"text": text})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_score_is_what_an_evaluation_of_the_text_gives(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime
) -> None:
    body = await scored(api, TEXT)
    model = loaded(runtime)
    expected = evaluate(model.model, model.tokenizer, [TEXT])
    assert body["nats"] == pytest.approx(expected.nats, rel=1e-5)
    assert body["perplexity"] == pytest.approx(expected.perplexity, rel=1e-5)
    assert body["bits_per_byte"] == pytest.approx(expected.bits_per_byte, rel=1e-5)
    assert (body["bytes"], body["model"]) == (len(TEXT.encode()) + 1, 1)
    assert len(body["tokens"]) == expected.tokens
    costs = [token.nats for token in surprisal(model.model, model.tokenizer, TEXT)]
    assert [token["surprisal"] for token in body["tokens"]] == pytest.approx(costs, rel=1e-4, abs=1e-5)


async def test_the_texts_of_tokens_join_to_the_text(api: httpx.AsyncClient, speaking: str) -> None:
    for text in (TEXT, "  two  blanks\n\nand 日本語 ", "\ufeffx\u2028y"):
        tokens = (await scored(api, text))["tokens"]
        assert "".join(token["text"] for token in tokens) == text
        assert tokens[-1]["text"] == ""


async def test_the_personas_own_words_cost_it_less(api: httpx.AsyncClient, speaking: str) -> None:
    own, other = await scored(api, posts(300)[17]), await scored(api, "Quarterly revenue rose in line with guidance.")
    assert own["bits_per_byte"] < other["bits_per_byte"]


async def test_a_long_text_is_read_to_its_end(api: httpx.AsyncClient, speaking: str) -> None:
    body = await scored(api, "ab cd " * 500)
    assert body["bytes"] == 3001


@pytest.mark.parametrize("url", [URL, ATTRIBUTE])
@pytest.mark.parametrize(
    ("text", "kind"),
    [("", "empty-text"), (" \n\t", "empty-text"), ("x" * 10_001, "invalid-input"), ("\ud800", "invalid-input")],
)
async def test_what_cannot_be_read_is_told_by_field(
    text: str, kind: str, url: str, api: httpx.AsyncClient, speaking: str
) -> None:
    body = (
        b'{"text": "\\ud800"}' if text == "\ud800" else httpx.Request("POST", "http://x", json={"text": text}).content
    )
    answer = await api.post(url, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:mynah:problem:{kind}")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/text"]


async def test_nobody_without_a_model_can_read(api: httpx.AsyncClient, persona: str) -> None:
    for url in (URL, ATTRIBUTE):
        answer = await api.post(url, json={"text": "x"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:mynah:problem:no-model-yet")
    answer = await api.post("/api/v1/personas/nobody/score", json={"text": "x"})
    assert answer.status_code == 404


@pytest.mark.parametrize("url", [URL, ATTRIBUTE])
async def test_a_text_that_cannot_be_read_in_time_is_told(
    url: str, api: httpx.AsyncClient, speaking: str, late_engine: RememberingEngine
) -> None:
    answer = await api.post(url, json={"text": TEXT})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:mynah:problem:took-too-long")
    assert "shorter" in answer.json()["detail"]


async def test_a_full_queue_is_told_with_when_to_come_again(
    api: httpx.AsyncClient, speaking: str, full_engine: RememberingEngine
) -> None:
    for url in (URL, ATTRIBUTE):
        answer = await api.post(url, json={"text": TEXT})
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:mynah:problem:busy")
        assert int(answer.headers["Retry-After"]) >= 1


async def attributed(api: httpx.AsyncClient, text: str, **more: Any) -> list[dict[str, Any]]:
    answer = await api.post(ATTRIBUTE, json={"text": text, **more})
    assert answer.status_code == 200, answer.text
    candidates: list[dict[str, Any]] = answer.json()["candidates"]
    return candidates


async def test_a_text_is_attributed_by_bayes_rule_to_whose_voice_it_is(
    api: httpx.AsyncClient, speaking: str, learn: SecondPersona
) -> None:
    await learn("loud", OTHER_POSTS)
    for handle, text in (("tess", posts(300)[250]), ("loud", OTHER_POSTS[250])):
        candidates = await attributed(api, text)
        assert [candidate["handle"] for candidate in candidates] == [handle, *({"tess", "loud"} - {handle})]
        assert candidates[0]["probability"] > 0.9
        assert sum(candidate["probability"] for candidate in candidates) == pytest.approx(1, abs=1e-12)
        assert candidates[0]["bits_per_byte"] < candidates[1]["bits_per_byte"]

    nats = {
        handle: (await api.post(f"/api/v1/personas/{handle}/score", json={"text": "the"})).json()["nats"]
        for handle in ("tess", "loud")
    }
    total = sum(math.exp(-cost) for cost in nats.values())
    for candidate in await attributed(api, "the"):
        assert candidate["probability"] == pytest.approx(math.exp(-nats[candidate["handle"]]) / total, rel=1e-9)

    # Only those named, each once.
    candidates = await attributed(api, TEXT, handles=["Tess", "tess"])
    assert [(candidate["handle"], candidate["probability"]) for candidate in candidates] == [("tess", 1.0)]


async def test_personas_that_cannot_be_compared_are_told_by_field(api: httpx.AsyncClient, speaking: str) -> None:
    for handles, pointer in ((["tess", "nobody"], "/handles/1"), ([], "/handles"), (["tess"] * 51, "/handles")):
        answer = await api.post(ATTRIBUTE, json={"text": TEXT, "handles": handles})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:mynah:problem:invalid-input")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_posterior_of_huge_costs_is_still_one() -> None:
    assert posterior([100_000.0, 100_000.0 + math.log(3)]) == pytest.approx([0.75, 0.25], abs=1e-9)
    assert posterior([5.0, math.inf]) == [1.0, 0.0]
    with pytest.raises(NoAuthor):
        posterior([math.inf, math.inf])


def test_words_outside_a_closed_vocabulary_are_spelt() -> None:
    words = WordTokenizer.learn(["a cat a cat"], vocabulary_size=10)
    assert unknown_words(words, "a dog  cat é") == ["dog", "é"]
    assert spelling_nats(["dog", "é"]) == pytest.approx((4 + 3) * math.log(257))
    assert unknown_words(SubwordTokenizer.learn(["a"], vocabulary_size=257), "a dog") == []


def test_spelling_is_a_distribution_over_words() -> None:
    """All words of up to 3,000 bytes have nearly all of the probability: Σ 256^L / 257^(L+1)."""
    total = sum((256 / 257) ** length / 257 for length in range(3000))
    of_length = {length: math.exp(-spelling_nats(["x" * length])) * 256**length for length in (0, 1, 5)}
    assert of_length == pytest.approx({length: (256 / 257) ** length / 257 for length in (0, 1, 5)})
    assert 0.9999 < total <= 1
