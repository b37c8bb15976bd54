"""Sentences as server-sent events, a token at a time: token, refused, sentence, and at the end done or problem."""

import asyncio
import json
from typing import assert_never

from fastapi.sse import format_sse_event
from pydantic import BaseModel, Field

from app.errors import Problem
from app.runtime import Runtime
from app.sampling import service
from app.sampling.event_stream import Events
from app.sampling.sampler import Sampler
from app.sampling.schemas import SentenceOut, SentencesCreate
from app.sampling.streams import Event, Piece, Refused, Relay, Whole


class TokenEvent(BaseModel):
    """Text that an attempt gained. The pieces of the attempt that is not refused join to its sentence's text."""

    sentence: int = Field(description="Which sentence, from 0.")
    attempt: int = Field(description="Which attempt at it, from 0.")
    text: str


class RefusedEvent(BaseModel):
    """What this attempt has said does not count; the next one begins from nothing."""

    sentence: int
    attempt: int
    reason: str


class SentenceEvent(SentenceOut):
    """A sentence that is done, as the plain answer has it."""

    sentence: int


class DoneEvent(BaseModel):
    """All sentences are there."""

    model: int
    seed: int
    given_up: dict[str, int]


async def sentence_events(
    runtime: Runtime, sampler: Sampler, *, handle: str, wanted: SentencesCreate, path: str
) -> Events:
    """The events of one request. Closing them ends it.

    Raises what service.speak raises, as long as there was no event; afterwards it is told as the last one.
    """
    relay = Relay()
    speaking = asyncio.ensure_future(
        service.speak(
            runtime, sampler, handle=handle, n=wanted.n, controls=wanted.controls, seed=wanted.seed, listener=relay
        )
    )
    # Looked at here: when a client is gone, an error is left to nobody.
    speaking.add_done_callback(lambda done: done.cancelled() or done.exception())
    begun = False
    try:
        async for event in relay.events(speaking):
            begun = True
            yield _encoded(event)
        spoken = await speaking
        done = DoneEvent(model=spoken.version.number, seed=spoken.seed, given_up=dict(spoken.given_up))
        yield _event("done", done)
    except Problem as problem:
        if not begun:
            raise
        document = {**problem.document(), "instance": path}
        yield format_sse_event(event="problem", data_str=json.dumps(document))
    finally:
        speaking.cancel()


def _encoded(event: Event) -> bytes:
    match event:
        case Piece():
            return _event("token", TokenEvent(sentence=event.sentence, attempt=event.attempt, text=event.text))
        case Refused():
            told = RefusedEvent(sentence=event.sentence, attempt=event.attempt, reason=event.reason)
            return _event("refused", told)
        case Whole():
            sentence = SentenceOut.of(event.said)
            return _event("sentence", SentenceEvent(sentence=event.sentence, **sentence.model_dump()))
    assert_never(event)


def _event(name: str, data: BaseModel) -> bytes:
    return format_sse_event(event=name, data_str=data.model_dump_json())
