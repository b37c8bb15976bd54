"""Counts → ids, from the training split only."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from ml.errors import ArtifactError, ConfigError

UNK: Final = "<unk>"
EOS: Final = "<eos>"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A closed list of words; a word's id is its place. `<unk>` is 0 and `<eos>` is 1.

    Raises ArtifactError when the list does not begin with these two or names a word twice.
    """

    words: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.words[:2] != (UNK, EOS):
            raise ArtifactError(f"A vocabulary begins with {UNK} and {EOS}; this one begins with {self.words[:2]}.")
        ids = {word: i for i, word in enumerate(self.words)}
        if len(ids) != len(self.words):
            raise ArtifactError("A word stands twice in the vocabulary.")
        del ids[EOS]  # typed in a post it is a word like any other that is not on the list
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def learn(cls, words: Iterable[str], *, maximum_size: int, minimum_count: int) -> Self:
        """The words seen at least `minimum_count` times, most frequent first, equals in code point order."""
        if maximum_size < 2:
            raise ConfigError(f"vocabulary_size is {maximum_size}; {UNK} and {EOS} alone need 2.")
        counts = Counter(words)
        ranked = sorted(
            (word for word, count in counts.items() if count >= minimum_count and word not in {UNK, EOS}),
            key=lambda word: (-counts[word], word),
        )
        return cls((UNK, EOS, *ranked[: maximum_size - 2]))

    @property
    def unk(self) -> int:
        return 0

    @property
    def eos(self) -> int:
        return 1

    def __len__(self) -> int:
        return len(self.words)

    def id_of(self, word: str) -> int:
        """The id of a word; of `<unk>` where it is not on the list."""
        return self._ids.get(word, self.unk)
