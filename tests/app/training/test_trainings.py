"""Trainings over HTTP, in real child processes."""

import asyncio
import contextlib
import math
import os
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from app import jobs
from app.runtime import Runtime
from app.training import promotion, run
from app.training.models import Evaluation, Promotion, Training, TrainingStatus
from tests.app.conftest import RunJobs, Upload, jsonl, posts, worker_beside

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess"


async def ask(api: httpx.AsyncClient, **wanted: object) -> dict[str, Any]:
    answer = await api.post(f"{URL}/trainings", json=wanted)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def seen(api: httpx.AsyncClient, training: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = (await api.get(f"{URL}/trainings/{training['id']}")).json()
    return body


async def until(condition: Callable[[dict[str, Any]], bool], api: httpx.AsyncClient, training: dict[str, Any]) -> None:
    async with asyncio.timeout(60):
        while not condition(await seen(api, training)):  # noqa: ASYNC110  it is looked at from outside
            await asyncio.sleep(0.05)


async def test_a_new_corpus_gets_an_instant_model_and_then_asks_for_the_recurrent_one(
    api: httpx.AsyncClient, upload: Upload, run_jobs: RunJobs, runtime: Runtime
) -> None:
    await upload(jsonl(posts(300)))
    await run_jobs("default")
    (first,) = (await api.get(f"{URL}/trainings")).json()["items"]
    assert (first["preset"], first["status"]) == ("kneser-ney", "queued")
    await run_jobs("training")
    await run_jobs("default")
    second, first = (await api.get(f"{URL}/trainings")).json()["items"]
    assert (first["status"], second["preset"], second["status"]) == ("succeeded", "lstm-kn5", "queued")
    (model,) = (await api.get(f"{URL}/models")).json()["items"]
    assert model["promoted"]
    assert {evaluation["split"] for evaluation in model["evaluations"]} == {"train", "valid", "test"}
    async with runtime.transaction() as session:
        for row in await session.scalars(select(Evaluation)):
            assert row.perplexity > 1
            assert row.bits_per_byte == pytest.approx(row.nats / 0.6931471805599453 / row.bytes)


@pytest.mark.slow
async def test_a_recurrent_training_records_epochs_perplexities_and_a_model(
    api: httpx.AsyncClient, speaking: str, run_jobs: RunJobs
) -> None:
    training = await ask(api, preset="lstm-kn5", minutes=0.05, seed=3)
    await run_jobs("training")
    done = await seen(api, training)
    assert (done["status"], done["progress"], done["error"], done["seed"]) == ("succeeded", 1.0, None, 3)
    assert [epoch["epoch"] for epoch in done["epochs"]] == list(range(1, len(done["epochs"]) + 1))
    assert all(epoch["train_perplexity"] > 1 and epoch["tokens_per_second"] > 0 for epoch in done["epochs"])
    models = (await api.get(f"{URL}/models")).json()["items"]
    assert models[0]["number"] == done["model"]
    assert sum(model["promoted"] for model in models) == 1


async def test_a_model_that_rules_out_what_came_is_recorded_as_infinitely_costly(
    api: httpx.AsyncClient, upload: Upload, run_jobs: RunJobs, runtime: Runtime
) -> None:
    """Infinity in the database, null in JSON, and any other model is promoted over it."""
    await upload(jsonl([f"{post} {chr(0x4E00 + 37 * number)}" for number, post in enumerate(posts(300))]))
    await run_jobs("default")
    (instant,) = (await api.get(f"{URL}/trainings")).json()["items"]
    await api.post(f"{URL}/trainings/{instant['id']}/cancel")
    for preset in ("bigram", "kneser-ney"):
        training = await ask(api, preset=preset)
        await run_jobs("training")
        done = await seen(api, training)
        assert (done["status"], done["error"]) == ("succeeded", None)
    smoothed, counted = (await api.get(f"{URL}/models")).json()["items"]
    assert (smoothed["preset"], smoothed["promoted"], counted["promoted"]) == ("kneser-ney", True, False)
    figures = {evaluation["split"]: evaluation["bits_per_byte"] for evaluation in counted["evaluations"]}
    assert (figures["valid"], figures["test"]) == (None, None)
    assert figures["train"] > 0
    async with runtime.transaction() as session:
        rows = await session.scalars(select(Evaluation).where(Evaluation.split == "valid").order_by(Evaluation.id))
        assert math.inf in {row.perplexity for row in rows}
        evidence = [promotion.evidence for promotion in await session.scalars(select(Promotion).order_by(Promotion.id))]
    assert [row["challenger_bits_per_byte"] is None for row in evidence] == [True, False]
    assert evidence[1]["champion_bits_per_byte"] is None


async def test_a_challenger_that_is_worse_on_the_same_posts_is_not_promoted(
    api: httpx.AsyncClient, speaking: str, run_jobs: RunJobs, runtime: Runtime
) -> None:
    training = await ask(api, preset="elman", minutes=0.01)
    await run_jobs("training")
    assert (await seen(api, training))["status"] == "succeeded"
    async with runtime.transaction() as session:
        promotions = (await session.scalars(select(Promotion))).all()
        served = await promotion.promoted(session, persona_id=promotions[0].persona_id)
        figures = {
            (row.model_version_id, row.snapshot_hash): row.bits_per_byte
            for row in await session.scalars(select(Evaluation).where(Evaluation.split == "valid"))
        }
    assert served is not None
    assert figures[served.id, served.snapshot_hash] == min(figures.values())


async def test_too_small_a_corpus_fails_with_its_reason(
    api: httpx.AsyncClient, upload: Upload, run_jobs: RunJobs
) -> None:
    await upload(jsonl(posts(12)))
    await run_jobs("default")
    await run_jobs("training")
    (training,) = (await api.get(f"{URL}/trainings")).json()["items"]
    assert training["status"] == "failed"
    assert training["error"]["type"] == "urn:mynah:problem:corpus-too-small"
    assert "12" in training["error"]["detail"]
    answer = await api.post(f"{URL}/sentences", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:mynah:problem:no-model-yet")


async def test_a_training_without_posts_or_with_an_unknown_preset_is_refused(
    api: httpx.AsyncClient, persona: str
) -> None:
    empty = await api.post(f"{URL}/trainings", json={})
    assert (empty.status_code, empty.json()["type"]) == (409, "urn:mynah:problem:no-posts")
    unknown = await api.post(f"{URL}/trainings", json={"preset": "gpt"})
    assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:mynah:problem:unknown-preset")
    assert "kneser-ney" in unknown.json()["detail"]
    assert (await api.get(f"{URL}/trainings")).json()["items"] == []


async def test_a_cancelled_training_stops_and_leaves_no_model(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime
) -> None:
    training = await ask(api, preset="lstm", minutes=30)
    async with worker_beside(runtime, "training"):
        await until(lambda row: row["status"] == "running", api, training)
        cancelled = await api.post(f"{URL}/trainings/{training['id']}/cancel")
        assert cancelled.json()["status"] == "cancelled"
        folder = runtime.settings.data_dir / "trainings" / str(training["id"])
        async with asyncio.timeout(30):
            while folder.exists():  # noqa: ASYNC110  the worker removes it when the child is gone
                await asyncio.sleep(0.05)
    assert (await seen(api, training))["status"] == "cancelled"
    assert len((await api.get(f"{URL}/models")).json()["items"]) == 1


@pytest.mark.slow
async def test_a_worker_that_stops_lets_its_training_go_and_the_next_one_finishes_it(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs
) -> None:
    training = await ask(api, preset="elman", minutes=0.1)
    async with worker_beside(runtime, "training"):
        await until(lambda row: row["status"] == "running", api, training)
    assert (await seen(api, training))["status"] == "queued"
    await run_jobs("training")
    assert (await seen(api, training))["status"] == "succeeded"


async def test_the_job_of_a_dead_worker_is_taken_up_by_the_next(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs
) -> None:
    training = await ask(api, preset="kneser-ney")
    async with runtime.transaction() as session:
        # What a worker leaves that was killed in the middle of its training: row and job are under way, it is silent.
        await session.execute(
            text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
        )
        await session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'doing', "
                "worker_id = (SELECT max(id) FROM procrastinate_workers) WHERE task_name = 'training.run'"
            )
        )
        row = await session.get_one(Training, training["id"])
        row.status, row.attempt = TrainingStatus.RUNNING, 1
    await jobs.rescue_stalled_jobs(runtime.queue)
    await run_jobs("training")
    assert (await seen(api, training))["status"] == "succeeded"


