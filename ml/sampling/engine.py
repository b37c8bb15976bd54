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

@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows under way. log_probs: [B, V] of each row's next token; state: of B rows, after all that was read."""

    attempts: list[_Attempt]
    log_probs: FloatArray
    state: Any

    def take(self, rows: list[int]) -> Self:
        index = np.array(rows, dtype=np.int64)
        return type(self)([self.attempts[row] for row in rows], self.log_probs[index], self.state.take(index))

    def join(self, other: Self) -> Self:
        if not (self.attempts and other.attempts):
            return self if self.attempts else other
        return type(self)(
            self.attempts + other.attempts,
            np.concatenate([self.log_probs, other.log_probs]),
            type(self.state).join([self.state, other.state]),
        )


class _Voice:
    """What all rows share: the model after the prompt, the tokenizer and the controls."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, *, controls: Controls) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._controls = controls
        self._prompt = tokenizer.encode(controls.prompt)
        decoded = tokenizer.decode(self._prompt)
        # A closed vocabulary cannot repeat every prompt, so the text begins with the caller's own words.
        self._lead = controls.prompt if decoded == controls.prompt else controls.prompt.rstrip()
        self._decoded_prompt_length = len(decoded)
        self._start_log_probs, self._start_state = self._read_prompt()

    def _read_prompt(self) -> tuple[FloatArray, Any]:
        log_probs, state = self._model.step(np.array([self._tokenizer.eos]), self._model.initial_state(1))
        for token in self._prompt:
            log_probs, state = self._model.step(np.array([token]), state)
        return log_probs, state

    def begin(self, attempts: list[_Attempt]) -> _Batch:
        """Rows that have read the prompt, which itself was read once."""
        rows = np.zeros(len(attempts), dtype=np.int64)
        return _Batch(attempts, self._start_log_probs[rows], self._start_state.take(rows))

    def speak(self, batch: _Batch) -> TokenArray:
        """Draw the next token of each row: [B] int64; the attempts remember it and what it cost."""
        allowed = self._allowed(batch)
        self._mark_stuck(batch, allowed)
        uniforms = np.array([attempt.noise.random() for attempt in batch.attempts])
        tokens = draw(np.exp(allowed), uniforms, [self._controls.shape] * len(batch.attempts))
        costs = batch.log_probs[np.arange(len(tokens)), tokens]
        for attempt, token, cost in zip(batch.attempts, tokens.tolist(), costs.tolist(), strict=True):
            attempt.said.append(token)
            attempt.log_probability += cost
        return tokens

    def _mark_stuck(self, batch: _Batch, allowed: FloatArray) -> None:
        """An n-gram model without smoothing may lead to a word after which it only knows `<unk>`: that attempt ends."""
        for row in np.flatnonzero(np.isneginf(allowed.max(axis=1))):
            if not batch.attempts[row].said:
                raise SamplingError("The model leaves no token to draw: all it would say is <unk> or nothing at all.")
            batch.attempts[row].stuck = True
            allowed[row, self._tokenizer.eos] = 0  # drawn, and thrown away with the attempt

    def _allowed(self, batch: _Batch) -> FloatArray:
        allowed = batch.log_probs.copy()
        allowed[:, list(self._tokenizer.never_spoken)] = -np.inf
        if not self._controls.prompt.strip():
            silent = [row for row, attempt in enumerate(batch.attempts) if not attempt.said]
            allowed[silent, self._tokenizer.eos] = -np.inf
        return allowed

    def read(self, tokens: TokenArray, batch: _Batch) -> _Batch:
        """The same rows after the model has read what they said."""
        if not batch.attempts:
            return batch
        return _Batch(batch.attempts, *self._model.step(tokens, batch.state))

    def judge(self, attempt: _Attempt) -> Sentence | _Flaw | None:
        """A sentence when it has ended well, the flaw for which to give it up, or None while it goes on."""
        if attempt.stuck:
            return _Flaw.STUCK
        ended = attempt.said[-1] == self._tokenizer.eos
        too_many = len(attempt.said) > _UTF8_BYTES * self._controls.max_characters + 1
        if not (ended or too_many) and len(attempt.said) % _TOKENS_BETWEEN_CHECKS:
            return None
        text = self._text(attempt.said)
        if too_many or len(text) > self._controls.max_characters:
            return _Flaw.TOO_LONG
        return self._judge_whole(text, attempt) if ended else None

    def _judge_whole(self, text: str, attempt: _Attempt) -> Sentence | _Flaw:
        if not text.strip():
            return _Flaw.BLANK
        if "\ufffd" in text[len(self._lead) :]:
            return _Flaw.BROKEN
        tokens = len(attempt.said)
        return Sentence(text, attempt.log_probability, math.exp(-attempt.log_probability / tokens), tokens)

    def _text(self, said: list[int]) -> str:
        return self._lead + self._tokenizer.decode([*self._prompt, *said])[self._decoded_prompt_length :]


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
