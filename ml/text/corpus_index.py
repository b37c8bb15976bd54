"""CorpusIndex: how long a run of a text's words stands in one post of the corpus. A suffix array over hashed words.

Words are stored as 64-bit hashes: no text can be read in the file. It is no secret either, since whoever guesses a word
can hash it.

Source: Manber & Myers 1993 (suffix arrays, prefix doubling); a suffix here ends where its post ends.
"""

import json
import math
import mmap
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml.errors import ArtifactError
from ml.text.folding import folded, folded_words

FILE_NAME: Final = "corpus_index.safetensors"
FORMAT: Final = "1"
_END: Final = 0
"""The id that closes a post; words have 1 … V."""

_BYTES: Final = 4  # of an id, the most significant first, so that ids compare as bytes do
_ADVICE: Final = "Train the model again."
_MOST_WORDS: Final = 2**31 - 1
_DTYPES: Final = {"U64": "<u8", "I32": "<i4", "U8": "|u1"}  # as safetensors calls them, and numpy

Hashes: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.int32]


class CorpusIndex:
    """The posts that a model learnt from, to tell what of a text is copied from them. Read by any number of threads.

    vocabulary: [V] uint64, hashes of the distinct words, ascending; a word's id is its place plus 1. tokens: [T, 4]
    uint8, ids as big-endian bytes, each post closed by 0. suffixes: [T - posts] int32, the places of all words, in the
    order of what follows up to the end of the post. posts: [P] uint64, hashes of the whole posts, ascending.

    Raises ValueError for arrays that are no such index.
    """

    def __init__(self, vocabulary: Hashes, tokens: NDArray[np.uint8], *, suffixes: Places, posts: Hashes) -> None:
        ids = _checked_ids(vocabulary, tokens, posts=posts)
        counts = np.bincount(ids, minlength=len(vocabulary) + 1)[1:]
        _check_suffixes(suffixes, ids, counts=counts)
        self._vocabulary, self._tokens, self._suffixes, self._posts = vocabulary, tokens, suffixes, posts
        # Suffixes that begin with word w lie in [bounds[w - 1], bounds[w]).
        self._bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.int32).data
        self._bytes = np.ascontiguousarray(tokens).ravel().data
        self._places = suffixes.data

    @classmethod
    def of(cls, posts: Iterable[str]) -> Self:
        """Index posts. O(T log² T) for T words, in numpy. Raises ValueError beyond two thousand million words."""
        texts = list(posts)
        words = [post for text in texts if (post := folded_words(text))]
        hashes = {word: _hash(word) for word in set(chain.from_iterable(words))}
        vocabulary = _ascending(hashes.values())
        ids_of = dict(zip(hashes, np.searchsorted(vocabulary, _array(hashes.values())) + 1, strict=True))
        ids = np.fromiter((i for post in words for i in (*map(ids_of.__getitem__, post), _END)), dtype=np.int64)
        if len(ids) > _MOST_WORDS:
            raise ValueError(f"{len(ids)} words are more than an index of {_MOST_WORDS} holds")
        return cls(
            vocabulary,
            _as_bytes(ids),
            suffixes=_suffix_array(ids),
            posts=_ascending(_hash(folded(text)) for text in texts),
        )

    def holds(self, text: str) -> bool:
        """Whether the text is a post, apart from case and blanks."""
        wanted = np.uint64(_hash(folded(text)))
        place = np.searchsorted(self._posts, wanted)
        return bool(place < len(self._posts) and self._posts[place] == wanted)

    def longest_run(self, text: str) -> int:
        """How many consecutive words of the text stand in one post; a character of a script without blanks is one."""
        return len(self.longest_match(folded_words(text)))

    def copied_share(self, text: str) -> float:
        """The longest run over all words of the text; 0 where there is no word."""
        words = folded_words(text)
        return len(self.longest_match(words)) / max(1, len(words))

    def longest_match(self, words: Sequence[str], *, above: int = 0) -> range:
        """Which of these folded words are the (first) longest run that stands in one post: their places.

        above: a run of no more words than this is of no interest; not to look for it is several times as fast.
        """
        pattern = self._encode(words)
        best, length, begin = range(0), above, 0
        while (end := begin + length + 1) <= len(words):
            # Is the later half unknown, then so is every window that holds it: most windows fall here.
            middle = begin + length // 2
            if not self._stands(pattern, middle, end):
                begin = middle + 1
            elif middle == begin or self._stands(pattern, begin, end):
                best = range(begin, end)
                length = len(best)
            else:
                begin += 1
        return best

    def _encode(self, words: Sequence[str]) -> bytes:
        """The ids of words as bytes; V + 1, which no post holds, for those that are not in the vocabulary."""
        size = len(self._vocabulary)
        hashes = _array(map(_word_hash, words))
        places = np.searchsorted(self._vocabulary, hashes)
        known = np.zeros(len(words), dtype=np.bool_)
        if size:
            known = self._vocabulary[np.minimum(places, size - 1)] == hashes
        return _as_bytes(np.where(known, places, size) + 1).tobytes()

    def _stands(self, pattern: bytes, begin: int, end: int) -> bool:
        """Whether the words begin … end - 1 of the pattern stand one after the other in a post."""
        wanted = pattern[begin * _BYTES : end * _BYTES]
        word = int.from_bytes(wanted[:_BYTES])
        if word == len(self._bounds):
            return False
        low, high = self._bounds[word - 1], self._bounds[word]
        size, text, places = len(wanted), self._bytes, self._places

        def suffix(place: int) -> bytes:
            return bytes(text[place * _BYTES : place * _BYTES + size])

        # Where a post ends stands 0, below any word: what follows in the next post never decides.
        found = bisect_left(places, wanted, low, high, key=suffix)
        return found < high and suffix(places[found]) == wanted

    def save(self, directory: Path) -> None:
        """Write `corpus_index.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[np.generic]] = {
            "vocabulary": self._vocabulary,
            "tokens": self._tokens,
            "suffixes": self._suffixes,
            "posts": self._posts,
        }
        save_file(arrays, directory / FILE_NAME, metadata={"format": FORMAT})

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Map a saved index into memory and check it. Raises ArtifactError when it is missing, broken or altered."""
        path = directory / FILE_NAME
        arrays = _mapped(path)
        try:
            names = ("vocabulary", "tokens", "suffixes", "posts")
            vocabulary, tokens, suffixes, posts = (arrays[name] for name in names)
            return cls(vocabulary, tokens, suffixes=suffixes, posts=posts)
        except KeyError as error:
            raise ArtifactError(f"{path} lacks {error}. {_ADVICE}") from error
        except ValueError as error:
            raise ArtifactError(f"{path} holds no index of a corpus: {error}. {_ADVICE}") from error


