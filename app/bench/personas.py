"""Personas that speak: rows as a training would have left them, made without one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from app.personas import service as personas
from app.runtime import Runtime, open_runtime
from app.settings import Settings
from app.training import promotion
from app.training.models import ModelVersion, Training, TrainingStatus
from ml import artifact


def handles(count: int, *, first: int = 0) -> list[str]:
    """Names for so many personas, from the first number on."""
    return [f"bench{number:04d}" for number in range(first, first + count)]


async def add(settings: Settings, model: Path, *, handles: Sequence[str], with_files: bool = True) -> None:
    """Add personas, each with a promoted model version of its own: the artifact in this folder, copied for each.

    with_files False: they have their rows only, and cannot speak.
    """
    async with open_runtime(settings) as runtime:
        keys = await _add_rows(runtime, model, handles)
        if with_files:
            for key in keys:
                await asyncio.to_thread(runtime.store.put_folder, model, key)


async def _add_rows(runtime: Runtime, model: Path, handles: Sequence[str]) -> list[str]:
    config = await asyncio.to_thread(artifact.read_config, model)
    async with runtime.transaction() as session:
        versions = [
            await _add_persona(
                session, runtime, handle=handle, preset=str(config["preset"]), parameters=int(config["parameters"])
            )
            for handle in handles
        ]
    return [version.artifact_key for version in versions]


async def _add_persona(
    session: AsyncSession, runtime: Runtime, *, handle: str, preset: str, parameters: int
) -> ModelVersion:
    now = runtime.clock()
    persona = await personas.create(session, handle=handle, name=handle, now=now)
    training = Training(
        persona_id=persona.id,
        preset=preset,
        minutes=runtime.settings.training_minutes,
        seed=1,
        status=TrainingStatus.SUCCEEDED,
        progress=1.0,
        corpus_posts=0,
        created_at=now,
        started_at=now,
        finished_at=now,
    )
    session.add(training)
    await session.flush()
    version = ModelVersion(
        persona_id=persona.id,
        training_id=training.id,
        number=1,
        preset=preset,
        parameters=parameters,
        artifact_key=f"models/{persona.id}/{training.id}-1",
        snapshot_hash="",
        created_at=now,
    )
    session.add(version)
    await session.flush()
    await promotion.challenge(
        session,
        challenger=version,
        challenger_bits_per_byte=0.0,
        champion=None,
        champion_bits_per_byte=None,
        now=now,
    )
    return version
