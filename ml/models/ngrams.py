"""The n-grams of a text as sorted arrays: counted, looked up, and remembered by a state. What the n-gram models share.

A post is a sentence. Its first word is read after one `<eos>`, which stands for the start of a post, and no context
reaches further back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ml.errors import ArtifactError, ConfigError, CorpusTooSmall
from ml.language_model import TokenArray

UNSEEN: Final = -1


@dataclass(frozen=True, slots=True)
class NgramState:
    """The last n-1 tokens of B rows, as the n-grams that end now.

    grams: [B, n-1] int64; column k-1 holds the id of the k-gram that ends now, -1 where the training text has no such
    k-gram or the post is not that long yet.
    """

    grams: TokenArray

    def take(self, rows: TokenArray) -> Self:
        return type(self)(self.grams[rows])

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        return cls(np.concatenate([state.grams for state in states]))


@dataclass(frozen=True, slots=True)
class Ngrams:
    """All k-grams of one length k >= 2; a k-gram's id is its place.

    keys: [N] int64, id of the (k-1)-gram it begins with · V + last word; sorted, so that the continuations of a
    context are a slice. N is less than the length of the text, so N · V is far from the end of int64. words: [N] int64
    and starts: [N of k-1, plus 1] int64 say the same as keys, for slicing.
    """

    keys: TokenArray
    words: TokenArray
    starts: TokenArray
    vocabulary_size: int

    @classmethod
    def of(cls, keys: TokenArray, *, n_contexts: int, vocabulary_size: int) -> Self:
        starts = np.searchsorted(keys, np.arange(n_contexts + 1, dtype=np.int64) * vocabulary_size)
        return cls(keys, words=keys % vocabulary_size, starts=starts, vocabulary_size=vocabulary_size)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def contexts(self) -> TokenArray:
        """Which context each k-gram continues: [N] int64."""
        return self.keys // self.vocabulary_size

    def find(self, contexts: TokenArray, words: TokenArray) -> TokenArray:
        """Ids of the k-grams context + word, -1 where there is none: [M] and [M] int64 → [M] int64."""
        if not len(self.keys):
            return np.full(len(words), UNSEEN, dtype=np.int64)
        keys = contexts * self.vocabulary_size + words
        places = np.searchsorted(self.keys, keys)
        places[places == len(self.keys)] = 0
        return np.where(self.keys[places] == keys, places, UNSEEN)

    def continuations(self, contexts: TokenArray) -> tuple[TokenArray, TokenArray]:
        """How many k-grams continue each context, and their ids, context by context: [M], [sum of them] int64."""
        starts = self.starts[contexts]
        lengths = self.starts[contexts + 1] - starts
        ends = np.cumsum(lengths)
        entries: TokenArray = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
        return lengths, entries


@dataclass(frozen=True, slots=True)
class Counted:
    """k-grams with how often each stands in the text ([N] int64) and the (k-1)-gram with which it ends ([N] int64)."""

    ngrams: Ngrams
    counts: TokenArray
    endings: TokenArray


def count(tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> tuple[TokenArray, list[Counted]]:
    """How often each word stands in a text ([V] int64), and its k-grams of k = 2 … order.

    tokens: [T] int64, the posts one after the other, each closed by `eos`.

    Raises ConfigError for an order below 1, CorpusTooSmall for an empty text, ValueError for tokens that are no posts
    over this vocabulary.
    """
    if order < 1:
        raise ConfigError(f"order is {order}; the shortest n-gram is 1.")
    if len(tokens) == 0:
        raise CorpusTooSmall("There is nothing to count: the training text is empty.")
    if tokens.min() < 0 or tokens.max() >= vocabulary_size or tokens[-1] != eos:
        raise ValueError(f"tokens must be ids below {vocabulary_size} and end with {eos}")
    levels = []
    grams, n_contexts = tokens, vocabulary_size
    for k in range(2, order + 1):
        contexts = _contexts(grams, tokens, k=k, eos=eos)
        known = np.flatnonzero(contexts >= 0)
        keys, ids = np.unique(contexts[known] * vocabulary_size + tokens[known], return_inverse=True)
        endings = np.empty(len(keys), dtype=np.int64)
        endings[ids] = grams[known]
        ngrams = Ngrams.of(keys, n_contexts=n_contexts, vocabulary_size=vocabulary_size)
        levels.append(Counted(ngrams, np.bincount(ids, minlength=len(keys)), endings))
        grams, n_contexts = _at(known, ids, length=len(tokens)), len(keys)
    return np.bincount(tokens, minlength=vocabulary_size), levels


def look_up(
    tokens: TokenArray, levels: Sequence[Ngrams], *, eos: int
) -> Iterator[tuple[TokenArray, TokenArray, TokenArray]]:
    """The n-grams of a stream of posts, for k = 2 … n: which places have a context that was counted, its id, and the
    id of the k-gram that ends there, -1 where it was not counted: three times [M] int64.
    """
    grams = tokens
    for k, level in enumerate(levels, start=2):
        contexts = _contexts(grams, tokens, k=k, eos=eos)
        known = np.flatnonzero(contexts >= 0)
        ids = level.find(contexts[known], tokens[known])
        yield known, contexts[known], ids
        grams = _at(known, ids, length=len(tokens))


def initial_state(batch_size: int, levels: Sequence[Ngrams]) -> NgramState:
    """Rows that have read nothing."""
    return NgramState(np.full((batch_size, len(levels)), UNSEEN, dtype=np.int64))


def read(tokens: TokenArray, state: NgramState, levels: Sequence[Ngrams], *, eos: int) -> NgramState:
    """The state after one more token a row: [B] int64."""
    grams = np.full_like(state.grams, UNSEEN)
    grams[:, :1] = tokens[:, np.newaxis]
    inside = tokens != eos  # after `<eos>` nothing longer than `<eos>` itself is remembered
    for k, level in enumerate(levels[:-1], start=2):
        contexts = state.grams[:, k - 2]
        rows = np.flatnonzero(inside & (contexts >= 0))
        grams[rows, k - 1] = level.find(contexts[rows], tokens[rows])
    return NgramState(grams)


def read_tables(path: Path, *, wanted_format: str) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Header and arrays of a file of n-gram tables. Raises ArtifactError."""
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            metadata, arrays = dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} cannot be read as n-gram tables: {error}.") from error
    if metadata.get("format") != wanted_format:
        raise ArtifactError(
            f"{path} has format {metadata.get('format')!r}; this version reads format {wanted_format!r}."
        )
    return metadata, arrays