def _hash(text: str) -> int:
    """64 bits, the same in every process. `surrogatepass`: no text of a caller's may make this fail."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


_word_hash: Final = lru_cache(maxsize=100_000)(_hash)


def _array(hashes: Iterable[int]) -> Hashes:
    return np.fromiter(hashes, dtype=np.uint64)


def _ascending(hashes: Iterable[int]) -> Hashes:
    return np.unique(_array(hashes))


def _as_bytes(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[T] int64 → [T, 4] uint8, the most significant byte first."""
    return ids.astype(">u4").view(np.uint8).reshape(-1, _BYTES)


def _suffix_array(ids: NDArray[np.int64]) -> Places:
    """Places of all words in the order of what follows, up to the end of their post: [T] int64 → [T - posts] int32.

    Prefix doubling: when the suffixes are in order by their first k words, the ranks of a suffix and of the one k words
    later put it in order by 2k. Only suffixes that still share their rank are sorted again.
    """
    places = np.flatnonzero(ids != _END)
    ends = np.flatnonzero(ids == _END)
    left = ends[np.searchsorted(ends, places)] - places  # words up to the end of the post
    order = np.argsort(ids[places])
    keys = ids[places[order]]
    ranks = np.zeros(len(ids), dtype=np.int64)  # of the end of a post: before any word
    ranks[places[order]] = _ranks(keys, np.arange(len(order)))
    slots, k = np.flatnonzero(_shared(keys)), 1
    while len(slots):
        rows = order[slots]
        # What ends within k words has nothing later; the place beyond may not even exist.
        later = np.where(left[rows] > k, ranks[np.minimum(places[rows] + k, len(ids) - 1)], _END)
        keys = ranks[places[rows]] * (len(ids) + 1) + later
        arranged = np.argsort(keys)
        rows, keys, later = rows[arranged], keys[arranged], later[arranged]
        order[slots] = rows
        ranks[places[rows]] = _ranks(keys, slots)
        # Suffixes that are the same to the end of their posts stay so.
        slots = slots[_shared(keys) & (later != _END)]
        k *= 2
    return places[order].astype(np.int32)


