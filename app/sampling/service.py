"""Sentences of a persona, from the model version that is promoted at this moment."""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput
from app.personas import service as personas
from app.runtime import Runtime
from app.sampling.errors import Busy, NoModelYet, NoSentence, PromptTooLong
from app.sampling.served_models import ServedModels
from app.training import promotion
from app.training.models import ModelVersion
from ml.errors import ConfigError, SamplingError
from ml.sampling.controls import Controls
from ml.sampling.engine import Sentence, sample

LONGEST_PROMPT = 500
# Ten times what a hundred sentences take: whoever computes longer than that keeps the others from speaking.
LONGEST_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 30.0
# A little below what the model learnt: fewer slips, and still no two sentences alike.
TEMPERATURE = 0.8


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Sentences, with the version that said them and the seed that brings them back."""

    version: ModelVersion
    seed: int
    sentences: list[Sentence]


async def speak(
    runtime: Runtime,
    served_models: ServedModels,
    *,
    handle: str,
    n: int,
    controls: Mapping[str, Any],
    seed: int | None,
) -> Spoken:
    """Sample `n` sentences under the controls that ml.sampling.controls.Controls names.

    Raises PersonaNotFound, NoModelYet, PromptTooLong, InvalidInput, NoSentence, ModelUnavailable.
    """
    checked = _checked(controls)
    version = await _promoted_version(runtime, handle)
    loaded = await served_models.get(version)
    seed = secrets.randbelow(2**53) if seed is None else seed
    async with _seat(served_models.seats) as stop:
        try:
            sentences = await asyncio.to_thread(
                sample, loaded.model, loaded.tokenizer, n=n, controls=checked, seed=seed, stop=stop
            )
        except SamplingError as error:
            raise NoSentence(str(error)) from error
    return Spoken(version=version, seed=seed, sentences=sentences)


@asynccontextmanager
async def _seat(seats: asyncio.Semaphore) -> AsyncIterator[Callable[[], bool]]:
    """A core to compute on, for a while; yields whether that is over, or the caller gone. Raises Busy."""
    try:
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            await seats.acquire()
    except TimeoutError as error:
        raise Busy("Too many sentences are being sampled at this moment. Try again in some seconds.") from error
    over = threading.Event()
    until = time.monotonic() + LONGEST_SECONDS
    try:
        yield lambda: over.is_set() or time.monotonic() > until
    finally:
        over.set()
        seats.release()


def _checked(controls: Mapping[str, Any]) -> Controls:
    prompt: str = controls.get("prompt", "")
    if len(prompt) > LONGEST_PROMPT:
        raise PromptTooLong.at(
            "/prompt", f"It has {len(prompt)} characters; the limit is {LONGEST_PROMPT}. Shorten it."
        )
    try:
        return Controls(**controls)
    except ConfigError as error:
        field = str(error).split(" ", 1)[0]
        raise InvalidInput.at(f"/{field}", str(error)) from error


async def _promoted_version(runtime: Runtime, handle: str) -> ModelVersion:
    async with runtime.transaction() as session:
        persona = await personas.find(session, handle=handle)
        version = await promotion.promoted(session, persona_id=persona.id)
    if version is None:
        raise NoModelYet(
            f"@{persona.handle} has no model yet. Upload posts to it, or see how far its trainings are at "
            f"/api/v1/personas/{persona.handle}/trainings."
        )
    return version
