"""Answers that are looked up once for many."""

import asyncio

import pytest

from app.remembered import MOST_REMEMBERED, Remembered

pytestmark = pytest.mark.anyio


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Counts how often it is asked; answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.opened = asyncio.Event()
        self.opened.set()

    async def __call__(self) -> int:
        self.asked += 1
        answer = self.asked
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        return answer


async def test_an_answer_is_kept_for_its_seconds_and_no_longer() -> None:
    clock, source = Clock(), Source()
    remembered = Remembered(1.0, now=clock)
    assert [await remembered.get("a", source) for _ in range(3)] == [1, 1, 1]
    clock.now += 0.99
    assert await remembered.get("a", source) == 1
    clock.now += 0.01
    assert await remembered.get("a", source) == 2
    assert await remembered.get("b", source) == 3


async def test_with_no_seconds_nothing_is_kept() -> None:
    remembered, source = Remembered(0.0), Source()
    assert [await remembered.get("a", source) for _ in range(3)] == [1, 2, 3]


async def test_those_who_ask_together_wait_for_one_answer_and_one_may_leave() -> None:
    clock, source = Clock(), Source()
    remembered = Remembered(1.0, now=clock)
    source.opened.clear()
    asking = [asyncio.create_task(remembered.get("a", source)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    source.opened.set()
    assert [await task for task in asking[1:]] == [1, 1]
    assert asking[0].cancelled()
    assert source.asked == 1


async def test_an_error_reaches_all_who_waited_and_is_not_kept() -> None:
    clock, source = Clock(), Source()
    remembered = Remembered(1.0, now=clock)
    source.error = ValueError("away")
    asking = [asyncio.create_task(remembered.get("a", source)) for _ in range(2)]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
    source.error = None
    assert await remembered.get("a", source) == source.asked


async def test_what_was_asked_for_longest_ago_makes_room() -> None:
    clock, source = Clock(), Source()
    remembered = Remembered(60.0, now=clock)
    for key in range(MOST_REMEMBERED + 1):
        await remembered.get(key, source)
    assert await remembered.get(1, source) == 2
    assert await remembered.get(0, source) == MOST_REMEMBERED + 2
