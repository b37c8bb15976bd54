"""Answers as server-sent events: nothing is sent before the first event is there, and whoever hangs up ends them."""

from collections.abc import AsyncGenerator
from typing import Final

from fastapi import Request
from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from app.sampling.hang_up import unless_hung_up

MEDIA_TYPE: Final = EventSourceResponse.media_type
# The second one keeps nginx from collecting events.
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Events = AsyncGenerator[bytes, None]


class EventStream(EventSourceResponse):
    """Sends events as they come. However it ends, their source is closed: a generator left alone may live on."""

    def __init__(self, events: Events) -> None:
        super().__init__(events, headers=_HEADERS)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


def wants_events(request: Request) -> bool:
    """Whether the client takes server-sent events, and says so."""
    ranges = request.headers.get("accept", "").split(",")
    return any(accepted.split(";")[0].strip().lower() == MEDIA_TYPE for accepted in ranges)


async def stream(request: Request, events: Events) -> EventStream:
    """Wait for the first event, then answer. What is raised before it is an error like any other.

    Raises HungUp, and what the events raise.
    """
    first = await unless_hung_up(request, _next(events))
    return EventStream(_from(first, events))


async def _next(events: Events) -> bytes:
    return await anext(events)


async def _from(first: bytes, events: Events) -> Events:
    try:
        yield first
        async for event in events:
            yield event
    finally:
        await events.aclose()
