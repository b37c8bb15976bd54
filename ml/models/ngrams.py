"""The n-grams of a text as sorted arrays: counted, looked up, and remembered by a state. What the n-gram models share.

A post is a sentence. Its first word is read after one `<eos>`, which stands for the start of a post, and no context
reaches further back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml import mapped
from ml.errors import ArtifactError, ConfigError, CorpusError, CorpusTooSmall
from ml.language_model import TokenArray

UNSEEN: Final = -1
LONGEST: Final = 64  # tokens of an n-gram; far fewer say all there is to say
_MOST_NGRAMS: Final = 2**31 - 1  # places are int32
# So few slices are searched sooner one by one: what numpy's calls cost is then more than what they do.
_FEW: Final = 8
# Contexts whose sums are checked at once, so that loading a model leaves no large holes in memory.
_AT_ONCE: Final = 2**16

WordArray: TypeAlias = NDArray[np.uint16] | NDArray[np.uint32]


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
    """All k-grams of k = 1 … n as one tree: each leads to those that continue it by a word.

    The ids 0 … V-1 are the words; then come the pairs, then the triples, and so on, those of one length in the order of
    their context (the k-gram without its last word) and then of their last word. So what continues a context is a
    slice, and the slices follow one another.

    words: [N] uint16 or uint32 (`word_type`), the last word of each k-gram of k >= 2; its id is V + its place.
    starts: [C + 1] int32; what continues context c has the places starts[c] … starts[c + 1] - 1. C = V + the number of
    k-grams of k = 2 … n-1, and 0 where n = 1.
    """

    words: WordArray
    starts: NDArray[np.int32]
    vocabulary_size: int
    order: int

    def __len__(self) -> int:
        """N, how many k-grams of k >= 2 there are."""
        return len(self.words)

    @property
    def levels(self) -> list[slice]:
        """Ids of the k-grams of each k = 1 … n."""
        ends = [0, self.vocabulary_size]
        for _ in range(2, self.order + 1):
            ends.append(self.vocabulary_size + int(self.starts[ends[-1]]))
        return [slice(begin, end) for begin, end in pairwise(ends)]

    def contexts(self, level: slice) -> TokenArray:
        """Which k-gram of a level each (k+1)-gram continues, counted from the first of the level: [N of k+1] int64."""
        lengths = np.diff(self.starts[level.start : level.stop + 1])
        return np.repeat(np.arange(len(lengths)), lengths)

    def find(self, contexts: TokenArray, words: TokenArray) -> TokenArray:
        """Ids of the k-grams context + word, -1 where there is none and where the context is -1.

        contexts: [M] int64; words: [M] int64, each below V. Returns [M] int64.
        """
        wanted = words.astype(self.words.dtype)
        if len(contexts) <= _FEW or not len(self.words):
            return self._find_few(contexts.tolist(), wanted)
        # A context of -1 has first = N and last = -1: an empty slice, like that of a context which nothing continues.
        first, last = self.starts.take(contexts).astype(np.int64), self.starts.take(contexts + 1) - np.int64(1)
        places = np.minimum(first, last)  # of the last word that is not too late, as far as is known
        step = 1 << max(0, int((last - first).max())).bit_length()
        while step := step >> 1:  # all slices are halved at once
            probes = np.minimum(places + step, last)
            np.copyto(places, probes, where=self.words.take(probes) <= wanted)
        found = (self.words.take(places) == wanted) & (places >= first)
        return np.where(found, places + self.vocabulary_size, UNSEEN)

    def _find_few(self, contexts: list[int], wanted: NDArray[Any]) -> TokenArray:
        ids = np.full(len(contexts), UNSEEN, dtype=np.int64)
        for row, context in enumerate(contexts):
            if context != UNSEEN:
                first, end = self.starts.item(context), self.starts.item(context + 1)
                place = first + int(self.words[first:end].searchsorted(wanted[row]))
                if place < end and self.words[place] == wanted[row]:
                    ids[row] = place + self.vocabulary_size
        return ids

    def continued(self, contexts: TokenArray) -> TokenArray:
        """How many k-grams continue each context, none where it is -1: [...] int64 → [...] int64."""
        # For -1 the difference is that of 0 and N.
        return np.maximum(self.starts.take(contexts + 1) - self.starts.take(contexts).astype(np.int64), 0)

    def continuations(self, contexts: TokenArray) -> tuple[TokenArray, TokenArray]:
        """How many k-grams continue each context, and their places, context by context: [M], [sum of them] int64."""
        starts = self.starts.take(contexts)
        lengths = np.maximum(self.starts.take(contexts + 1) - starts.astype(np.int64), 0)
        places: TokenArray = (starts - lengths.cumsum() + lengths).repeat(lengths)
        places += np.arange(len(places))
        return lengths, places


@dataclass(frozen=True, slots=True)
class Counted:
    """The k-grams of a text by id, those of k = 1 first.

    counts: [V + N] int64, how often each stands in the text. endings: [N] int64, the (k-1)-gram with which each of
    k >= 2 ends.
    """

    ngrams: Ngrams
    counts: TokenArray
    endings: TokenArray


def word_type(vocabulary_size: int) -> np.dtype[Any]:
    """The type of `Ngrams.words`: the smaller one that holds every word."""
    return np.dtype(np.uint16 if vocabulary_size <= 2**16 else np.uint32)


def count(tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> Counted:
    """The k-grams of a text, k = 1 … order.

    tokens: [T] int64, the posts one after the other, each closed by `eos`.

    Raises ConfigError for an order below 1, CorpusTooSmall for an empty text, CorpusError for one too long, ValueError
    for tokens that are no posts over this vocabulary.
    """
    _check_countable(tokens, order=order, vocabulary_size=vocabulary_size, eos=eos)
    V, words_of = vocabulary_size, word_type(vocabulary_size)
    counts, endings = [np.bincount(tokens, minlength=V)], [np.empty(0, dtype=np.int64)]
    words, starts = [np.empty(0, dtype=words_of)], [np.zeros(1, dtype=np.int32)]
    grams, first, end = tokens, 0, V  # the (k-1)-grams that end at each token; their ids are first … end - 1
    for k in range(2, order + 1):
        contexts = _contexts(grams, tokens, k=k, eos=eos)
        known = np.flatnonzero(contexts >= 0)
        # Less than T · V, which is far from the end of int64.
        keys, places = np.unique((contexts[known] - first) * V + tokens[known], return_inverse=True)
        words.append((keys % V).astype(words_of))
        lengths = np.bincount(keys // V, minlength=end - first)
        starts.append((end - V + np.cumsum(lengths)).astype(np.int32))
        counts.append(np.bincount(places, minlength=len(keys)))
        endings.append(np.empty(len(keys), dtype=np.int64))
        endings[-1][places] = grams[known]
        first, end = end, end + len(keys)
        grams = _at(known, first + places, length=len(tokens))
    ngrams = Ngrams(np.concatenate(words), np.concatenate(starts), vocabulary_size=V, order=order)
    return Counted(ngrams, np.concatenate(counts), np.concatenate(endings))


def look_up(tokens: TokenArray, ngrams: Ngrams, *, eos: int) -> Iterator[tuple[TokenArray, TokenArray, TokenArray]]:
    """The n-grams of a stream of posts, for k = 2 … n: which tokens have a context that was counted, its id, and the
    id of the k-gram that ends there, -1 where it was not counted: three times [M] int64.
    """
    grams = tokens
    for k in range(2, ngrams.order + 1):
        contexts = _contexts(grams, tokens, k=k, eos=eos)
        known = np.flatnonzero(contexts >= 0)
        ids = ngrams.find(contexts[known], tokens[known])
        yield known, contexts[known], ids
        grams = _at(known, ids, length=len(tokens))


def initial_state(batch_size: int, ngrams: Ngrams) -> NgramState:
    """Rows that have read nothing."""
    return NgramState(np.full((batch_size, ngrams.order - 1), UNSEEN, dtype=np.int64))


def read(tokens: TokenArray, state: NgramState, ngrams: Ngrams, *, eos: int) -> NgramState:
    """The state after one more token a row: [B] int64."""
    grams = np.empty_like(state.grams)
    grams[:, :1] = tokens[:, np.newaxis]
    if ngrams.order > 2:
        longer = ngrams.find(state.grams[:, :-1].ravel(), tokens.repeat(ngrams.order - 2))
        grams[:, 1:] = longer.reshape(len(tokens), -1)
        grams[tokens == eos, 1:] = UNSEEN  # after `<eos>` nothing longer than `<eos>` itself is remembered
    return NgramState(grams)


def read_tables(
    path: Path, names: frozenset[str], *, wanted_format: str
) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Header and arrays of a file of n-gram tables, mapped. Raises ArtifactError, also where it holds other tables."""
    try:
        metadata, arrays = mapped.read(path)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read as n-gram tables: {error}.") from error
    if metadata.get("format") != wanted_format:
        raise ArtifactError(
            f"{path} has format {metadata.get('format')!r}; this version reads format {wanted_format!r}."
            " Train the model again."
        )
    if arrays.keys() != names:
        raise ArtifactError(f"{path} holds the tables {sorted(arrays)}, and not {sorted(names)}.")
    return metadata, arrays


