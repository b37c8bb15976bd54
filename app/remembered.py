"""Remembered: answers of the database that many requests ask for, kept for a moment."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

T = TypeVar("T")
MOST_REMEMBERED: Final = 10_000


class Remembered:
    """Looks a thing up once for all who ask for it within `seconds`.

    So what changes in the database is noticed after that time at most, by every process. With 0 seconds nothing is
    remembered. Errors are not remembered either.
    """

    def __init__(self, seconds: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    async def get(self, key: Hashable, look_up: Callable[[], Awaitable[T]]) -> T:
        """What `look_up` answers, or answered a moment ago. The answer is shared: nobody changes it."""
        if self._seconds <= 0:
            return await look_up()
        now = self._now()
        until, answer = self._answers.get(key, (now, None))
        if answer is None or until <= now:
            answer = asyncio.ensure_future(look_up())
            answer.add_done_callback(lambda done: self._drop_failed(key, done))
            self._answers[key] = (now + self._seconds, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > MOST_REMEMBERED:
                self._answers.popitem(last=False)
        # Shielded: of those that wait together, one may go away.
        found: T = await asyncio.shield(answer)
        return found

    def _drop_failed(self, key: Hashable, answer: asyncio.Future[Any]) -> None:
        """Asking also means that an error is not complained about when nobody waits for it any more."""
        if answer.cancelled() or answer.exception() is not None:
            _, kept = self._answers.get(key, (0.0, None))
            if kept is answer:
                del self._answers[key]