async def test_a_training_that_kills_every_worker_is_given_up(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs
) -> None:
    training = await ask(api, preset="kneser-ney")
    async with runtime.transaction() as session:
        (await session.get_one(Training, training["id"])).attempt = run.MAX_ATTEMPTS
    await run_jobs("training")
    done = await seen(api, training)
    assert (done["status"], done["error"]["type"]) == ("failed", "urn:mynah:problem:training-failed")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
async def test_a_child_that_is_killed_fails_its_training_with_a_reason(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime
) -> None:
    training = await ask(api, preset="lstm", minutes=30)
    async with worker_beside(runtime, "training"):
        await until(lambda row: row["status"] == "running", api, training)
        await kill_child(str(runtime.settings.data_dir / "trainings" / str(training["id"])))
        await until(lambda row: row["status"] == "failed", api, training)
    assert "exit status -9" in (await seen(api, training))["error"]["detail"]


async def kill_child(directory: str) -> None:
    """SIGKILL the process that trains in this directory, once there is one."""
    async with asyncio.timeout(30):
        while True:
            for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
                with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: ASYNC230, PTH123
                    if directory.encode() in file.read().split(b"\0"):
                        os.kill(int(pid), signal.SIGKILL)
                        return
            await asyncio.sleep(0.05)


