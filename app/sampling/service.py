"""Sentences of a persona, from the model version that is promoted at this moment."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.errors import InvalidInput
from app.personas import service as personas
from app.personas.filter_policy import FilterPolicy
from app.personas.models import Persona
from app.runtime import Runtime
from app.sampling.errors import Busy, NoModelYet, NoSentence, PromptTooLong, TookTooLong
from app.sampling.filters import filters_for, first_refusal
from app.sampling.sampler import Sampler, deadline
from app.training import promotion
from app.training.models import ModelVersion
from ml.errors import ConfigError, OutOfTime, QueueFull, SamplingError
from ml.sampling.controls import Controls
from ml.sampling.request import Listener, Request, Speech
from ml.sampling.sentence import Sentence
from ml.serving.loading import Served

T = TypeVar("T")

LONGEST_PROMPT = 500
MANY_WORDS = 20
# A little below what the model learnt: fewer slips, and still no two sentences alike.
TEMPERATURE = 0.8


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Sentences, with the version that said them and the seed that brings them back.

    given_up: how many attempts were given up on the way, by reason.
    """

    version: ModelVersion
    seed: int
    sentences: list[Sentence]
    given_up: Mapping[str, int] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Speaking:
    """A persona with the version that speaks for it, loaded."""

    persona: Persona
    version: ModelVersion
    served: Served


async def promoted(runtime: Runtime, *, handle: str) -> tuple[Persona, ModelVersion]:
    """A persona with the version that is promoted now. Raises PersonaNotFound, NoModelYet."""
    return await runtime.remembered.get(("promoted", handle), lambda: _promoted_version(runtime, handle))


async def speaking(runtime: Runtime, sampler: Sampler, *, handle: str) -> Speaking:
    """Who speaks for a persona now. Raises PersonaNotFound, NoModelYet, ModelUnavailable."""
    persona, version = await promoted(runtime, handle=handle)
    return Speaking(persona=persona, version=version, served=await sampler.models.get(version))


async def speak(
    runtime: Runtime,
    sampler: Sampler,
    *,
    handle: str,
    n: int,
    controls: Mapping[str, Any],
    seed: int | None,
    recent: Collection[str] = (),
    listener: Listener | None = None,
) -> Spoken:
    """Sample `n` sentences that the persona's filters pass, under controls as ml.sampling.controls.Controls names them.

    recent: what it said lately and is not to repeat. listener: hears of each token while it is said, in another thread.

    Raises PersonaNotFound, NoModelYet, PromptTooLong, InvalidInput, NoSentence, Busy, ModelUnavailable.
    """
    checked = _checked(controls)
    who = await speaking(runtime, sampler, handle=handle)

    def ask() -> Speech:
        return speech_of(sampler, who, checked, n=n, seed=seed, recent=recent, listener=listener)

    # Many banned words take milliseconds to cut into tokens, in which others are answered; few cost less than a thread.
    speech = await asyncio.to_thread(ask) if len(checked.banned_words) > MANY_WORDS else ask()
    await carry_out(sampler, speech)
    return Spoken(version=who.version, seed=speech.seed, sentences=speech.sentences, given_up=speech.given_up)


def speech_of(
    sampler: Sampler,
    who: Speaking,
    controls: Controls,
    *,
    n: int,
    seed: int | None,
    recent: Collection[str] = (),
    listener: Listener | None = None,
    alternatives: int = 0,
) -> Speech:
    """Sentences asked of whoever speaks, not begun yet: all that leave the service are asked for here.

    They pass the persona's filters, which count what they refuse. seed: random when left out. Raises InvalidInput.
    """
    seed = secrets.randbelow(2**53) if seed is None else seed
    policy = personas.filter_policy(who.persona)
    return asked(
        lambda: Speech(
            who.served.voice,
            controls,
            n=n,
            seed=seed,
            refuse=_refusing(sampler, who, policy, recent=recent),
            # Nothing that a mention begins with is drawn, so that few sentences have to be drawn again.
            unspoken=None if policy.allow_mentions else who.served.voice.mentions,
            listener=listener,
            alternatives=alternatives,
            until=deadline(),
        )
    )


async def carry_out(sampler: Sampler, request: Request) -> None:
    """Wait until a request to the engine is over. Raises NoSentence, TookTooLong, Busy."""
    try:
        await sampler.carry_out(request)
    except QueueFull as error:
        raise Busy(str(error), retry_after_seconds=error.retry_after_seconds) from error
    except OutOfTime as error:
        # With nothing given up, it was the load and not what was asked for.
        if not error.reasons:
            raise TookTooLong(str(error)) from error
        raise NoSentence(str(error), reasons=dict(error.reasons)) from error
    except SamplingError as error:
        raise NoSentence(str(error), reasons=dict(error.reasons)) from error


def _refusing(
    sampler: Sampler, who: Speaking, policy: FilterPolicy, *, recent: Collection[str]
) -> Callable[[str], str | None]:
    """From a text to the name of the filter that refuses it."""
    blocklists = sampler.blocklists.of(policy, language=who.persona.language)
    filters = filters_for(policy, corpus_index=who.served.corpus_index, recent=recent, blocklists=blocklists)

    def refuse(text: str) -> str | None:
        refusal = first_refusal(filters, text)
        if refusal is None:
            return None
        sampler.refusals.add(who.persona.id, refusal.reason)
        return refusal.reason

    return refuse


def _checked(controls: Mapping[str, Any]) -> Controls:
    prompt: str = controls.get("prompt", "")
    if len(prompt) > LONGEST_PROMPT:
        raise PromptTooLong.at(
            "/prompt", f"It has {len(prompt)} characters; the limit is {LONGEST_PROMPT}. Shorten it."
        )
    return asked(lambda: Controls(**controls))


def asked(make: Callable[[], T]) -> T:
    """What the caller's values make. Raises InvalidInput, naming the field, where they make no sense."""
    try:
        return make()
    except ConfigError as error:
        name = str(error).split(" ", 1)[0]
        raise InvalidInput.at(f"/{name}", str(error)) from error


async def _promoted_version(runtime: Runtime, handle: str) -> tuple[Persona, ModelVersion]:
    async with runtime.transaction() as session:
        persona = await personas.find(session, handle=handle)
        version = await promotion.promoted(session, persona_id=persona.id)
    if version is None:
        raise NoModelYet(
            f"@{persona.handle} has no model yet. Upload posts to it, or see how far its trainings are at "
            f"/api/v1/personas/{persona.handle}/trainings."
        )
    return persona, version
