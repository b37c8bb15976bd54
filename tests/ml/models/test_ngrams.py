"""N-grams as arrays: counted as dictionaries count them, found again, and no more than an id can number."""

from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import ArtifactError, ConfigError, CorpusError
from ml.language_model import TokenArray
from ml.models import ngrams
from ml.models.maximum_likelihood import TABLES, MaximumLikelihood
from ml.models.ngrams import UNSEEN, Ngrams
from tests.ml.models.languages import EOS, V, random_tokens, sentences

START: Final = EOS  # the `<eos>` before a post stands for its start


def counted_by_hand(tokens: TokenArray, k: int) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for sentence in sentences(tokens):
        padded = [START, *sentence]
        found.update(tuple(padded[end - k + 1 : end + 1]) for end in range(max(1, k - 1), len(padded)))
    return found


def spelt_out(found: Ngrams) -> list[tuple[int, ...]]:
    """The words of each n-gram, by id."""
    grams: list[tuple[int, ...]] = [(word,) for word in range(found.vocabulary_size)]
    for context, (start, end) in enumerate(zip(found.starts[:-1], found.starts[1:], strict=True)):
        grams += [(*grams[context], int(word)) for word in found.words[start:end]]
    return grams


@pytest.mark.parametrize("posts", [1, 12, 60])
def test_n_grams_are_counted_as_by_hand(posts: int) -> None:
    tokens = random_tokens(1, posts=posts)
    counted = ngrams.count(tokens, order=5, vocabulary_size=V, eos=EOS)
    grams = spelt_out(counted.ngrams)
    np.testing.assert_array_equal(counted.counts[:V], np.bincount(tokens, minlength=V))
    for k, level in enumerate(counted.ngrams.levels[1:], start=2):
        counts = counted.counts[level].tolist()
        assert dict(zip(grams[level], counts, strict=True)) == counted_by_hand(tokens, k)
    assert [grams[ending] for ending in counted.endings] == [gram[1:] for gram in grams[V:]]


def test_n_grams_lie_in_the_order_of_their_words_the_shorter_ones_first() -> None:
    grams = spelt_out(ngrams.count(random_tokens(1, posts=60), order=4, vocabulary_size=V, eos=EOS).ngrams)
    assert grams == sorted(grams, key=lambda gram: (len(gram), gram))


def test_each_n_gram_names_its_context() -> None:
    found = ngrams.count(random_tokens(1, posts=60), order=4, vocabulary_size=V, eos=EOS).ngrams
    grams = spelt_out(found)
    for shorter, own in zip(found.levels[:-1], found.levels[1:], strict=True):
        contexts = found.contexts(shorter)
        assert [grams[shorter][context] for context in contexts] == [gram[:-1] for gram in grams[own]]


@pytest.mark.parametrize(("vocabulary_size", "width"), [(V, 2), (2**16, 2), (2**16 + 1, 4), (3_000_000, 4)])
def test_an_n_gram_takes_no_more_room_than_its_word_needs(vocabulary_size: int, width: int) -> None:
    tokens = np.array([3, vocabulary_size - 1, 3, EOS])
    found = ngrams.count(tokens, order=3, vocabulary_size=vocabulary_size, eos=EOS).ngrams
    assert (found.words.dtype.kind, found.words.itemsize, found.starts.itemsize) == ("u", width, 4)
    assert vocabulary_size - 1 in found.words


def test_the_continuations_of_a_context_are_those_that_were_counted() -> None:
    found = ngrams.count(random_tokens(1, posts=60), order=3, vocabulary_size=V, eos=EOS).ngrams
    grams = spelt_out(found)
    contexts = np.array([V - 1, 7, UNSEEN, 3, 7, V + 5])
    lengths, places = found.continuations(contexts)
    assert lengths[0] == lengths[2] == 0
    assert lengths.sum() == len(places)
    np.testing.assert_array_equal(found.continued(contexts), lengths)
    for part, context in zip(np.split(places, np.cumsum(lengths)[:-1]), contexts, strict=True):
        wanted = [gram for gram in grams if context != UNSEEN and gram[:-1] == grams[context]]
        assert [grams[V + place] for place in part] == wanted