def _ranks(keys: NDArray[np.int64], slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted keys in these slots of the whole order → the first slot of each group of equals, plus 1."""
    first = np.concatenate(([True], keys[1:] != keys[:-1]))[: len(keys)]
    groups = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    ranks: NDArray[np.int64] = slots[groups] + 1
    return ranks


def _shared(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the sorted keys stand beside an equal one."""
    same = keys[1:] == keys[:-1]
    shared: NDArray[np.bool_] = np.append(same, False) | np.insert(same, 0, False)
    return shared[: len(keys)]


def _checked_ids(vocabulary: Hashes, tokens: NDArray[np.uint8], *, posts: Hashes) -> NDArray[np.int64]:
    """[T, 4] uint8 → [T] int64. Raises ValueError."""
    for name, hashes in (("vocabulary", vocabulary), ("posts", posts)):
        if hashes.dtype != np.uint64 or hashes.ndim != 1 or np.any(hashes[1:] <= hashes[:-1]):
            raise ValueError(f"{name} is not uint64 in ascending order")
    if tokens.dtype != np.uint8 or tokens.ndim != 2 or tokens.shape[1] != _BYTES:
        raise ValueError("tokens are not four bytes each")
    ids = np.ascontiguousarray(tokens).view(">u4").astype(np.int64).ravel()
    if len(ids) and (ids.max() > len(vocabulary) or ids[-1] != _END):
        raise ValueError("a token is no word of the vocabulary, or the last post is not closed")
    return ids


def _check_suffixes(suffixes: Places, ids: NDArray[np.int64], *, counts: NDArray[np.int64]) -> None:
    """Every place exists, and first words ascend. Whether what follows them does would take as long as sorting."""
    if suffixes.dtype != np.int32 or suffixes.shape != (counts.sum(),):
        raise ValueError("suffixes are not an int32 for each word")
    if len(suffixes) and (suffixes.min() < 0 or suffixes.max() >= len(ids)):
        raise ValueError("a suffix begins outside the posts")
    if not np.array_equal(ids[suffixes], np.repeat(np.arange(1, len(counts) + 1), counts)):
        raise ValueError("the suffixes are not in order")


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, read where they are used: an index of a large corpus takes no memory of its own.

    Raises ArtifactError.
    """
    try:
        with safe_open(path, framework="numpy") as file:  # checks that header and size of the file agree
            metadata = file.metadata() or {}
        with path.open("rb") as stream:
            header_size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(header_size))
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path} cannot be read as an index of a corpus: {error}. {_ADVICE}") from error
    if metadata.get("format") != FORMAT:
        raise ArtifactError(
            f"{path} has format {metadata.get('format')!r}; this version reads format {FORMAT!r}. {_ADVICE}"
        )
    return {
        name: _array_at(mapped, entry, data=8 + header_size)
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] in _DTYPES
    }


def _array_at(mapped: mmap.mmap, entry: dict[str, Any], *, data: int) -> NDArray[Any]:
    shape = entry["shape"]
    array = np.frombuffer(
        mapped, _DTYPES[entry["dtype"]], count=math.prod(shape), offset=data + entry["data_offsets"][0]
    )
    return np.require(array.reshape(shape), requirements="A")
