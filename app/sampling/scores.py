"""What a text costs the model that speaks for a persona, read by the engine under what is served."""

import asyncio
import math
from dataclasses import dataclass
from typing import Final

from app.errors import InvalidInput
from app.runtime import Runtime
from app.sampling.errors import Busy, EmptyText, ModelUnavailable, TookTooLong
from app.sampling.sampler import Sampler, deadline
from app.sampling.service import speaking
from app.training.models import ModelVersion
from ml.errors import OutOfTime, QueueFull, SamplingError
from ml.sampling.pieces import pieces
from ml.sampling.request import Reading, text_tokens
from ml.sampling.voice import Voice
from ml.score import Score
from ml.text.unknown_words import unknown_words

LONGEST_TEXT: Final = 10_000


@dataclass(frozen=True, slots=True)
class TokenCost:
    """text: what the token adds to the text, nothing for the end and for a part of a character; nats: its surprisal."""

    text: str
    nats: float


@dataclass(frozen=True, kw_only=True)
class ScoredText:
    """A text under a model version. tokens: all of them, the end last; unknown_words: not in its vocabulary."""

    version: ModelVersion
    score: Score
    tokens: list[TokenCost]
    unknown_words: int


async def score_text(runtime: Runtime, sampler: Sampler, *, handle: str, text: str) -> ScoredText:
    """Read a text as one post.

    Raises EmptyText, InvalidInput, PersonaNotFound, NoModelYet, ModelUnavailable, Busy, TookTooLong.
    """
    check_text(text)
    who = await speaking(runtime, sampler, handle=handle)
    voice = who.served.voice
    reading = await read(sampler, voice, text=text, until=deadline())
    texts = await asyncio.to_thread(pieces, voice.tokenizer, reading.prompt)
    return ScoredText(
        version=who.version,
        score=score_of(reading, text),
        tokens=[TokenCost(piece, -cost) for piece, cost in zip(texts, reading.prompt_costs, strict=True)],
        unknown_words=len(unknown_words(voice.tokenizer, text)),
    )


def check_text(text: str) -> None:
    """Raises EmptyText, InvalidInput."""
    if not text.strip():
        raise EmptyText.at("/text", "There is nothing to read in it. Give it at least one visible character.")
    if len(text) > LONGEST_TEXT:
        raise InvalidInput.at("/text", f"It has {len(text)} characters; the limit is {LONGEST_TEXT}. Shorten it.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput.at("/text", "It holds half of a surrogate pair, which is no character.") from error


async def read(sampler: Sampler, voice: Voice, *, text: str, until: float) -> Reading:
    """What each token of a post costs a voice. until: on the engine's clock.

    Raises Busy, TookTooLong, ModelUnavailable.
    """
    # In a thread: a long text takes milliseconds to cut into tokens, in which others are answered.
    tokens = await asyncio.to_thread(text_tokens, voice, text)
    reading = Reading(voice, tokens.tolist(), until=until)
    try:
        await sampler.carry_out(reading)
    except QueueFull as error:
        raise Busy(str(error), retry_after_seconds=error.retry_after_seconds) from error
    except OutOfTime as error:
        raise TookTooLong("Try a shorter text or fewer personas, or try again later.") from error
    except SamplingError as error:  # the service stops
        raise TookTooLong(str(error)) from error
    if any(math.isnan(cost) for cost in reading.prompt_costs):
        raise ModelUnavailable("The model gives probabilities that are no numbers. Train this persona again.")
    return reading


def score_of(reading: Reading, text: str) -> Score:
    """The sum over a post, which ends with one newline byte."""
    return Score(-math.fsum(reading.prompt_costs), tokens=len(reading.prompt), bytes=len(text.encode()) + 1)