@given(
    posts=st.integers(1, 80),
    order=st.integers(2, 5),
    rows=st.integers(1, 4).flatmap(
        lambda scale: st.lists(
            st.tuples(st.integers(-1, 10_000), st.integers(0, V - 1)), min_size=scale, max_size=8 * scale
        )
    ),
)
def test_what_is_found_is_what_a_dictionary_finds(posts: int, order: int, rows: list[tuple[int, int]]) -> None:
    """One by one or all at once: `find` goes two ways."""
    found = ngrams.count(random_tokens(1, posts=posts), order=order, vocabulary_size=V, eos=EOS).ngrams
    grams = spelt_out(found)
    ids = {gram: number for number, gram in enumerate(grams)}
    n_contexts = len(found.starts) - 1
    contexts = [min(context, context % n_contexts) for context, _ in rows]
    wanted = [
        ids.get((*grams[context], word), UNSEEN) if context != UNSEEN else UNSEEN
        for context, (_, word) in zip(contexts, rows, strict=True)
    ]
    told = found.find(np.array(contexts), np.array([word for _, word in rows]))
    assert told.dtype == np.int64
    assert told.tolist() == wanted


@pytest.mark.parametrize("order", [2, 5])
def test_every_n_gram_is_found_and_no_other(order: int) -> None:
    found = ngrams.count(random_tokens(1, posts=200), order=order, vocabulary_size=V, eos=EOS).ngrams
    n_contexts = len(found.starts) - 1
    contexts, words = (axis.ravel() for axis in np.mgrid[-1:n_contexts, 0:V])
    told = found.find(contexts, words)
    np.testing.assert_array_equal(np.sort(told[told >= 0]), np.arange(V, V + len(found)))
    np.testing.assert_array_equal(found.words[told[told >= 0] - V], words[told >= 0])
    by_few = [found.find(contexts[at : at + 5], words[at : at + 5]) for at in range(0, len(words), 5)]
    np.testing.assert_array_equal(np.concatenate(by_few), told)


@pytest.mark.parametrize("rows", [1, 50])
def test_where_nothing_was_counted_nothing_is_found(rows: int) -> None:
    empty = ngrams.count(np.array([EOS]), order=3, vocabulary_size=V, eos=EOS).ngrams
    assert len(empty) == 1  # `<eos>` after the start
    no_pairs = Ngrams(empty.words[:0], empty.starts * 0, vocabulary_size=V, order=3)
    for found in (empty, no_pairs):
        assert set(found.find(np.full(rows, 7), np.full(rows, 3)).tolist()) == {UNSEEN}


def test_ids_beyond_32_bits_are_told_apart() -> None:
    """While counting, a context and a word make one number; with three million words it is far above 2³²."""
    source = np.random.default_rng(1)
    tokens, test = (np.append(source.integers(0, V, size=size), EOS) for size in (20_000, 2_000))
    many = 3_000_000
    scores = [MaximumLikelihood.fit(tokens, order=4, vocabulary_size=size, eos=EOS).score(test) for size in (V, many)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert 0.01 < np.isfinite(scores[0]).mean() < 0.99


def test_what_cannot_be_numbered_is_refused() -> None:
    endless = np.broadcast_to(np.int64(EOS), (2**30,))
    with pytest.raises(CorpusError, match=r"at order 3 at most 715,827,882 can be counted\. Train on fewer posts"):
        ngrams.count(endless, order=3, vocabulary_size=V, eos=EOS)
    with pytest.raises(ConfigError, match="order is 65; n-grams are 1 to 64 tokens long"):
        ngrams.count(np.array([EOS]), order=65, vocabulary_size=V, eos=EOS)


def test_tables_of_an_older_version_are_told_from_broken_ones(tmp_path: Path) -> None:
    MaximumLikelihood.fit(np.array([EOS]), order=2, vocabulary_size=V, eos=EOS).save(tmp_path)
    path = next(tmp_path.iterdir())
    assert ngrams.read_tables(path, TABLES, wanted_format="2")[0]["format"] == "2"
    with pytest.raises(ArtifactError, match=r"has format '2'; this version reads format '3'.*Train the model"):
        ngrams.read_tables(path, TABLES, wanted_format="3")
