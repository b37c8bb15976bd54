"""Interpolated modified Kneser-Ney of any order, as sorted arrays: a LanguageModel learnt by counting.

    p(w | h) = max(c(hw) - D(c(hw)), 0) / Σ c(h·)  +  γ(h) · p(w | h without its first word)

c is how often the n-gram stands in the text for the longest n-grams, and in how many different contexts it stands
for shorter ones; γ(h) gives away what the discounts D took. The shortest distribution is mixed with the uniform one.

A post is a sentence. Its first word is read after one `<eos>`, which stands for the start of a post, and no context
reaches further back. An n-gram that begins there has nothing before it to be counted, so its own count is taken.

Source: Chen & Goodman 1999, §3; the start of a sentence as in SRILM (ngram-discount(7)) and KenLM (Heafield et al.
2013, §3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml.errors import ArtifactError, ConfigError, CorpusTooSmall
from ml.language_model import FloatArray, TokenArray

FILE_NAME: Final = "kneser_ney.safetensors"
FORMAT: Final = "1"

# Where a corpus is too small to estimate discounts from (no n-gram with count 1, 2, 3 or 4, or an estimate that is not
# positive), these are taken for that order; they are what KenLM falls back to.
FALLBACK_DISCOUNTS: Final = (0.5, 1.0, 1.5)

_UNSEEN: Final = -1
_TOLERANCE: Final = 1e-3  # float32 sums of a context with some thousand continuations stay well below


@dataclass(frozen=True, slots=True)
class KneserNeyState:
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
class _Level:
    """All k-grams of one length k >= 2; a k-gram's id is its place.

    keys: [N] int64, id of the (k-1)-gram it begins with · V + last word; sorted, so that the continuations of a
    context are a slice. discounted: [N] float32, (c - D(c)) / Σ c(h·). backoff: [N of k-1] float32, γ of each context.
    words: [N] int64 and starts: [N of k-1, plus 1] int64 say the same as keys, for slicing.
    """

    keys: TokenArray
    discounted: FloatArray
    backoff: FloatArray
    words: TokenArray
    starts: TokenArray

    @classmethod
    def of(cls, keys: TokenArray, *, discounted: FloatArray, backoff: FloatArray, vocabulary_size: int) -> Self:
        starts = np.searchsorted(keys, np.arange(len(backoff) + 1, dtype=np.int64) * vocabulary_size)
        return cls(keys, discounted, backoff, words=keys % vocabulary_size, starts=starts)

    def find(self, keys: TokenArray) -> TokenArray:
        """Ids of the k-grams with these keys, -1 where there is none. keys: [M] int64 → [M] int64."""
        if not len(self.keys):
            return np.full(len(keys), _UNSEEN, dtype=np.int64)
        places = np.searchsorted(self.keys, keys)
        places[places == len(self.keys)] = 0
        return np.where(self.keys[places] == keys, places, _UNSEEN)


class KneserNey:
    """Modified Kneser-Ney over V tokens. Reads no clock, keeps no history: a state is passed in and returned."""

    def __init__(self, unigrams: FloatArray, levels: Sequence[_Level], *, eos: int) -> None:
        """unigrams: [V] float32 probabilities; levels: the k-grams of k = 2 … n. Use `fit` or `load`."""
        self._unigrams = unigrams
        self._levels = tuple(levels)
        self._eos = eos

    @classmethod
    def fit(cls, tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int) -> Self:
        """Count a training text.

        tokens: [T] int64, the posts one after the other, each closed by `eos`; order: n, the longest n-gram.

        Raises ConfigError for an order below 1, CorpusTooSmall for an empty text, ValueError for tokens that are no
        posts over this vocabulary.
        """
        if order < 1:
            raise ConfigError(f"order is {order}; the shortest n-gram is 1.")
        if len(tokens) == 0:
            raise CorpusTooSmall("There is nothing to count: the training text is empty.")
        if tokens.min() < 0 or tokens.max() >= vocabulary_size or tokens[-1] != eos:
            raise ValueError(f"tokens must be ids below {vocabulary_size} and end with {eos}")
        keys, counts = _count(tokens, order=order, vocabulary_size=vocabulary_size, eos=eos)
        discounted, left_over = _discount(counts[0], np.zeros(vocabulary_size, dtype=np.int64), n_contexts=1)
        unigrams = (discounted + left_over / vocabulary_size).astype(np.float32)
        levels = []
        for level_keys, shorter, count in zip(keys, counts[:-1], counts[1:], strict=True):
            discounted, backoff = _discount(count, level_keys // vocabulary_size, n_contexts=len(shorter))
            levels.append(
                _Level.of(
                    level_keys,
                    discounted=discounted.astype(np.float32),
                    backoff=backoff.astype(np.float32),
                    vocabulary_size=vocabulary_size,
                )
            )
        return cls(unigrams, levels, eos=eos)

    @property
    def order(self) -> int:
        """n: a token is predicted from the n-1 before it."""
        return len(self._levels) + 1

    @property
    def vocabulary_size(self) -> int:
        return len(self._unigrams)

    @property
    def parameters(self) -> int:
        """How many numbers are stored: unigram probabilities; key, probability and backoff of the longer n-grams."""
        return len(self._unigrams) + sum(2 * len(level.keys) + len(level.backoff) for level in self._levels)

    def initial_state(self, batch_size: int) -> KneserNeyState:
        return KneserNeyState(np.full((batch_size, self.order - 1), _UNSEEN, dtype=np.int64))

    def step(self, tokens: TokenArray, state: KneserNeyState) -> tuple[FloatArray, KneserNeyState]:
        """Read one token a row: [B] int64 → log-probabilities [B, V] float32 of the next, and the state after it."""
        state = self._read(tokens, state)
        weights = np.ones(len(tokens))  # [B] what the longer contexts leave to the shorter ones
        found = []
        for level, contexts in zip(reversed(self._levels), reversed(state.grams.T), strict=True):
            rows = np.flatnonzero(contexts >= 0)
            found.append((level, rows, contexts[rows], weights[rows]))
            weights[rows] *= level.backoff[contexts[rows]]
        # float64: the weights of several well-known contexts multiply to numbers too small for float32 to hold well.
        probabilities = np.multiply.outer(weights, self._unigrams.astype(np.float64))  # [B, V]
        for level, rows, contexts, weight in found:
            lengths = level.starts[contexts + 1] - level.starts[contexts]
            entries = _concatenated_ranges(level.starts[contexts], lengths)
            # A word continues a context only once, so no place is added to twice.
            probabilities[np.repeat(rows, lengths), level.words[entries]] += (
                np.repeat(weight, lengths) * level.discounted[entries]
            )
        return np.log(probabilities).astype(np.float32), state

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts: [T] int64 → [T] float32."""
        probabilities = self._unigrams[tokens].astype(np.float64)
        grams = tokens
        for k, level in enumerate(self._levels, start=2):
            contexts = _contexts(grams, tokens, k=k, eos=self._eos)
            known = np.flatnonzero(contexts >= 0)
            contexts = contexts[known]
            ids = level.find(contexts * self.vocabulary_size + tokens[known])
            seen = np.flatnonzero(ids >= 0)
            probabilities[known] *= level.backoff[contexts]
            probabilities[known[seen]] += level.discounted[ids[seen]]
            grams = np.full(len(tokens), _UNSEEN, dtype=np.int64)
            grams[known] = ids
        return np.log(probabilities).astype(np.float32)

    def save(self, directory: Path) -> None:
        """Write `kneser_ney.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[np.generic]] = {"unigrams": self._unigrams}
        for k, level in enumerate(self._levels, start=2):
            arrays |= {f"keys.{k}": level.keys, f"discounted.{k}": level.discounted, f"backoff.{k}": level.backoff}
        metadata = {"format": FORMAT, "order": str(self.order), "eos": str(self._eos)}
        save_file(arrays, directory / FILE_NAME, metadata=metadata)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read and check a saved model.

        Raises ArtifactError when the file is missing, broken, of another format, or no distribution.
        """
        path = directory / FILE_NAME
        metadata, arrays = _read_arrays(path)
        if metadata.get("format") != FORMAT:
            raise ArtifactError(f"{path} has format {metadata.get('format')!r}; this version reads format {FORMAT!r}.")
        try:
            eos, unigrams = int(metadata["eos"]), arrays["unigrams"]
            _check_unigrams(unigrams, eos=eos)
            levels: list[_Level] = []
            n_contexts = len(unigrams)
            for k in range(2, int(metadata["order"]) + 1):
                keys, discounted, backoff = (arrays[f"{name}.{k}"] for name in ("keys", "discounted", "backoff"))
                _check_level(keys, discounted, backoff=backoff, n_contexts=n_contexts, vocabulary_size=len(unigrams))
                levels.append(_Level.of(keys, discounted=discounted, backoff=backoff, vocabulary_size=len(unigrams)))
                n_contexts = len(keys)
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}.") from error
        except ValueError as error:
            raise ArtifactError(f"{path} holds no model: {error}.") from error
        return cls(unigrams, levels, eos=eos)

    def _read(self, tokens: TokenArray, state: KneserNeyState) -> KneserNeyState:
        grams = np.full_like(state.grams, _UNSEEN)
        grams[:, :1] = tokens[:, np.newaxis]
        inside = tokens != self._eos  # after `<eos>` nothing longer than `<eos>` itself is remembered
        for k, level in enumerate(self._levels[:-1], start=2):
            contexts = state.grams[:, k - 2]
            rows = np.flatnonzero(inside & (contexts >= 0))
            grams[rows, k - 1] = level.find(contexts[rows] * self.vocabulary_size + tokens[rows])
        return KneserNeyState(grams)


