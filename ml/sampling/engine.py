"""SamplingEngine: one thread that steps the batches of all voices, a turn each, and `sample` for whoever needs none.

What is said does not depend on what else is in a batch: each attempt at a sentence has random numbers of its own, made
from (seed, sentence, attempt), and a row's arithmetic is that row's alone. (A network served in float32 for want of an
int8 step may round differently in another batch size and then, rarely, fall on the other side of a draw.)
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ml.errors import QueueFull, SamplingError
from ml.language_model import LanguageModel
from ml.sampling.batch import MAX_ROWS, Batch
from ml.sampling.controls import Controls
from ml.sampling.request import Request, Speech
from ml.sampling.sentence import Sentence
from ml.sampling.voice import Voice
from ml.serving.speaker import PlainSpeaker
from ml.text.tokenizer import Tokenizer

MAX_WAITING: Final = 2000
"""Sentences that may wait, those of all voices together: some seconds of work. One voice may take up half of them."""

_LONGEST_RETRY_SECONDS: Final = 60
# Of the speed of the last turns: how much of the old estimate each turn keeps.
_MEMORY: Final = 0.98


class SamplingEngine:
    """Steps rows in a thread of its own. Knows no asyncio: `submit` may be called, and calls back, from any thread."""

    def __init__(self, *, max_waiting: int = MAX_WAITING, now: Callable[[], float] = time.monotonic) -> None:
        self._max_waiting = max_waiting
        self._now = now
        self._wakened = threading.Condition()
        self._arrived: list[Request] = []
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._batches: OrderedDict[int, Batch] = OrderedDict()
        self._waiting: dict[int, int] = {}
        self._finished_a_second = 1.0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sampling", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Sentences that have not begun."""
        with self._wakened:
            return sum(self._waiting.values())

    @property
    def under_way(self) -> int:
        """Requests that are not over: those whose rows are stepped or wait to be."""
        return len(self._callbacks)

    def submit(self, request: Request, on_over: Callable[[], None]) -> None:
        """Have a request carried on until it is over; `on_over` is called then, in the engine's thread.

        Raises QueueFull when too many sentences wait already, and SamplingError when the engine was closed.
        """
        voice = id(request.voice)
        with self._wakened:
            if self._closing:
                raise SamplingError("The service is stopping. Try again in some seconds.")
            # Whatever is waiting already: a request that comes to an empty queue is always taken.
            in_all, of_this = sum(self._waiting.values()), self._waiting.get(voice, 0)
            if in_all >= self._max_waiting or of_this >= self._max_waiting // 2:
                raise QueueFull(
                    "Too many sentences are waiting to be drawn. Try again later.",
                    retry_after_seconds=self._time_to_empty(),
                )
            self._arrived.append(request)
            self._callbacks[id(request)] = on_over
            self._waiting[voice] = self._waiting.get(voice, 0) + request.waiting
            self._wakened.notify()

    def close(self) -> None:
        """End what is under way with an error, and the thread."""
        with self._wakened:
            self._closing = True
            self._wakened.notify()
        self._thread.join()

    def _time_to_empty(self) -> int:
        seconds = math.ceil(sum(self._waiting.values()) / self._finished_a_second)
        return max(1, min(seconds, _LONGEST_RETRY_SECONDS))

    def _run(self) -> None:
        while self._take_in():
            self._turn()
        for batch in self._batches.values():
            self._report(batch.fail(SamplingError("The service is stopping. Try again in some seconds.")))

    def _take_in(self) -> bool:
        """Wait until there is something to do; False when it is to end."""
        with self._wakened:
            while not (self._arrived or self._batches or self._closing):
                self._wakened.wait()
            arrived, self._arrived = self._arrived, []
        for request in arrived:
            key = id(request.voice)
            if key not in self._batches:
                self._batches[key] = Batch(request.voice, now=self._now)
            self._batches[key].add(request)
        return not self._closing

    def _turn(self) -> None:
        """One step of the batch that has waited longest for its turn."""
        key, batch = self._batches.popitem(last=False)
        began = self._now()
        try:
            over = batch.turn()
        except Exception as error:  # a voice that cannot be stepped ends its own requests, and no others
            over = batch.fail(error)
        self._remember_speed(sum(request.n for request in over if isinstance(request, Speech)), self._now() - began)
        with self._wakened:
            self._waiting[key] = batch.waiting + sum(r.waiting for r in self._arrived if id(r.voice) == key)
            if batch.idle:
                if not self._waiting[key]:
                    del self._waiting[key]
            else:
                self._batches[key] = batch
        self._report(over)

    def _remember_speed(self, sentences: int, seconds: float) -> None:
        self._finished_a_second = _MEMORY * self._finished_a_second + (1 - _MEMORY) * sentences / max(seconds, 1e-6)
        self._finished_a_second = max(self._finished_a_second, 0.1)

    def _report(self, over: list[Request]) -> None:
        for request in over:
            self._callbacks.pop(id(request))()


def sample(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    n: int,
    controls: Controls | None = None,
    seed: int,
    stop: Callable[[], bool] = lambda: False,
    max_rows: int = MAX_ROWS,
) -> list[Sentence]:
    """Draw n sentences in the calling thread, at most `max_rows` at once.

    `stop` is asked before every step: a caller who has waited long enough, or is gone, ends it.

    Raises SamplingError when none of a sentence's attempts can be used or it was stopped, ConfigError for a negative
    n or seed.
    """
    speech = Speech(Voice(PlainSpeaker(model), tokenizer), controls or Controls(), n=n, seed=seed)
    return draw_all(speech, stop=stop, max_rows=max_rows)


def draw_all(speech: Speech, *, stop: Callable[[], bool] = lambda: False, max_rows: int = MAX_ROWS) -> list[Sentence]:
    """Carry one speech on to its end in the calling thread. Raises as `sample`."""
    batch = Batch(speech.voice, now=time.monotonic, max_rows=max_rows)
    batch.add(speech)
    while not speech.over:
        if stop():
            raise SamplingError("It took too long. Ask for fewer or shorter sentences, or for a lower temperature.")
        batch.turn()
    if speech.error is not None:
        raise speech.error
    return speech.sentences
