"""What a sentence must not hold, must hold, and where it stops. About its text; banned_tokens is about its tokens."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import re2
import regex

from ml.errors import ConfigError

# Of RE2's compiled form of one pattern; a pattern that needs more is refused.
_PATTERN_BYTES: Final = 1 << 20

# Scripts that put no blanks between words: there a banned word is found wherever it stands.
_UNSPACED: Final = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]", regex.VERSION1
)

_TAG: Final = regex.compile(
    r"\#[\w\p{M}]+|@[\w\p{M}]+(?:[.-]+[\w\p{M}]+)*(?:@[\w\p{M}]+(?:[.-]+[\w\p{M}]+)*)?", regex.VERSION1
)


@dataclass(frozen=True, slots=True)
class Banned:
    """Words and patterns that a text must not hold."""

    _words: tuple[tuple[str, str], ...]  # normalised, and as given
    _patterns: tuple[tuple[Any, str], ...]  # compiled, and as given

    @classmethod
    def of(cls, words: Sequence[str], patterns: Sequence[str]) -> Self:
        """words: found whole, in any case and compatibility form. patterns: of RE2, found anywhere, as they are given.

        RE2's time grows with the text's length alone, so no pattern can keep the process busy; it has no look-around
        and no back-references.

        Raises ConfigError, naming banned_words or banned_patterns.
        """
        return cls(
            tuple((_normalised_word(word), word) for word in words),
            tuple((_compiled(pattern), pattern) for pattern in patterns),
        )

    def found(self, text: str) -> str | None:
        """The first of the words, or else of the patterns, that the text holds, as it was given."""
        normalised = normalise(text)
        for word, given in self._words:
            if holds_word(normalised, word):
                return given
        for pattern, given in self._patterns:
            if pattern.search(text):
                return given
        return None


@dataclass(frozen=True, slots=True)
class Required:
    """Hashtags and mentions of which a sentence must hold one. tags: at least one, each `#x` or `@y`."""

    tags: tuple[str, ...]

    def met(self, text: str) -> bool:
        """Whether the text holds one of the tags, in any case: `#x`, but not as part of `#xy`, `a#x` or `@x@host`."""
        held = {match.casefold() for match in _tags_in(text)}
        return any(unicodedata.normalize("NFKC", tag).casefold() in held for tag in self.tags)

    def choose(self, uniform: float) -> str:
        """What to append to a sentence that holds none: a blank and one of the tags, each as often. uniform: [0, 1)."""
        return " " + self.tags[int(uniform * len(self.tags))]

    def room(self, count: Callable[[str], int]) -> int:
        """How much of max_characters to keep free, whichever tag is chosen. count: one of ml.text.lengths.LENGTHS."""
        return max(count(" " + tag) for tag in self.tags)


def cut_at_stop(text: str, start: int, *, stop: Sequence[str]) -> str | None:
    """The text before the first stop string at or after the place `start`, which is no part of it; None without one."""
    places = [place for place in (text.find(string, start) for string in stop) if place >= 0]
    return text[: min(places)] if places else None


def is_tag(text: str) -> bool:
    """Whether a text is one hashtag or mention and nothing else."""
    return _TAG.fullmatch(unicodedata.normalize("NFKC", text)) is not None


def normalise(text: str) -> str:
    """Case, compatibility forms, invisible characters and the width of blanks made alike, so that words compare.

    Source: Unicode 16, §3.13, NFKC_Casefold, nearly: of the ignorable characters, the format characters are dropped.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(c for c in folded if unicodedata.category(c) != "Cf").split())


def holds_word(text: str, word: str) -> bool:
    """Whether a word stands in a text as a whole word; both normalised. Words of unspaced scripts may touch others."""
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        joined_before = place > 0 and _joined(text[place - 1], word[0])
        if not joined_before and not (end < len(text) and _joined(word[-1], text[end])):
            return True
        place = text.find(word, place + 1)
    return False


def is_word_character(character: str) -> bool:
    """Letters, digits, marks and the underscore."""
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def _joined(left: str, right: str) -> bool:
    """Whether no word can end between two characters."""
    if not (is_word_character(left) and is_word_character(right)):
        return False
    return not (_UNSPACED.match(left) or _UNSPACED.match(right))


def _normalised_word(word: str) -> str:
    normalised = normalise(word)
    if not normalised:
        raise ConfigError(f"banned_words holds {word!r}, in which there is nothing to see. Leave it out.")
    return normalised


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ConfigError(
            f"banned_patterns holds {pattern!r}, which is no pattern of RE2 ({reason}). It has no look-around and no "
            "back-references."
        ) from error
    if compiled.search(""):
        raise ConfigError(f"banned_patterns holds {pattern!r}, which every text matches. Ask for at least a character.")
    return compiled


def _tags_in(text: str) -> list[str]:
    """Hashtags and mentions that no word runs into."""
    text = unicodedata.normalize("NFKC", text)
    return [
        match.group()
        for match in _TAG.finditer(text)
        if match.start() == 0 or not (is_word_character(text[match.start() - 1]) or text[match.start() - 1] in "#@/&=")
    ]