def discounts(counts: TokenArray) -> tuple[float, float, float]:
    """D(1), D(2) and D(3 or more), estimated from how many n-grams have count 1, 2, 3, 4.

    Source: Chen & Goodman 1999, §3; FALLBACK_DISCOUNTS where they cannot be worked out.
    """
    n1, n2, n3, n4 = (int(n) for n in np.bincount(np.minimum(counts, 5), minlength=5)[1:5])
    if not (n1 and n2 and n3 and n4):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    estimated = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return estimated if min(estimated) > 0 else FALLBACK_DISCOUNTS


def _contexts(grams: TokenArray, tokens: TokenArray, *, k: int, eos: int) -> TokenArray:
    """What stands before each token, as the id of a (k-1)-gram: [T] int64, -1 where there is none.

    grams: [T] int64, ids of the (k-1)-grams that end at each token.
    """
    begins_post = np.concatenate(([True], tokens[:-1] == eos))[: len(tokens)]
    before = np.concatenate(([_UNSEEN], grams[:-1]))[: len(tokens)]
    contexts: TokenArray = np.where(begins_post, eos if k == 2 else _UNSEEN, before)
    return contexts


def _count(
    tokens: TokenArray, *, order: int, vocabulary_size: int, eos: int
) -> tuple[list[TokenArray], list[TokenArray]]:
    """Keys of the k-grams of k = 2 … n, and the counts of the k-grams of k = 1 … n that the equation calls c."""
    all_keys, adjusted = [], []
    grams = tokens
    counts = np.bincount(tokens, minlength=vocabulary_size)
    for k in range(2, order + 1):
        contexts = _contexts(grams, tokens, k=k, eos=eos)
        known = np.flatnonzero(contexts >= 0)
        keys, ids = np.unique(contexts[known] * vocabulary_size + tokens[known], return_inverse=True)
        endings = np.empty(len(keys), dtype=np.int64)  # the (k-1)-gram with which each k-gram ends
        endings[ids] = grams[known]
        n_contexts = np.bincount(endings, minlength=len(counts))
        adjusted.append(np.where(n_contexts > 0, n_contexts, counts))  # 0: it begins the post
        all_keys.append(keys)
        counts = np.bincount(ids, minlength=len(keys))
        grams = np.full(len(tokens), _UNSEEN, dtype=np.int64)
        grams[known] = ids
    return all_keys, [*adjusted, counts]