def checked(words: NDArray[Any], starts: NDArray[Any], *, vocabulary_size: int, order: int) -> Ngrams:
    """The k-grams that a file says a text has. Raises ValueError where no text has them."""
    if words.dtype != word_type(vocabulary_size) or words.ndim != 1:
        raise ValueError(f"the words are no list of {word_type(vocabulary_size)}")
    if starts.dtype != np.int32 or starts.ndim != 1 or len(starts) == 0:
        raise ValueError("the starts are no list of int32")
    if starts[0] != 0 or starts[-1] != len(words) or np.any(starts[1:] < starts[:-1]):
        raise ValueError(f"the starts do not part {len(words)} words")
    if words.max(initial=0) >= vocabulary_size:
        raise ValueError("a word does not exist")
    ngrams = Ngrams(words, starts, vocabulary_size=vocabulary_size, order=order)
    _check_levels(ngrams)
    _check_ascending(ngrams)
    return ngrams


def sums_by_context(
    values: NDArray[Any], ngrams: Ngrams, *, dtype: type[np.number[Any]]
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """What belongs to the k-grams of k >= 2 ([N]), summed up for each context: some contexts at a time, and the sum of
    each in `dtype`.
    """
    for begin in range(0, len(ngrams.starts) - 1, _AT_ONCE):
        starts = ngrams.starts[begin : begin + _AT_ONCE + 1]
        sums = np.zeros(len(starts) - 1, dtype=dtype)
        continued = np.flatnonzero(starts[1:] > starts[:-1])
        if len(continued):
            sums[continued] = np.add.reduceat(
                values[starts[0] : starts[-1]], starts[continued] - starts[0], dtype=dtype
            )
        yield slice(begin, begin + len(sums)), sums


def _check_countable(tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> None:
    if not 1 <= order <= LONGEST:
        raise ConfigError(f"order is {order}; n-grams are 1 to {LONGEST} tokens long.")
    if len(tokens) == 0:
        raise CorpusTooSmall("There is nothing to count: the training text is empty.")
    if len(tokens) * order > _MOST_NGRAMS:
        raise CorpusError(
            f"The training text has {len(tokens):,} tokens; at order {order} at most {_MOST_NGRAMS // order:,} can be"
            " counted. Train on fewer posts, or lower the order."
        )
    if tokens.min() < 0 or tokens.max() >= vocabulary_size or tokens[-1] != eos:
        raise ValueError(f"tokens must be ids below {vocabulary_size} and end with {eos}")


def _check_levels(ngrams: Ngrams) -> None:
    """The contexts are the k-grams of k < n, all of them and no others."""
    if not 1 <= ngrams.order <= LONGEST:
        raise ValueError(f"its order is {ngrams.order}")
    n_contexts = len(ngrams.starts) - 1
    end = 0 if ngrams.order == 1 else ngrams.vocabulary_size
    for _ in range(3, ngrams.order + 1):
        if end <= n_contexts:
            end = ngrams.vocabulary_size + int(ngrams.starts[end])
    if end != n_contexts:
        raise ValueError(f"{n_contexts} contexts are not those of order {ngrams.order}")


def _check_ascending(ngrams: Ngrams) -> None:
    """What continues a context is sorted, each word once."""
    ascending = np.ones(len(ngrams) + 1, dtype=bool)
    np.less(ngrams.words[:-1], ngrams.words[1:], out=ascending[1:-1])
    ascending[ngrams.starts] = True  # where a slice begins
    if not ascending.all():
        raise ValueError("the words after a context are not in ascending order")


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
