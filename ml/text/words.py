"""Closed-vocabulary tokenizer of the lecture and of the published tables: words are what stands between blanks."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np

from ml.errors import ArtifactError
from ml.language_model import TokenArray
from ml.text.tokenizer_file import FILE_NAME, read_fields, write_tokenizer_file
from ml.text.vocabulary import UNK, Vocabulary

# Words seen once become `<unk>`, so that a model learns where an unknown word may stand.
MINIMUM_COUNT: Final = 2


class WordTokenizer:
    """Splits on whitespace; a word that is not in the vocabulary is `<unk>`. Line breaks are lost."""

    kind: ClassVar[str] = "words"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    @property
    def vocabulary_size(self) -> int:
        return len(self._vocabulary)

    @property
    def eos(self) -> int:
        return self._vocabulary.eos

    @property
    def never_spoken(self) -> tuple[int, ...]:
        return (self._vocabulary.unk,)

    @classmethod
    def learn(cls, posts: Iterable[str], *, vocabulary_size: int, minimum_count: int | None = None) -> Self:
        """The most frequent words of the training posts.

        minimum_count: how often a word must be seen. Left out, it is MINIMUM_COUNT, but 1 where the posts already
        contain `<unk>`: then whoever prepared them closed the vocabulary, as in the Penn Treebank files.
        """
        words = [word for post in posts for word in post.split()]
        if minimum_count is None:
            minimum_count = 1 if UNK in words else MINIMUM_COUNT
        return cls(Vocabulary.learn(words, maximum_size=vocabulary_size, minimum_count=minimum_count))

    def encode(self, text: str) -> list[int]:
        return [self._vocabulary.id_of(word) for word in text.split()]

    def encode_posts(self, posts: Sequence[str]) -> TokenArray:
        ids: list[int] = []
        for post in posts:
            ids += self.encode(post)
            ids.append(self.eos)
        return np.array(ids, dtype=np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self._vocabulary.words[i] for i in ids if i != self.eos)

    def save(self, directory: Path) -> None:
        write_tokenizer_file(directory, self.kind, fields={"words": self._vocabulary.words})

    @classmethod
    def load(cls, directory: Path) -> Self:
        words = read_fields(directory, cls.kind).get("words")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ArtifactError(f"{directory / FILE_NAME} has no list of words.")
        return cls(Vocabulary(tuple(words)))
