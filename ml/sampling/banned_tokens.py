"""Banned words while a sentence grows: which tokens must not come next."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from ml.sampling.constraints import is_word_character
from ml.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class BannedTokens:
    """Token ids that would complete a canonical encoding of a banned word, by the tokens that lead to it.

    This spares attempts rather than deciding anything: a word can be said in other tokens than the tokenizer would
    choose, and only Banned.found sees it then. And it bans a little more than words: where a tokenizer says
    `hello` as ` hell` and `o`, a ban on `hell` takes that way of saying `hello` too.

    spaced: completions of encodings that begin with a blank, or whose blank the tokenizer implies. bare: of those that
    begin a word only where nothing, or no word, stands before them.
    """

    tokenizer: Tokenizer
    spaced: Mapping[tuple[int, ...], list[int]]
    bare: Mapping[tuple[int, ...], list[int]]
    lengths: frozenset[int]
    _ends_in_word: dict[int, bool] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, tokenizer: Tokenizer, words: Sequence[str]) -> Self:
        """words: each as given, in lower case, Capitalised and in UPPER CASE. Encodings with `<unk>` are left out."""
        unspeakable = set(tokenizer.never_spoken)
        spaced, bare = defaultdict[tuple[int, ...], set[int]](set), defaultdict[tuple[int, ...], set[int]](set)
        for word in _written(words):
            after_blank, alone = tokenizer.encode(" " + word), tokenizer.encode(word)
            if not unspeakable.intersection(after_blank):
                spaced[tuple(after_blank[:-1])].add(after_blank[-1])
            if alone != after_blank and not unspeakable.intersection(alone):
                bare[tuple(alone[:-1])].add(alone[-1])
        return cls(tokenizer, _sorted(spaced), _sorted(bare), frozenset(len(begun) for begun in (*spaced, *bare)))

    def forbidden(self, said: Sequence[int]) -> list[int]:
        """Ids that must not come next, in no order, some perhaps twice. said: all tokens so far, the prompt's first."""
        ids: list[int] = []
        for length in self.lengths:
            if length > len(said):
                continue
            begun = tuple(said[len(said) - length :])
            ids += self.spaced.get(begun, ())
            if begun in self.bare and self._word_may_begin(said, length):
                ids += self.bare[begun]
        return ids

    def _word_may_begin(self, said: Sequence[int], length: int) -> bool:
        """Whether what stands before the last `length` tokens lets a word begin there without a blank."""
        if len(said) == length:
            return True
        before = said[len(said) - length - 1]
        if before not in self._ends_in_word:
            text = self.tokenizer.decode([before])
            self._ends_in_word[before] = bool(text) and is_word_character(text[-1])
        return not self._ends_in_word[before]


def _written(words: Sequence[str]) -> Iterator[str]:
    for word in filter(None, (word.strip() for word in words)):
        yield from {word, word.lower(), word.capitalize(), word.upper()}


def _sorted(completions: Mapping[tuple[int, ...], set[int]]) -> dict[tuple[int, ...], list[int]]:
    return {begun: sorted(ids) for begun, ids in completions.items()}
