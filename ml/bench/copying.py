"""How much of what a generator says is copied from the posts that it learnt from."""

from collections.abc import Iterable, Sequence

from ml.text.corpus_index import CorpusIndex


class Copies:
    """Shares of sentences that repeat training posts. words: how long a run of words makes a sentence a copy."""

    def __init__(self, posts: Iterable[str], *, words: int) -> None:
        self._words = words
        self._index = CorpusIndex.of(posts)

    def copied_share(self, sentences: Sequence[str]) -> float:
        """Share of the sentences whose longest run of words that also stands in a training post is long enough."""
        return sum(self._index.longest_run(text) >= self._words for text in sentences) / max(1, len(sentences))

    def verbatim_share(self, sentences: Sequence[str]) -> float:
        """Share of the sentences that are a training post, apart from case and blanks."""
        return sum(self._index.holds(text) for text in sentences) / max(1, len(sentences))
