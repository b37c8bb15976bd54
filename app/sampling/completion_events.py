"""Completions as server-sent events, a chunk a token, as OpenAI's API streams them.

A chunk cannot be taken back, but an attempt at a sentence can be refused at its end. So the tokens of a choice are sent
when all of it is accepted.
"""

import asyncio
import json
from typing import Final

from fastapi.sse import format_sse_event

from app.errors import Problem
from app.sampling.completion_schemas import ChoiceOut, CompletionCreate, CompletionOut
from app.sampling.completion_tokens import SeenToken, logprobs_of
from app.sampling.completions import Choice, Completing
from app.sampling.event_stream import Events
from app.sampling.openai_errors import error_document
from app.sampling.sampler import Sampler

_DONE: Final = format_sse_event(data_str="[DONE]")


async def completion_events(sampler: Sampler, completing: Completing) -> Events:
    """The chunks of one request. Closing them ends it.

    Raises NoSentence and Busy, as long as there was no event; afterwards an error is told as the last one.
    """
    choices = completing.choices(sampler)
    begun, tokens = False, 0
    try:
        async for choice in choices:
            tokens += choice.tokens
            for chunk in await asyncio.to_thread(_chunks, choice, completing.wanted):
                begun = True
                yield _encoded(completing.answer([chunk]), completing.wanted)
        if _wants_usage(completing.wanted):
            yield _encoded(completing.answer([], completing.usage(tokens)), completing.wanted)
        yield _DONE
    except Problem as problem:
        if not begun:
            raise
        yield format_sse_event(data_str=json.dumps(error_document(problem)))
    finally:
        await choices.aclose()


def _chunks(choice: Choice, wanted: CompletionCreate) -> list[ChoiceOut]:
    """The prompt where it is wanted, a chunk a token, and one that says how it ended."""
    text, rivals = choice.text(echo=wanted.echo), wanted.logprobs is not None
    chunks = []
    if wanted.echo and choice.script.lead:
        chunks.append(_chunk(choice, wanted, choice.script.lead, choice.echoed(rivals=rivals)))
    for token in choice.spoken(echo=wanted.echo, rivals=rivals):
        piece = text[token.offset : token.offset + len(token.text)]
        if piece or wanted.logprobs is not None:
            chunks.append(_chunk(choice, wanted, piece, [token]))
    return [*chunks, ChoiceOut(text="", index=choice.index, finish_reason=choice.finish_reason)]


def _chunk(choice: Choice, wanted: CompletionCreate, text: str, seen: list[SeenToken]) -> ChoiceOut:
    logprobs = None if wanted.logprobs is None else logprobs_of(seen)
    return ChoiceOut(text=text, index=choice.index, logprobs=logprobs, finish_reason=None)


def _wants_usage(wanted: CompletionCreate) -> bool:
    return wanted.stream_options is not None and wanted.stream_options.include_usage


def _encoded(chunk: CompletionOut, wanted: CompletionCreate) -> bytes:
    left_out = None if _wants_usage(wanted) else {"usage"}
    return format_sse_event(data_str=chunk.model_dump_json(exclude=left_out))
