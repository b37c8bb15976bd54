"""Attempt: one sentence on its way, token by token, until it is a sentence or has a flaw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

import numpy as np

from ml.language_model import TokenArray
from ml.sampling.alternatives import Alternatives
from ml.sampling.banned_tokens import BannedTokens
from ml.sampling.constraints import Required, cut_at_stop
from ml.sampling.controls import Controls
from ml.sampling.sentence import Finish, Flaw, Sentence
from ml.sampling.voice import Voice
from ml.text.lengths import settled

# Decoding at every token would cost T² in all, at every 16th little; an attempt goes on for at most 15 tokens in vain.
_TOKENS_BETWEEN_CHECKS: Final = 16
_UTF8_BYTES: Final = 4  # of a character at most, and no tokenizer has tokens of less than a byte
_BROKEN: Final = "\ufffd"
_LINK: Final = 23  # what Mastodon and X count for a link, which a dot may make of a word
_UNIFORMS_AT_ONCE: Final = 32


class Script:
    """What all attempts of one request share: tokenizer and controls, made ready."""

    def __init__(self, voice: Voice, controls: Controls) -> None:
        tokenizer = voice.tokenizer
        self.tokenizer = tokenizer
        self.controls = controls
        self._voice = voice
        self.eos = tokenizer.eos
        self.prompt = tokenizer.encode(controls.prompt)
        self.shape = controls.shape
        self.count = controls.count
        self.banned = controls.banned
        self.banned_tokens = BannedTokens.of(tokenizer, controls.banned_words)
        self.required = Required(controls.required) if controls.required else None
        decoded = tokenizer.decode(self.prompt)
        # A closed vocabulary cannot repeat every prompt, so the text begins with the caller's own words.
        self.lead = controls.prompt if decoded == controls.prompt else controls.prompt.rstrip()
        self._decoded_prompt_length = len(decoded)

    def text(self, said: Sequence[int]) -> str:
        """The whole text after some tokens."""
        return self.lead + self.tokenizer.decode([*self.prompt, *said])[self._decoded_prompt_length :]

    @cached_property
    def most_characters(self) -> int:
        """What a sentence may have before a required tag is put to its end."""
        return self.controls.max_characters - (0 if self.required is None else self.required.room(self.count))

    @cached_property
    def most_a_token(self) -> int:
        """No token makes a text longer by more, however it is counted: as a character of two, and as all of a link."""
        return 2 * self._voice.longest_token + _LINK

    @cached_property
    def longest_stop(self) -> int:
        """So many tokens hold any stop string, and the rest of a character before it."""
        return max((len(stop.encode()) for stop in self.controls.stop), default=0) + _UTF8_BYTES

    @cached_property
    def most_tokens(self) -> int:
        """No sentence that fits has more."""
        return _UTF8_BYTES * self.controls.max_characters + 1


@dataclass(slots=True)
class Attempt:
    """One row of a batch.

    sentence: which of the request; number: 0 for the first attempt at it; unspoken: ids that are not drawn; said,
    log_probabilities, alternatives (where they were asked for): so far; forced: what comes next whatever is drawn;
    stuck: no word can follow.
    """

    script: Script
    sentence: int
    number: int
    noise: np.random.Generator
    unspoken: TokenArray | None = None
    said: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    alternatives: list[Alternatives] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    stuck: bool = False
    _long_enough_at: int = 0
    _uniforms: list[float] = field(default_factory=list)

    @classmethod
    def begin(
        cls, script: Script, *, seed: int, sentence: int, number: int, unspoken: TokenArray | None = None
    ) -> Self:
        """Random numbers come from (seed, sentence, attempt) alone, so that no other row changes what is said here."""
        sequence = np.random.SeedSequence(seed, spawn_key=(sentence, number))
        return cls(script, sentence, number, np.random.Generator(np.random.Philox(sequence)), unspoken=unspoken)

    def uniform(self) -> float:
        """The next random number in [0, 1)."""
        if not self._uniforms:
            self._uniforms = self.noise.random(_UNIFORMS_AT_ONCE).tolist()[::-1]
        return self._uniforms.pop()

    def forbidden(self) -> list[int]:
        """Tokens that must not come next."""
        script = self.script
        forbidden = script.banned_tokens.forbidden([*script.prompt, *self.said]) if script.controls.banned_words else []
        if self._too_short_to_end():
            forbidden.append(script.eos)
        return forbidden

    def _too_short_to_end(self) -> bool:
        controls = self.script.controls
        if not self.said and not controls.prompt.strip():
            return True
        # With fewer tokens it cannot be long enough, so that the text is not looked at after every one.
        if len(self.said) >= self._long_enough_at and controls.min_characters:
            missing = controls.min_characters - self.script.count(self.script.text(self.said))
            self._long_enough_at = len(self.said) + math.ceil(missing / self.script.most_a_token)
        return len(self.said) < self._long_enough_at

    def next_token(self, drawn: int) -> int:
        """What is said: the token drawn, or what is owed first. A sentence without its required tag gets it now."""
        script = self.script
        if self.forced:
            return self.forced.pop(0)
        ends = drawn == script.eos and not self.stuck
        if ends and script.required is not None and not script.required.met(script.text(self.said)):
            self.forced = [*script.tokenizer.encode(script.required.choose(self.uniform())), drawn]
            return self.forced.pop(0)
        return drawn

    def say(self, token: int, log_probability: float) -> None:
        self.said.append(token)
        self.log_probabilities.append(log_probability)

    def judge(self) -> Sentence | Flaw | None:
        """A sentence when it has ended well, the flaw for which to give it up, or None while it goes on."""
        script, n = self.script, len(self.said)
        if self.stuck:
            return Flaw.STUCK
        ended = self.said[-1] == script.eos
        cut = not ended and n == script.controls.max_tokens
        too_many = n > script.most_tokens
        if not (ended or cut or too_many or self._may_stop()) and n % _TOKENS_BETWEEN_CHECKS:
            return None
        text = script.text(self.said)
        finished = self._finished(text, ended=ended, cut=cut)
        if finished is not None:
            return self._judge_whole(*finished)
        # Only the last word of a text can still get shorter as it goes on: a link counts less than its letters.
        if too_many or self.script.count(settled(text)) > self._most_characters:
            return Flaw.TOO_LONG
        return Flaw.BANNED if self.script.banned.found(text) else None

    def _may_stop(self) -> bool:
        """Whether a stop string may have come with the last token; no more tokens are looked at than it has bytes."""
        script = self.script
        if not script.controls.stop:
            return False
        tail = script.tokenizer.decode(self.said[-script.longest_stop :])
        return any(stop in tail for stop in script.controls.stop) or len(self.said) < script.longest_stop

    def _finished(self, text: str, *, ended: bool, cut: bool) -> tuple[str, Finish] | None:
        """The whole sentence and how it came to its end, if it has."""
        stopped = cut_at_stop(text, len(self.script.lead), stop=self.script.controls.stop)
        if stopped is not None:
            return stopped, Finish.STOP
        if ended:
            return text, Finish.END
        return (text.rstrip(_BROKEN), Finish.LENGTH) if cut else None

    @property
    def _most_characters(self) -> int:
        """So many are allowed before the end: room is kept for a required tag until it comes."""
        return self.script.controls.max_characters if self.forced else self.script.most_characters

    def _judge_whole(self, text: str, finish: Finish) -> Sentence | Flaw:
        flaw = self._flaw(text, finish)
        alternatives = tuple(self.alternatives)
        return flaw or Sentence(text, tuple(self.said), tuple(self.log_probabilities), finish, alternatives)

    def _flaw(self, text: str, finish: Finish) -> Flaw | None:
        """The first that a whole text has."""
        script, controls = self.script, self.script.controls
        length = script.count(text)
        flaws = {
            Flaw.BLANK: not text.strip(),
            Flaw.BROKEN: _BROKEN in text[len(script.lead) :],
            Flaw.BANNED: script.banned.found(text) is not None,
            # A stop string or max_tokens came before it.
            Flaw.UNTAGGED: script.required is not None and not script.required.met(text),
            Flaw.TOO_LONG: length > controls.max_characters,
            Flaw.TOO_SHORT: finish is not Finish.LENGTH and length < controls.min_characters,
        }
        return next((flaw for flaw, found in flaws.items() if found), None)
