"""Continuous batching: admit, step, retire rows. A batch of sentences is drawn a token at a time.

Each attempt at a sentence has random numbers of its own, made from (seed, sentence, attempt), so what is said does not
depend on what else is in the batch: the first sentence of fifty is the sentence that would be drawn alone. (A model
whose arithmetic rounds differently in another batch size may, rarely, fall on the other side of a draw.)
"""

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np

from ml.errors import ConfigError, SamplingError
from ml.language_model import FloatArray, LanguageModel, TokenArray
from ml.sampling.controls import Controls
from ml.sampling.draw import draw
from ml.text.tokenizer import Tokenizer

MAX_ROWS: Final = 64
"""Rows in a batch: enough to share the cost of a step, and [B, V] arrays of some MiB."""

MAX_ATTEMPTS: Final = 100
"""At one sentence: what succeeds once in ten fails a hundred times in a row with probability 3e-5."""

# Decoding at every token would cost T² in all, at every 16th little; an attempt goes on for at most 15 tokens in vain.
_TOKENS_BETWEEN_CHECKS: Final = 16
_UTF8_BYTES: Final = 4  # of a character at most, and no tokenizer has tokens of less than a byte


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sample from a model.

    text: prompt and what was said after it. log_probability: natural, of what was said after the prompt, `<eos>`
    counted, under the model itself (temperature 1, nothing left out). tokens: how many that was. perplexity: exp of
    the mean cost of a token.
    """

    text: str
    log_probability: float
    perplexity: float
    tokens: int


class _Flaw(StrEnum):
    """Why an attempt is given up, as the error message says it."""

    TOO_LONG = "longer than max_characters"
    BLANK = "blank"
    BROKEN = "not valid UTF-8"
    STUCK = "at a word after which there is none to say"


@dataclass(slots=True)
class _Attempt:
    """One row: a sentence on its way. number: 0 for the first attempt at this sentence. stuck: no word can follow."""

    sentence: int
    number: int
    noise: np.random.Generator
    said: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    stuck: bool = False

    @classmethod
    def begin(cls, seed: int, sentence: int, *, number: int) -> Self:
        sequence = np.random.SeedSequence(seed, spawn_key=(sentence, number))
        return cls(sentence, number, np.random.Generator(np.random.Philox(sequence)))


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
) -> list[Sentence]:
    """Draw n sentences; the same seed gives the same sentences, and the first m of n are the m drawn alone.

    A sentence ends by `<eos>`. An attempt that grows too long, is blank or breaks a character is given up and made
    again, at most MAX_ATTEMPTS times a sentence.

    `stop` is asked before every step: a caller who has waited long enough, or is gone, ends it.

    Raises SamplingError when none of a sentence's attempts can be used or it was stopped, ConfigError for a negative
    n or seed.
    """
    if n < 0 or seed < 0:
        raise ConfigError(f"n is {n} and seed is {seed}; both must be 0 or more.")
    controls = controls or Controls()
    voice = _Voice(model, tokenizer, controls=controls)
    waiting = deque((sentence, 0) for sentence in range(n))
    sentences: dict[int, Sentence] = {}
    flaws = {sentence: Counter[_Flaw]() for sentence in range(n)}
    batch = voice.begin([])
    while waiting or batch.attempts:
        if stop():
            raise SamplingError("It took too long. Ask for fewer or shorter sentences, or for a lower temperature.")
        batch = batch.join(voice.begin(_admit(waiting, seed, room=MAX_ROWS - len(batch.attempts))))
        tokens = voice.speak(batch)
        going_on = []
        for row, attempt in enumerate(batch.attempts):
            match voice.judge(attempt):
                case None:
                    going_on.append(row)
                case Sentence() as sentence:
                    sentences[attempt.sentence] = sentence
                case flaw:
                    flaws[attempt.sentence][flaw] += 1
                    waiting.appendleft(_next_attempt(attempt, controls, flaws=flaws[attempt.sentence]))
        batch = voice.read(tokens[going_on], batch.take(going_on))
    return [sentences[sentence] for sentence in range(n)]


def _admit(waiting: deque[tuple[int, int]], seed: int, *, room: int) -> list[_Attempt]:
    turns = [waiting.popleft() for _ in range(min(room, len(waiting)))]
    return [_Attempt.begin(seed, sentence, number=number) for sentence, number in turns]


def _next_attempt(attempt: _Attempt, controls: Controls, *, flaws: Counter[_Flaw]) -> tuple[int, int]:
    always_the_same = controls.temperature == 0 or controls.top_k == 1
    made = attempt.number + 1
    if made < MAX_ATTEMPTS and not always_the_same:
        return attempt.sentence, made
    raise SamplingError(
        f"No sentence could be drawn in {made} {'attempt' if made == 1 else 'attempts'}: {_list(flaws)}."
        f" {_advice(controls, always_the_same=always_the_same)}"
    )


def _list(flaws: Counter[_Flaw]) -> str:
    return ", ".join(f"{count} {flaw}" for flaw, count in flaws.most_common())


def _advice(controls: Controls, *, always_the_same: bool) -> str:
    if always_the_same:
        return "With temperature 0 or top_k 1 every attempt is the same: raise them, or allow more max_characters."
    shorter = "a shorter prompt, " if controls.prompt else ""
    return f"Try more max_characters than {controls.max_characters}, {shorter}a lower temperature or a smaller top_p."
