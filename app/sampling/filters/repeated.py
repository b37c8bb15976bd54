"""repeated: the whole text is a post of the corpus, or was posted lately."""

from collections.abc import Collection

from app.sampling.filters.refusal import Filter, Reason, Refusal
from ml.text.corpus_index import CorpusIndex
from ml.text.folding import folded


def repeated(index: CorpusIndex, *, recent: Collection[str]) -> Filter:
    """Refuse what repeats a post, apart from case and blanks. recent: texts that were posted or drafted lately."""
    posted = frozenset(map(folded, recent))

    def check(text: str) -> Refusal | None:
        if folded(text) in posted:
            return Refusal(Reason.REPEATED, "It was posted lately.")
        if index.holds(text):
            return Refusal(Reason.REPEATED, "It is a post of the corpus.")
        return None

    return check