def _discount(
    counts: TokenArray, contexts: TokenArray, *, n_contexts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Discounted relative frequencies [N] and what each context has left over [n_contexts] (1 where it is unknown).

    counts: [N] int64, c of each n-gram; contexts: [N] int64, which context each continues.
    """
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, weights=counts, minlength=n_contexts)
    left_over = np.ones(n_contexts)
    np.divide(np.bincount(contexts, weights=taken, minlength=n_contexts), totals, out=left_over, where=totals > 0)
    return (counts - taken) / totals[contexts], left_over


def _concatenated_ranges(starts: TokenArray, lengths: TokenArray) -> TokenArray:
    """starts[0] … starts[0]+lengths[0]-1, starts[1] …: [sum of lengths] int64."""
    ends = np.cumsum(lengths)
    entries: TokenArray = np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths)
    return entries


def _read_arrays(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} cannot be read as n-gram tables: {error}.") from error


def _check_unigrams(unigrams: NDArray[Any], *, eos: int) -> None:
    _check_floats(unigrams, "unigrams", length=unigrams.size)
    if not 0 <= eos < len(unigrams):
        raise ValueError(f"<eos> is {eos} in a vocabulary of {len(unigrams)}")
    if unigrams.min() <= 0 or abs(float(unigrams.sum(dtype=np.float64)) - 1) > _TOLERANCE:
        raise ValueError("the unigrams are no distribution over the whole vocabulary")


def _check_level(
    keys: NDArray[Any], discounted: NDArray[Any], *, backoff: NDArray[Any], n_contexts: int, vocabulary_size: int
) -> None:
    if keys.dtype != np.int64 or keys.ndim != 1 or np.any(keys[1:] <= keys[:-1]):
        raise ValueError("the keys are not int64 in ascending order")
    if len(keys) and (keys[0] < 0 or keys[-1] >= n_contexts * vocabulary_size):
        raise ValueError("a key names a context or a word that does not exist")
    _check_floats(discounted, "discounted", length=len(keys))
    _check_floats(backoff, "backoff", length=n_contexts)
    sums = np.bincount(keys // vocabulary_size, weights=discounted, minlength=n_contexts) + backoff
    if np.any(np.abs(sums - 1) > _TOLERANCE) or np.any(backoff <= 0) or np.any(discounted < 0):
        raise ValueError("the continuations of a context and its backoff do not sum to one")


def _check_floats(array: NDArray[Any], name: str, *, length: int) -> None:
    if array.dtype != np.float32 or array.shape != (length,) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} is not {length} finite float32 numbers")
