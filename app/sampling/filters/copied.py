"""copied: too long a run of the text's words stands in one post of the corpus."""

import math
from collections.abc import Sequence
from typing import Final

from app.sampling.filters.refusal import Filter, Reason, Refusal
from ml.text.corpus_index import CorpusIndex
from ml.text.folding import folded_words, is_unspaced

# What has fewer words (a greeting, a slogan) is said again by people, too; the whole of it, `repeated` refuses.
FEWEST_WORDS_FOR_SHARE: Final = 4
# In Chinese and Japanese a word has about two characters.
CHARACTERS_A_WORD: Final = 2


def copied(index: CorpusIndex, *, words_limit: int, share_limit: float) -> Filter:
    """Refuse a run of `words_limit` words or more, or more than `share_limit` of a text of some length."""

    def check(text: str) -> Refusal | None:
        words = folded_words(text)
        total = length_in_words(words)
        long_enough = share_limit * total if total >= FEWEST_WORDS_FOR_SHARE else math.inf
        match = index.longest_match(words, above=math.ceil(min(words_limit, long_enough)) - 1)
        run = length_in_words(words[match.start : match.stop])
        if run >= words_limit or run > long_enough:
            return Refusal(Reason.COPIED, f"{run:g} of its {total:g} words in a row stand in one post of the corpus.")
        return None

    return check


def length_in_words(words: Sequence[str]) -> float:
    """How many words a reader would count, where a script without blanks gives its characters one by one."""
    characters = sum(map(is_unspaced, words))
    return len(words) - characters + characters / CHARACTERS_A_WORD
