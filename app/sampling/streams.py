"""A speech as it goes on: from the engine's thread into the event loop, and from tokens to pieces of text."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from ml.sampling.attempt import Attempt
from ml.sampling.pieces import GrowingText
from ml.sampling.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Piece:
    """An attempt at a sentence has gained some text."""

    sentence: int
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An attempt was given up: what it had said does not count, and another one follows."""

    sentence: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A sentence is done."""

    sentence: int
    attempt: int
    said: Sentence


Event: TypeAlias = Piece | Refused | Whole


@dataclass(slots=True)
class _News:
    """What of one attempt was not told yet. tokens: how many it has said by now."""

    attempt: Attempt | None
    tokens: int = 0
    ending: Refused | Whole | None = None


@dataclass(slots=True)
class _Told:
    """What of one attempt was told: its first `tokens`, as `text`."""

    number: int
    text: GrowingText
    tokens: int = 0


class Relay:
    """A Listener whose events are read in the event loop in which it was made.

    A reader who is slow misses nothing and costs nothing: what he has not read is kept as one entry an attempt, which
    says how far it has come, so that all it has said meanwhile is one piece of text to him. What was given up before he
    read it is kept as a reason alone.
    """

    def __init__(self, *, pieces: bool = True) -> None:
        """pieces: whether text is wanted before its sentence is whole; without them, nothing else is told of either."""
        self._loop = asyncio.get_running_loop()
        self._pieces = pieces
        self._arrived = asyncio.Event()
        self._woken = False
        self._lock = threading.Lock()
        self._news: dict[tuple[int, int], _News] = {}
        self._attempts: dict[int, Attempt] = {}
        self._told: dict[int, _Told] = {}

    def __len__(self) -> int:
        """Entries that wait to be read."""
        return len(self._news)

    def said(self, attempt: Attempt) -> None:
        self._attempts[attempt.sentence] = attempt
        if self._pieces:
            with self._news_of(attempt) as news:
                news.tokens = len(attempt.said)

    def gave_up(self, attempt: Attempt, reason: str) -> None:
        if self._pieces:
            with self._news_of(attempt) as news:
                news.attempt, news.ending = None, Refused(attempt.sentence, attempt.number, reason)

    def finished(self, number: int, sentence: Sentence) -> None:
        attempt = self._attempts.pop(number)
        with self._news_of(attempt) as news:
            news.ending = Whole(number, attempt.number, sentence)

    @contextmanager
    def _news_of(self, attempt: Attempt) -> Iterator[_News]:
        """The entry of an attempt, to be changed; then the reader is woken, if he was not since he last read."""
        with self._lock:
            yield self._news.setdefault((attempt.sentence, attempt.number), _News(attempt))
            was_woken, self._woken = self._woken, True
        if not was_woken:
            with suppress(RuntimeError):  # the loop is closed: nobody reads any more
                self._loop.call_soon_threadsafe(self._arrived.set)

    async def events(self, over: "asyncio.Future[Any]") -> AsyncGenerator[Event, None]:
        """What happens, until `over` is done and all is told. Within one attempt, in order. To be read once."""
        over.add_done_callback(lambda _: self._arrived.set())
        ended = False
        while not ended:
            await self._arrived.wait()
            self._arrived.clear()
            ended = over.done()  # asked before it is read, so that nothing is left
            with self._lock:
                news, self._news, self._woken = self._news, {}, False
            for entry in news.values():
                for event in self._tell(entry):
                    yield event

    def _tell(self, news: _News) -> Iterator[Event]:
        if self._pieces and news.attempt is not None and (piece := self._piece(news.attempt, news)).text:
            yield piece
        if news.ending is not None:
            yield news.ending

    def _piece(self, attempt: Attempt, news: _News) -> Piece:
        told = self._told.get(attempt.sentence)
        if told is None or told.number != attempt.number:
            told = self._told[attempt.sentence] = _Told(attempt.number, GrowingText(attempt.script))
        text = told.text.read(attempt.said[told.tokens : news.tokens])
        told.tokens = news.tokens
        if isinstance(news.ending, Whole):
            text += told.text.finish(news.ending.said)
            del self._told[attempt.sentence]
        return Piece(attempt.sentence, attempt.number, text)
