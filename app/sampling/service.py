"""Sentences of a persona, from the model version that is promoted at this moment."""

import asyncio
import secrets
from dataclasses import dataclass, replace

from ml.sampling.controls import Controls
from ml.sampling.engine import Sentence, sample

from app.errors import InvalidInput
from app.personas import service as personas
from app.runtime import Runtime
from app.sampling.errors import NoModelYet, NoSentence, PromptTooLong
from app.sampling.served_models import ServedModels
from app.training import promotion
from app.training.models import ModelVersion
from ml.errors import ConfigError, SamplingError

LONGEST_PROMPT = 500


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
    controls: Controls,
    seed: int | None,
) -> Spoken:
    """Sample `n` sentences. Raises PersonaNotFound, NoModelYet, PromptTooLong, InvalidInput, NoSentence."""
    if len(controls.prompt) > LONGEST_PROMPT:
        raise PromptTooLong.at(
            "/prompt", f"It has {len(controls.prompt)} characters; the limit is {LONGEST_PROMPT}. Shorten it."
        )
    controls = replace(controls, prompt=controls.prompt.replace("\0", ""))
    version = await _promoted_version(runtime, handle)
    loaded = await served_models.get(version)
    seed = secrets.randbelow(2**53) if seed is None else seed
    try:
        async with served_models.seats:
            sentences = await asyncio.to_thread(
                sample, loaded.model, loaded.tokenizer, n=n, controls=controls, seed=seed
            )
    except ConfigError as error:
        raise InvalidInput(str(error)) from error
    except SamplingError as error:
        raise NoSentence(str(error)) from error
    return Spoken(version=version, seed=seed, sentences=sentences)


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
