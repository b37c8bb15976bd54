"""Which model speaks: promotions while requests are under way, and models that make room for each other."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from app.runtime import Runtime
from app.sampling.errors import StoreUnavailable
from app.sampling.sampler import Sampler, open_sampler
from app.sampling.served_models import ServedModels
from app.training import promotion
from app.training.models import ModelVersion
from ml.sampling.engine import MAX_WAITING
from tests.app.conftest import RunJobs
from tests.ml.sampling.test_sampling_engine import SECONDS, endless, gated, submitted

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/sentences"


@pytest.fixture
async def two_versions(
    api: httpx.AsyncClient, speaking: str, run_jobs: RunJobs, runtime: Runtime
) -> list[ModelVersion]:
    """@tess with two model versions, of which the first is promoted."""
    answer = await api.post("/api/v1/personas/tess/trainings", json={"preset": "bigram", "seed": 2})
    assert answer.status_code == 202, answer.text
    await run_jobs("training")
    async with runtime.transaction() as session:
        return list(await session.scalars(select(ModelVersion).order_by(ModelVersion.number)))


async def promote(runtime: Runtime, version: ModelVersion) -> None:
    async with runtime.transaction() as session:
        await promotion.challenge(
            session,
            challenger=version,
            challenger_bits_per_byte=1.0,
            champion=None,
            champion_bits_per_byte=None,
            now=runtime.clock(),
        )


async def test_a_promotion_is_served_without_a_failed_request(
    api: httpx.AsyncClient, two_versions: list[ModelVersion], runtime: Runtime
) -> None:
    """Eight clients ask all the time; from some request on each hears the new version, and never the old one again."""
    heard: list[list[int]] = [[] for _ in range(8)]

    async def ask(models: list[int]) -> None:
        while models[-3:] != [2, 2, 2]:
            answer = await api.post(URL, json={"n": 2})
            assert answer.status_code == 200, answer.text
            models.append(answer.json()["model"])

    asking = [asyncio.create_task(ask(models)) for models in heard]
    await api.post(URL)
    await promote(runtime, two_versions[1])
    async with asyncio.timeout(60):
        await asyncio.gather(*asking)
    for models in heard:
        assert models == sorted(models)
    assert any(models[0] == 1 for models in heard)


async def test_models_make_room_for_each_other_and_are_loaded_again(
    two_versions: list[ModelVersion], runtime: Runtime
) -> None:
    first, second = two_versions
    roomy = ServedModels(runtime.store, runtime.settings.data_dir / "models", max_bytes=10**9)
    both = [await roomy.get(version) for version in (first, second, first)]
    assert both[0] is both[2]
    assert (len(roomy), roomy.loaded_bytes) == (2, both[0].size_bytes + both[1].size_bytes)
    narrow = ServedModels(
        runtime.store, runtime.settings.data_dir / "models", max_bytes=max(served.size_bytes for served in both)
    )
    once = await narrow.get(first)
    await narrow.get(second)
    assert len(narrow) == 1
    assert await narrow.get(first) is not once
    tiny = ServedModels(runtime.store, runtime.settings.data_dir / "models", max_bytes=1)
    assert (await tiny.get(first)).size_bytes > 1
    assert len(tiny) == 1


async def test_a_version_that_many_ask_for_at_once_is_loaded_once(
    two_versions: list[ModelVersion], runtime: Runtime
) -> None:
    models = ServedModels(runtime.store, runtime.settings.data_dir / "models", max_bytes=10**9)
    served = await asyncio.gather(*(models.get(two_versions[0]) for _ in range(20)))
    assert all(one is served[0] for one in served)


async def test_copies_of_models_that_do_not_speak_are_removed_at_the_start(
    two_versions: list[ModelVersion], runtime: Runtime
) -> None:
    directory = runtime.settings.data_dir / "models"
    models = ServedModels(runtime.store, directory, max_bytes=10**9)
    old, new = [await models.get(version) for version in two_versions]
    assert len(list(directory.iterdir())) == 2
    await promote(runtime, two_versions[1])
    async with open_sampler(runtime) as sampler:
        (left,) = directory.iterdir()
        assert left.name == two_versions[1].artifact_key.replace("/", "-")
        assert (await sampler.models.get(two_versions[1])).config == new.config
    assert old.voice.start.probabilities.sum() == pytest.approx(1, abs=1e-4)


async def test_a_load_that_nobody_waits_for_any_more_is_kept(
    two_versions: list[ModelVersion], runtime: Runtime
) -> None:
    models = ServedModels(runtime.store, runtime.settings.data_dir / "models", max_bytes=10**9)
    gone = asyncio.create_task(models.get(two_versions[0]))
    await asyncio.sleep(0)
    gone.cancel()
    served = await models.get(two_versions[0])
    assert gone.cancelled()
    assert await models.get(two_versions[0]) is served


async def test_of_two_that_do_not_fit_together_each_is_served(
    two_versions: list[ModelVersion], runtime: Runtime
) -> None:
    """However loads and evictions fall: whoever asked gets what was asked for."""
    models = ServedModels(runtime.store, runtime.settings.data_dir / "models", max_bytes=1)
    for _ in range(5):
        both = await asyncio.gather(*(models.get(version) for version in two_versions * 3))
        assert both[0] is not both[1]
        assert len(models) == 1


async def test_a_store_that_is_away_is_told_as_passing(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("refused")

    monkeypatch.setattr(runtime.store, "_files", type("Away", (), {"find": refuse})())
    answer = await api.post(URL)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:mynah:problem:store-unavailable")
    assert StoreUnavailable.passes


async def test_too_many_sentences_are_told_when_to_come_back(
    api: httpx.AsyncClient, speaking: str, app: FastAPI
) -> None:
    """The engine takes a bounded number: while somebody else's fill it, the answer is 429."""
    sampler: Sampler = app.state.sampler
    gate, voice = gated()
    filling = endless(voice, n=2 * MAX_WAITING)
    over = submitted(sampler.engine, filling)
    answer = await api.post(URL)
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:mynah:problem:busy")
    assert int(answer.headers["Retry-After"]) == answer.json()["retry_after_seconds"] >= 1
    filling.cancel()
    gate.opened.set()
    assert await asyncio.to_thread(over.wait, SECONDS)
    assert (await api.post(URL)).status_code == 200
