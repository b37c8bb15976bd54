"""What a caller may ask of a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ml.errors import ConfigError
from ml.sampling.constraints import Banned, Required, is_tag
from ml.sampling.shape import Shape
from ml.text.lengths import LENGTHS

MOST_STOPS: Final = 16
MOST_BANNED_WORDS: Final = 1000
MOST_BANNED_PATTERNS: Final = 32
MOST_REQUIRED: Final = 16
LONGEST_STRING: Final = 100
LONGEST_PATTERN: Final = 500
"""Bounds of what a request may carry, in strings and in characters of each; checking a text costs their product."""


@dataclass(frozen=True, slots=True)
class Controls:
    """How sentences are drawn.

    temperature, top_k, top_p, typical_p, min_p: see Shape. max_characters, min_characters: of the whole text, prompt
    included. counted_as: how these two count, a name in ml.text.lengths.LENGTHS. max_tokens: at most so many tokens
    after the prompt. prompt: how the text begins. repetition_penalty: tokens that the text holds, the prompt's too,
    have their probability raised to this power. stop: the text ends before the first of these that follows the prompt.
    banned_words, banned_patterns: what the text must not hold (see Banned). required: hashtags and mentions of which
    the text holds one (see Required).

    Raises ConfigError, whose message begins with the field's name, for values that make no sense, alone or together.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_characters: int = 280
    prompt: str = ""
    typical_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    min_characters: int = 0
    max_tokens: int | None = None
    counted_as: str = "characters"
    banned_words: tuple[str, ...] = ()
    banned_patterns: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_strings("prompt", (self.prompt,))
        _check_list("stop", self.stop, most=MOST_STOPS)
        _check_list("banned_words", self.banned_words, most=MOST_BANNED_WORDS)
        _check_list("banned_patterns", self.banned_patterns, most=MOST_BANNED_PATTERNS, longest=LONGEST_PATTERN)
        _check_list("required", self.required, most=MOST_REQUIRED)
        _check_room(self)
        banned = self.banned
        _check_prompt(self, banned)
        for tag in self.required:
            _check_tag(tag, self, banned=banned)

    @property
    def shape(self) -> Shape:
        """What of this shapes the distribution of a token."""
        return Shape(self.temperature, self.top_k, top_p=self.top_p, typical_p=self.typical_p, min_p=self.min_p)

    @property
    def banned(self) -> Banned:
        """What the text must not hold, made ready for looking."""
        return Banned.of(self.banned_words, self.banned_patterns)

    def count(self, text: str) -> int:
        """How long a text is, as the platform that counted_as names counts it."""
        return LENGTHS[self.counted_as](text)


def _check_numbers(controls: Controls) -> None:
    _ = controls.shape  # checks its own
    if not 1 <= controls.repetition_penalty < float("inf"):
        raise ConfigError(
            f"repetition_penalty is {controls.repetition_penalty}; it must be 1 (no penalty) or more, and finite."
        )
    if controls.max_tokens is not None and controls.max_tokens < 1:
        raise ConfigError(f"max_tokens is {controls.max_tokens}; it must be 1 or more, or left out.")
    if controls.max_characters < 1:
        raise ConfigError(f"max_characters is {controls.max_characters}; it must be 1 or more.")
    if controls.min_characters < 0:
        raise ConfigError(f"min_characters is {controls.min_characters}; it must be 0 or more.")
    if controls.min_characters > controls.max_characters:
        raise ConfigError(
            f"min_characters is {controls.min_characters}; max_characters allows {controls.max_characters} in all."
        )
    if controls.counted_as not in LENGTHS:
        raise ConfigError(f"counted_as is {controls.counted_as!r}; it must be one of {', '.join(LENGTHS)}.")


def _check_list(name: str, strings: Sequence[str], *, most: int, longest: int = LONGEST_STRING) -> None:
    if isinstance(strings, str):
        raise ConfigError(f"{name} is one string; it must be a list of them.")
    if len(strings) > most:
        raise ConfigError(f"{name} holds {len(strings)} strings; it must be {most} at most.")
    for string in strings:
        if not string:
            raise ConfigError(f"{name} holds an empty string. Leave it out.")
        if len(string) > longest:
            raise ConfigError(f"{name} holds a string of {len(string)} characters; it must be {longest} at most.")
    _check_strings(name, strings)


def _check_strings(name: str, strings: Sequence[str]) -> None:
    for string in strings:
        try:
            string.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"{name} holds half of a surrogate pair, which is no character.") from error


def _check_room(controls: Controls) -> None:
    """Prompt and required tag must fit into max_characters."""
    used, allowed = controls.count(controls.prompt), controls.max_characters
    if used > allowed:
        raise ConfigError(f"prompt counts {used} as {controls.counted_as}; max_characters allows {allowed} in all.")
    tags = Required(controls.required)
    if not controls.required or tags.met(controls.prompt):
        return
    room = tags.room(controls.count)
    if used + room > allowed:
        raise ConfigError(
            f"required needs room for {room} beside a prompt of {used}; max_characters allows {allowed} in all."
        )


def _check_prompt(controls: Controls, banned: Banned) -> None:
    found = banned.found(controls.prompt)
    if found is not None:
        raise ConfigError(f"prompt holds {found!r}, which is banned. Change it, or lift the ban.")


def _check_tag(tag: str, controls: Controls, *, banned: Banned) -> None:
    if not is_tag(tag):
        raise ConfigError(f"required holds {tag!r}; each must be one hashtag or mention, such as #name or @name.")
    found = banned.found(" " + tag)
    if found is not None:
        raise ConfigError(f"required holds {tag!r}, but {found!r} is banned. Leave out one of them.")
    stop = next((stop for stop in controls.stop if stop in " " + tag), None)
    if stop is not None:
        raise ConfigError(f"required holds {tag!r}, but the text stops before {stop!r}. Leave out one of them.")
