"""What the filters of a persona do to the sentences that it says."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.runtime import Runtime
from app.sampling import service
from app.sampling.sampler import Sampler
from tests.app.conftest import RunJobs, Upload, jsonl, posts

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/sentences"
MENTIONING = ["@ann " + post for post in posts(150)] + posts(300)[150:]


async def set_filters(api: httpx.AsyncClient, **filters: Any) -> None:
    answer = await api.patch("/api/v1/personas/tess", json={"filters": filters})
    assert answer.status_code == 200, answer.text


async def texts(api: httpx.AsyncClient, **wanted: Any) -> list[str]:
    answer = await api.post(URL, json={"seed": 1, **wanted})
    assert answer.status_code == 200, answer.text
    return [sentence["text"] for sentence in answer.json()["sentences"]]


async def test_what_the_corpus_holds_is_not_said_unless_it_may_be(api: httpx.AsyncClient, speaking: str) -> None:
    corpus = set(posts(300))
    assert corpus & set(await texts(api, n=30))
    await set_filters(api, allow_repeats=False)
    answer = await api.post(URL, json={"seed": 1, "n": 30})
    assert answer.status_code == 200, answer.text
    assert not corpus & {sentence["text"] for sentence in answer.json()["sentences"]}
    assert answer.json()["given_up"]["repeated"] > 0


async def test_when_a_filter_is_in_the_way_the_answer_names_it(api: httpx.AsyncClient, speaking: str) -> None:
    await set_filters(api, blocked_words=["cat"])
    answer = await api.post(URL, json={"seed": 1, "prompt": "The cat"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mynah:problem:no-sentence")
    assert "refused as blocked" in answer.json()["detail"]
    assert answer.json()["reasons"]["blocked"] > 0


async def test_refusals_are_counted(api: httpx.AsyncClient, speaking: str, app: FastAPI, runtime: Runtime) -> None:
    await set_filters(api, allow_repeats=False)
    given_up = (await api.post(URL, json={"seed": 1, "n": 30})).json()["given_up"]
    sampler: Sampler = app.state.sampler
    await sampler.refusals.flush(runtime.transaction)
    counted = (await api.get("/api/v1/personas/tess/refusals")).json()
    assert counted["reasons"]["repeated"] == given_up["repeated"]


async def test_nobody_is_mentioned_unless_it_is_allowed(
    api: httpx.AsyncClient, persona: str, upload: Upload, run_jobs: RunJobs
) -> None:
    await set_filters(api, allow_repeats=True, copied_words_limit=1000, copied_share_limit=1.0)
    await upload(jsonl(MENTIONING))
    await run_jobs("default")
    await run_jobs("training")
    assert not any("@" in text for text in await texts(api, n=50))
    answer = await api.post(URL, json={"seed": 1, "n": 50})
    assert "mention" not in answer.json()["given_up"]  # such tokens are not even drawn
    await set_filters(api, allow_mentions=["ann"])
    assert any("@ann" in text for text in await texts(api, n=50))


async def test_what_was_said_lately_is_not_said_again(
    api: httpx.AsyncClient, speaking: str, app: FastAPI, runtime: Runtime
) -> None:
    await set_filters(api, allow_repeats=False)

    async def say(*recent: str) -> service.Spoken:
        controls = {"temperature": 0.8}
        return await service.speak(
            runtime, app.state.sampler, handle="tess", n=1, controls=controls, seed=3, recent=recent
        )

    first = await say()
    said = first.sentences[0].text
    second = await say(said.upper())
    assert second.sentences[0].text != said
    assert second.given_up["repeated"] > first.given_up["repeated"]
