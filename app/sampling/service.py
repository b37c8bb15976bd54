"""Sentences of a persona, from the model version that is promoted at this moment."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput
from app.personas import service as personas
from app.runtime import Runtime
from app.sampling.errors import NoModelYet, NoSentence, PromptTooLong
from app.sampling.served_models import ServedModels
from app.training import promotion
from app.training.models import ModelVersion
from ml.errors import ConfigError, SamplingError
from ml.sampling.controls import Controls
from ml.sampling.engine import Sentence, sample

LONGEST_PROMPT = 500
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
    try:
        async with served_models.seats:
            sentences = await asyncio.to_thread(
                sample, loaded.model, loaded.tokenizer, n=n, controls=checked, seed=seed
            )
    except SamplingError as error:
        raise NoSentence(str(error)) from error
    return Spoken(version=version, seed=seed, sentences=sentences)


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
