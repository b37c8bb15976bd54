"""Undo what hides a word from a blocklist and not from a reader: styled letters, look-alikes, digits for letters, gaps.

Each rule asks for a sign that something is hidden, because an innocent word must never become another one: `he'll`,
`Scunthorpe`, `as 5 he`, `A55`, `a bad` and `año` stay what they are.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from ml.text.folding import UNSPACED

# Soft hyphen, joiners, direction marks, fillers, variation selectors, tags: nobody sees them.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# Strokes and piles of accents that no letter is composed with. Those that make another letter (n, ñ) are composed by
# then and stay: taken off, they would turn innocent words of many languages into others.
_LOOSE_MARKS: Final = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")

# Letters of phonetics that are used as small capitals and that no alphabet of a living language has.
_STYLED: Final = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢɑɡ’ʼ‘`´", "abcdefghijklmnopqrstuvwyzag'''''")

# Cyrillic and Greek letters as they look, in either case.
_LOOKALIKES: Final = str.maketrans(
    "АВЕЅІЈКМНОРСТУХԀԚԜҺ" "авеѕіјкмнорстухԁԛԝһ" "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" "αβγεηικνορτυχω",
    "abesijkmhopctyxdqwh" "abesijkmhopctyxdqwh" "abezhikmnoptyx" "abyenikvoptuxw",
)  # fmt: skip
_LATIN: Final = re.compile("[a-z]")
_CYRILLIC_OR_GREEK: Final = re.compile("[\u0370-\u03ff\u0400-\u052f]")

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_RUN: Final = re.compile(r"\w+")
_POSSESSIVE: Final = re.compile(r"'s?\Z")

_LEET: Final = str.maketrans("4@31!05$7", "aaeiiosst")
_LEET_CHUNK: Final = re.compile(r"[\w@$!]+")
_AMOUNT: Final = re.compile(r"\$\d")
_FEWEST_LETTERS: Final = 3  # "a5", "B.S." and "a b" are rather a sheet of paper, initials and an enumeration

# Single letters with one blank or one mark between them: "b a d", "b.a.d", "b - a - d" is prose.
_SPELLED: Final = re.compile(r"(?<![^\W_])(?:[^\W_]|[@$!])(?:(?:[^\w\s@$!]\s?|_|\s)(?:[^\W_]|[@$!]))+(?![^\W_])")
_LETTER_WORDS: Final = "ai"  # English words of one letter, which may stand before a word that is spelled out

_STRETCH: Final = re.compile(r"(\w)\1\1")
_ALL_UNSPACED: Final = re.compile(f"[{UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as somebody may read it.

    text: in plain letters, without case. words: in their order. candidates: the words and what else may be meant.
    stretched: those of the candidates that repeat a letter three times or more.
    """

    text: str
    words: list[str]
    candidates: frozenset[str]
    stretched: tuple[str, ...]


def plain(text: str) -> str:
    """Without case, without what is invisible, each letter in its plain form."""
    return _without_case(_upright(text))


def skeletons(word: str) -> set[str]:
    """How a word looks when its Cyrillic and Greek letters are taken for Latin ones, small and in capitals."""
    return {_without_case(_upright(form).translate(_LOOKALIKES)) for form in (word, word.upper())}


def readings(text: str) -> tuple[Reading, Reading | None]:
    """A text as it stands, and, where letters of one script pass for those of another, as it looks."""
    upright = _upright(text)
    written = _without_case(upright)
    looked_at = None if text.isascii() else _unmasked(written, _without_case(upright.translate(_LOOKALIKES)))
    return _read(written), None if looked_at is None else _read(looked_at)


def words_of(text: str) -> list[str]:
    """The words of a plain text; an apostrophe inside belongs to the word."""
    return _WORD.findall(text)


def squeezed(word: str) -> tuple[str, tuple[int, ...]]:
    """A word with each run of a letter as one letter, and how long the runs are: "baad" → "bad", (1, 2, 1)."""
    runs = [(letter, sum(1 for _ in run)) for letter, run in groupby(word)]
    return "".join(letter for letter, _ in runs), tuple(length for _, length in runs)


def _upright(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_STYLED)


def _without_case(text: str) -> str:
    folded = text.casefold()
    # Casefolding takes some letters apart; what is composed again is no loose mark.
    return folded if folded.isascii() else _LOOSE_MARKS.sub("", unicodedata.normalize("NFKC", folded))


def _unmasked(written: str, lookalike: str) -> str | None:
    """The text with masked words as they look; None where no word is masked.

    A word is masked that mixes Latin with Cyrillic or Greek letters, or that has nothing but look-alikes in a text that
    is otherwise Latin.
    """
    if written == lookalike or len(written) != len(lookalike) or not _LATIN.search(written):
        return None
    latin = not _CYRILLIC_OR_GREEK.search(lookalike)
    parts, begin = [], 0
    for match in _RUN.finditer(written):
        word, look = match.group(), lookalike[match.start() : match.end()]
        if word != look and (latin or _LATIN.search(word)):
            parts += [written[begin : match.start()], look]
            begin = match.end()
    return "".join([*parts, written[begin:]]) if parts else None


def _read(text: str) -> Reading:
    words = words_of(text)
    candidates = {*words, *_unleeted(text), *_spelled(text)}
    candidates |= {_POSSESSIVE.sub("", word) for word in words if "'" in word}
    # One search in them all, for most texts have none.
    stretched = [word for word in candidates if _STRETCH.search(word)] if _STRETCH.search(" ".join(candidates)) else []
    return Reading(text, words, frozenset(candidates), tuple(stretched))


def _unleeted(text: str) -> Iterator[str]:
    """Words in which digits and signs stand for letters."""
    for chunk in _LEET_CHUNK.findall(text):
        if not chunk.isalpha():
            yield from _as_letters(chunk)


def _as_letters(chunk: str) -> Iterator[str]:
    """The words of a chunk with letters for digits and signs, if at least as many letters as digits are there.

    "A55" is a road, "5M" and "$1k" are amounts, "@nal_78" is somebody's name (which `mention` looks at), and "sn!t!"
    ends with an exclamation mark.
    """
    chunk = chunk.lstrip("@").rstrip("!")
    letters = sum(character.isalpha() for character in chunk)
    if letters and letters >= sum(character.isdecimal() for character in chunk) and not _AMOUNT.match(chunk):
        yield from (word for word in words_of(chunk.translate(_LEET)) if len(word) >= _FEWEST_LETTERS)


def _spelled(text: str) -> Iterator[str]:
    """Words whose letters stand apart."""
    for match in _SPELLED.finditer(text):
        joined = "".join(c for c in match.group() if c.isalnum() or c in "@$!")
        if _ALL_UNSPACED.fullmatch(joined):
            yield joined
        elif len(joined) >= _FEWEST_LETTERS and sum(c.isalpha() for c in joined) > 1:  # "a $ 5" bill is none
            for word in (joined, joined[1:]) if joined[0] in _LETTER_WORDS else (joined,):
                yield word
                yield from _as_letters(word)
