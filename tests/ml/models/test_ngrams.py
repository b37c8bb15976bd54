"""N-grams as arrays: counted as dictionaries count them, found again, and no id too large."""

from collections import Counter
from typing import Final

import numpy as np
import pytest

from ml.language_model import TokenArray
from ml.models import ngrams
from ml.models.maximum_likelihood import MaximumLikelihood
from tests.ml.models.languages import EOS, V, random_tokens, sentences

START: Final = EOS  # the `<eos>` before a post stands for its start


def counted_by_hand(tokens: TokenArray, k: int) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for sentence in sentences(tokens):
        padded = [START, *sentence]
        found.update(tuple(padded[end - k + 1 : end + 1]) for end in range(max(1, k - 1), len(padded)))
    return found


@pytest.mark.parametrize("posts", [1, 12, 60])
def test_n_grams_are_counted_as_by_hand(posts: int) -> None:
    tokens = random_tokens(1, posts=posts)
    words, levels = ngrams.count(tokens, order=5, vocabulary_size=V, eos=EOS)
    np.testing.assert_array_equal(words, np.bincount(tokens, minlength=V))
    grams: list[tuple[int, ...]] = [(word,) for word in range(V)]
    for k, level in enumerate(levels, start=2):
        shorter = grams
        pairs = zip(level.ngrams.contexts, level.ngrams.words, strict=True)
        grams = [(*shorter[context], int(word)) for context, word in pairs]
        assert dict(zip(grams, level.counts.tolist(), strict=True)) == counted_by_hand(tokens, k)
        assert [shorter[ending] for ending in level.endings] == [gram[1:] for gram in grams]


def test_the_continuations_of_a_context_are_those_that_were_counted() -> None:
    _, (pairs, *_) = ngrams.count(random_tokens(1, posts=60), order=2, vocabulary_size=V, eos=EOS)
    contexts = np.array([V - 1, 7, 3, 7])
    lengths, entries = pairs.ngrams.continuations(contexts)
    assert lengths[0] == 0
    assert lengths.sum() == len(entries)
    for part, context in zip(np.split(entries, np.cumsum(lengths)[:-1]), contexts, strict=True):
        np.testing.assert_array_equal(part, np.flatnonzero(pairs.ngrams.contexts == context))


def test_ids_beyond_32_bits_are_told_apart() -> None:
    """Keys are made of an id and a word; with three million words they are far above 2³²."""
    source = np.random.default_rng(1)
    tokens, test = (np.append(source.integers(0, V, size=size), EOS) for size in (20_000, 2_000))
    many = 3_000_000
    last = ngrams.count(tokens, order=4, vocabulary_size=many, eos=EOS)[1][-1].ngrams
    assert last.keys.max() > 2**33
    scores = [MaximumLikelihood.fit(tokens, order=4, vocabulary_size=size, eos=EOS).score(test) for size in (V, many)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert 0.01 < np.isfinite(scores[0]).mean() < 0.99
