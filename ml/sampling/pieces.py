"""Text that grows with its tokens: what a token adds once it is whole, and never a character that is taken back."""

from collections.abc import Sequence
from typing import Final

from ml.sampling.attempt import Script
from ml.sampling.sentence import Sentence
from ml.text.tokenizer import Tokenizer

_BROKEN: Final = "\ufffd"


class Detokenizer:
    """Tokens to text, one after the other: what `add` gives joins to what decoding all at once gives.

    Bytes of a character that is not whole yet are held back, and come with the token that ends it.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int] = ()) -> None:
        """before: tokens after which it begins; their text is not given again."""
        self._tokenizer = tokenizer
        # One token is enough to know how the next one is joined to it: with a blank, where tokens are words.
        self._recent = list(before[-1:])
        self._given = len(tokenizer.decode(self._recent))

    def add(self, token: int) -> str:
        """What the text gains by a token, which may be nothing."""
        self._recent.append(token)
        text = self._tokenizer.decode(self._recent)
        if text.endswith(_BROKEN):
            return ""
        gained = text[self._given :]
        self._recent = self._recent[-1:]
        self._given = len(self._tokenizer.decode(self._recent))
        return gained

    def would_add(self, token: int) -> str | None:
        """What `add` would give; None where that would be part of a character."""
        text = self._tokenizer.decode([*self._recent, token])
        return None if text.endswith(_BROKEN) else text[self._given :]


def pieces(tokenizer: Tokenizer, tokens: Sequence[int], *, before: Sequence[int] = ()) -> list[str]:
    """What each token adds to the text, after those `before`. They join to the decoded text."""
    detokenizer = Detokenizer(tokenizer, before)
    return [detokenizer.add(token) for token in tokens]


class GrowingText:
    """The text of one attempt while it is said: what `read` and at last `finish` give joins to its sentence's text.

    Held back is what may still go: the beginning of a stop string, and bytes of a character that is not whole.
    """

    def __init__(self, script: Script) -> None:
        self._stop = script.controls.stop
        self._detokenizer = Detokenizer(script.tokenizer, script.prompt)
        # A sentence that is cut loses what is broken at its end, of a prompt that ends so as well.
        self._lead = script.lead.rstrip(_BROKEN)
        self._held = script.lead[len(self._lead) :]
        self._given = 0

    def read(self, tokens: Sequence[int]) -> str:
        """What is certain after some more tokens. The prompt comes with the first of them."""
        self._held += "".join(self._detokenizer.add(token) for token in tokens)
        certain = self._certain()
        given, self._held = self._lead + self._held[:certain], self._held[certain:]
        self._lead = ""
        self._given += len(given)
        return given

    def finish(self, sentence: Sentence) -> str:
        """The rest of the sentence's text."""
        return sentence.text[self._given :]

    def _certain(self) -> int:
        """How much of what is held cannot be lost any more."""
        held = self._held
        stopped = [place for place in (held.find(stop) for stop in self._stop) if place >= 0]
        longest = max(map(len, self._stop), default=0)
        begun = (
            place
            for place in range(max(0, len(held) - longest), len(held))
            if any(stop.startswith(held[place:]) for stop in self._stop)
        )
        return min([*stopped, next(begun, len(held)), len(held.rstrip(_BROKEN))])