async def test_deleting_a_persona_deletes_its_models(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs
) -> None:
    stored = runtime.settings.data_dir / "artifacts" / "models"
    assert list(stored.rglob("config.json"))
    await api.delete(URL)
    await run_jobs("default")
    assert list(stored.rglob("config.json")) == []


async def test_a_persona_whose_model_is_lost_gets_a_new_one(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs
) -> None:
    shutil.rmtree(runtime.settings.data_dir / "artifacts" / "models")
    training = await ask(api, preset="kneser-ney")
    await run_jobs("training")
    done = await seen(api, training)
    assert done["status"] == "succeeded", done["error"]
    newest = (await api.get(f"{URL}/models")).json()["items"][0]
    assert (newest["number"], newest["promoted"]) == (done["model"], True)
    assert (await api.post(f"{URL}/sentences")).json()["model"] == done["model"]


async def test_posts_that_came_while_a_training_failed_are_trained_on(
    api: httpx.AsyncClient, upload: Upload, run_jobs: RunJobs
) -> None:
    await upload(jsonl(posts(12)))
    await run_jobs("default")
    await upload(jsonl(posts(300)[12:]))
    await run_jobs("default")
    await run_jobs("training")
    await run_jobs("default")
    await run_jobs("training")
    statuses = [item["status"] for item in (await api.get(f"{URL}/trainings")).json()["items"]]
    assert "succeeded" in statuses


async def test_an_unexpected_error_ends_the_training_and_is_told(
    api: httpx.AsyncClient, speaking: str, runtime: Runtime, run_jobs: RunJobs
) -> None:
    training = await ask(api, preset="kneser-ney")
    # A file where the training's folder would be: what a broken disk or a wrong owner looks like.
    (runtime.settings.data_dir / "trainings").mkdir(exist_ok=True)
    (runtime.settings.data_dir / "trainings" / str(training["id"])).touch()
    await run_jobs("training")
    done = await seen(api, training)
    assert (done["status"], done["error"]["type"]) == ("failed", "urn:mynah:problem:training-failed")