def order_of(metadata: Mapping[str, str], arrays: Mapping[str, NDArray[Any]], *, tables_a_level: int) -> int:
    """n, as the header says. Raises KeyError, and ValueError where the file holds tables of another n."""
    order = int(metadata["order"])
    if len(arrays) != 1 + tables_a_level * (order - 1):
        raise ValueError(f"{len(arrays)} tables are not those of order {order}")
    return order


def check_keys(keys: NDArray[Any], *, n_contexts: int, vocabulary_size: int) -> None:
    """Raises ValueError for keys that no text has."""
    if keys.dtype != np.int64 or keys.ndim != 1 or np.any(keys[1:] <= keys[:-1]):
        raise ValueError("the keys are not int64 in ascending order")
    if len(keys) and (keys[0] < 0 or keys[-1] >= n_contexts * vocabulary_size):
        raise ValueError("a key names a context or a word that does not exist")


def _contexts(grams: TokenArray, tokens: TokenArray, *, k: int, eos: int) -> TokenArray:
    """What stands before each token, as the id of a (k-1)-gram: [T] int64, -1 where there is none.

    grams: [T] int64, ids of the (k-1)-grams that end at each token.
    """
    begins_post = np.concatenate(([True], tokens[:-1] == eos))[: len(tokens)]
    before = np.concatenate(([UNSEEN], grams[:-1]))[: len(tokens)]
    contexts: TokenArray = np.where(begins_post, eos if k == 2 else UNSEEN, before)
    return contexts


def _at(places: TokenArray, ids: TokenArray, *, length: int) -> TokenArray:
    grams = np.full(length, UNSEEN, dtype=np.int64)
    grams[places] = ids
    return grams
