"""How much of what a generator says is copied from the posts that it learnt from."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

Words: TypeAlias = tuple[str, ...]


class Copies:
    """Runs of words that stand in one training post. words: how long a run is looked for."""

    def __init__(self, posts: Iterable[str], *, words: int) -> None:
        split = [tuple(post.split()) for post in posts]
        self._words = words
        self._posts = set(split)
        self._runs = {run for post in split for run in _runs(post, words)}

    def copied_share(self, sentences: Sequence[str]) -> float:
        """Share of the sentences whose longest run of words that also stands in a training post is long enough."""
        copied = [any(run in self._runs for run in _runs(tuple(text.split()), self._words)) for text in sentences]
        return sum(copied) / max(1, len(sentences))

    def verbatim_share(self, sentences: Sequence[str]) -> float:
        """Share of the sentences that are a training post, word for word."""
        return sum(tuple(text.split()) in self._posts for text in sentences) / max(1, len(sentences))


def _runs(post: Words, words: int) -> Iterator[Words]:
    for begin in range(len(post) - words + 1):
        yield post[begin : begin + words]
