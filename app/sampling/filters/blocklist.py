"""Blocklist: words that must not be said, ready to be looked for."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from app.sampling.filters.disguises import Reading, plain, readings, skeletons, squeezed, words_of
from ml.text.folding import UNSPACED

_UNSPACED_WORD: Final = re.compile(f"[{UNSPACED}]+")
_WORDS: Final = re.compile(r"[^\W_]+(?:[' -]+[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """words: found whole. runs: the same by their squeezed form, with the lengths of their runs of letters. phrases:
    several words, by the first. parts: found anywhere, by the first character, because their script has no blanks.
    literals: with signs in them, found where no letter is beside them.
    """

    words: frozenset[str]
    runs: Mapping[str, list[tuple[int, ...]]]
    phrases: Mapping[str, list[list[str]]]
    parts: Mapping[str, list[str]]
    literals: tuple[str, ...]

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        words: set[str] = set()
        runs, phrases, parts = defaultdict(list), defaultdict(list), defaultdict(list)
        literals = []
        for entry in sorted(set(entries)):
            if _UNSPACED_WORD.fullmatch(entry):
                parts[entry[0]].append(entry)
            elif not _WORDS.fullmatch(entry):
                literals.append(entry)
            elif len(several := words_of(entry)) > 1:
                phrases[several[0]].append(several)
            else:
                words.add(entry)
                letters, lengths = squeezed(entry)
                runs[letters].append(lengths)
        return cls(frozenset(words), dict(runs), dict(phrases), dict(parts), tuple(literals))

    def find(self, reading: Reading) -> str | None:
        """A word of the list that stands in the text, or None."""
        if found := self.words & reading.candidates:
            return min(found)
        return (
            next((word for word in reading.stretched if self._is_stretched(word)), None)
            or self._phrase(reading)
            or self._part(reading)
            or next((literal for literal in self.literals if _stands(literal, reading.text)), None)
        )

    def _is_stretched(self, word: str) -> bool:
        """Whether it is a word of the list with some letters said longer: no run is shorter than it should be."""
        letters, lengths = squeezed(word)
        return any(
            all(length >= least for length, least in zip(lengths, wanted, strict=True))
            for wanted in self.runs.get(letters, ())
        )

    def _phrase(self, reading: Reading) -> str | None:
        for first in self.phrases.keys() & reading.candidates:
            for begin, word in enumerate(reading.words):
                for phrase in self.phrases[first] if word == first else ():
                    if reading.words[begin : begin + len(phrase)] == phrase:
                        return " ".join(phrase)
        return None

    def _part(self, reading: Reading) -> str | None:
        for first in self.parts.keys() & set(reading.text):
            for part in self.parts[first]:
                if part in reading.text or part in reading.candidates:
                    return part
        return None


class Blocklist:
    """Words and phrases that must not be said. They are found as whole words, in any case and through the disguises
    that `disguises` undoes; words of scripts without blanks are found anywhere.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        written = [form for entry in entries if (form := " ".join(plain(entry).split()))]
        self._written = _Lexicon.of(written)
        self._looked_at = _Lexicon.of({look for form in written for look in skeletons(form)})

    def find(self, text: tuple[Reading, Reading | None]) -> str | None:
        """A word of the list that stands in a text (as `readings` gives it), or None."""
        written, looked_at = text
        found = self._written.find(written)
        if found is None and looked_at is not None:
            found = self._looked_at.find(looked_at)
        return found

    def find_in(self, text: str) -> str | None:
        """A word of the list that stands in a text, or None."""
        return self.find(readings(text))


def _stands(literal: str, text: str) -> bool:
    """Whether it stands in the text with no letter or digit beside its own."""
    begin = text.find(literal)
    while begin >= 0:
        end = begin + len(literal)
        before = begin and literal[0].isalnum() and text[begin - 1].isalnum()
        after = end < len(text) and literal[-1].isalnum() and text[end].isalnum()
        if not (before or after):
            return True
        begin = text.find(literal, begin + 1)
    return False
