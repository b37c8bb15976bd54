"""Words that a closed vocabulary does not hold, and what it costs to spell them.

A model of a closed vocabulary gives `<unk>` the probability of all words that it does not know, together. That makes a
text of unknown words cheap, and such a model no rival for one that has to spell them. Spelt byte by byte, each of the
256 and the end of the word equally likely, the words share it out: what comes is a distribution over texts (up to the
blanks between words, which are lost), so that its bits per byte compare with those of any other model.
"""

import math
from collections.abc import Sequence
from typing import Final

from ml.text.tokenizer import Tokenizer

# 256 bytes and the end of the word.
_NATS_A_BYTE: Final = math.log(257)


def unknown_words(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words of a text that become `<unk>`, in order. None where the vocabulary is open."""
    unknown = set(tokenizer.never_spoken)
    return [word for word in text.split() if unknown.intersection(tokenizer.encode(word))] if unknown else []


def spelling_nats(words: Sequence[str]) -> float:
    """What it costs to spell words under a uniform distribution over bytes, the end of each included."""
    return sum(len(word.encode()) + 1 for word in words) * _NATS_A_BYTE
