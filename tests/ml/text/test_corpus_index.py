"""The index says of every text what looking through all posts would say."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ml.errors import ArtifactError
from ml.text.corpus_index import FILE_NAME, CorpusIndex
from ml.text.folding import folded_words

POSTS = ["The cat sat on the mat.", "On the mat, the dog sat down!", "Good night.", "今日はいい天気です"]


def longest_run(text: str, posts: list[str]) -> int:
    """The slow twin: every run of every post."""
    runs = {
        tuple(words[begin:end])
        for words in map(folded_words, posts)
        for begin in range(len(words))
        for end in range(begin + 1, len(words) + 1)
    }
    words = folded_words(text)
    found = (
        end - begin
        for begin in range(len(words))
        for end in range(begin + 1, len(words) + 1)
        if tuple(words[begin:end]) in runs
    )
    return max(found, default=0)


FEW_WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "!"]), max_size=12).map(" ".join)


@given(posts=st.lists(FEW_WORDS, max_size=12), text=FEW_WORDS, above=st.integers(0, 5))
def test_the_longest_run_is_that_of_a_search_through_all_posts(posts: list[str], text: str, above: int) -> None:
    index, expected = CorpusIndex.of(posts), longest_run(text, posts)
    assert index.longest_run(text) == expected
    match = index.longest_match(folded_words(text), above=above)
    assert len(match) == (expected if expected > above else 0)


def test_long_texts_of_real_words_agree_with_the_search_too(small_corpus: list[str]) -> None:
    index = CorpusIndex.of(small_corpus[:40])
    for text in (" ".join(small_corpus[i : i + 3]) for i in range(0, 120, 3)):
        assert index.longest_run(text) == longest_run(text, small_corpus[:40])


@pytest.mark.parametrize(
    ("text", "run", "share"),
    [
        ("THE CAT sat — on a mat", 4, 4 / 6),
        ("on the mat the cat sat", 4, 4 / 6),  # "on the mat the" stands in one post; the rest in another
        ("sat. Good night", 2, 2 / 3),  # a run does not go on from one post to the next
        ("今日は雨です", 3, 3 / 6),
        ("nothing of it", 0, 0),
        ("?!", 0, 0),
        ("", 0, 0),
    ],
)
def test_a_run_ends_where_its_post_ends(text: str, run: int, share: float) -> None:
    index = CorpusIndex.of(POSTS)
    assert index.longest_run(text) == run
    assert index.copied_share(text) == pytest.approx(share)


def test_the_longest_match_tells_where_it_stands() -> None:
    words = folded_words("so the cat sat down")
    match = CorpusIndex.of(POSTS).longest_match(words)
    assert words[match.start : match.stop] == ["the", "cat", "sat"]


def test_a_whole_post_is_held_apart_from_case_and_blanks() -> None:
    index = CorpusIndex.of(POSTS)
    assert index.holds("good  NIGHT.")
    assert index.holds(POSTS[3])
    assert not index.holds("Good night!")
    assert not index.holds("Good")


@pytest.mark.parametrize("posts", [[], [""], ["!!!", "…"], ["a"], ["a", "a"], ["a " * 500] * 3])
def test_corpora_at_the_edge_are_indexed_and_come_back(posts: list[str], tmp_path: Path) -> None:
    CorpusIndex.of(posts).save(tmp_path)
    index = CorpusIndex.load(tmp_path)
    assert index.longest_run("a b") == (1 if "a" in "".join(posts) else 0)
    assert index.longest_run("a " * 600) == max((len(folded_words(post)) for post in posts), default=0)
    assert all(index.holds(post) for post in posts)
    assert not index.holds("b")


def test_an_index_that_was_saved_says_the_same(tmp_path: Path, small_corpus: list[str]) -> None:
    index = CorpusIndex.of(small_corpus[:50])
    index.save(tmp_path)
    loaded = CorpusIndex.load(tmp_path)
    for text in small_corpus:
        assert loaded.longest_run(text) == index.longest_run(text)
        assert loaded.holds(text) == index.holds(text)


def test_the_file_holds_no_word_of_the_posts(tmp_path: Path) -> None:
    CorpusIndex.of(["unmistakable harpsichord"]).save(tmp_path)
    content = (tmp_path / FILE_NAME).read_bytes()
    assert b"unmistakable" not in content
    assert b"harpsichord" not in content


def test_the_same_posts_give_the_same_hashes_in_every_process(tmp_path: Path) -> None:
    CorpusIndex.of(["mynah"]).save(tmp_path)
    expected = int.from_bytes(hashlib.blake2b(b"mynah", digest_size=8).digest())
    assert load_file(tmp_path / FILE_NAME)["vocabulary"].tolist() == [expected]


def test_half_a_surrogate_pair_is_only_an_unknown_word() -> None:
    assert CorpusIndex.of(POSTS).longest_run("\ud800 the cat") == 2


Arrays = dict[str, NDArray[Any]]


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        pytest.param(lambda a: a.pop("suffixes"), "lacks 'suffixes'", id="no suffixes"),
        pytest.param(lambda a: a.update(suffixes=a["suffixes"][:-1]), "for each word", id="too few suffixes"),
        pytest.param(lambda a: a.update(suffixes=a["suffixes"] + 1000), "outside", id="outside"),
        pytest.param(lambda a: a.update(suffixes=-a["suffixes"] - 1), "outside", id="before the first"),
        pytest.param(lambda a: a.update(suffixes=a["suffixes"][::-1].copy()), "order", id="in disorder"),
        pytest.param(lambda a: a.update(suffixes=a["suffixes"].astype(np.int64)), "lacks 'suffixes'", id="int64"),
        pytest.param(lambda a: a.update(vocabulary=a["vocabulary"][::-1].copy()), "ascending", id="descending"),
        pytest.param(lambda a: a.update(vocabulary=a["vocabulary"][:2]), "no word", id="fewer words"),
        pytest.param(lambda a: a.update(tokens=a["tokens"][:-1]), "closed", id="an open post"),
        pytest.param(lambda a: a.update(tokens=a["tokens"].ravel()), "four bytes", id="flat tokens"),
        pytest.param(lambda a: a.update(posts=np.zeros(2, dtype=np.uint64)), "ascending", id="a post twice"),
    ],
)
def test_a_file_that_lies_is_refused(lie: Callable[[Arrays], object], said: str, tmp_path: Path) -> None:
    CorpusIndex.of(POSTS).save(tmp_path)
    arrays = dict(load_file(tmp_path / FILE_NAME))
    lie(arrays)
    save_file(arrays, tmp_path / FILE_NAME, metadata={"format": "1"})
    with pytest.raises(ArtifactError, match=said):
        CorpusIndex.load(tmp_path)


def test_a_file_of_another_format_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        CorpusIndex.load(tmp_path)
    CorpusIndex.of(POSTS).save(tmp_path)
    save_file(load_file(tmp_path / FILE_NAME), tmp_path / FILE_NAME, metadata={"format": "99"})
    with pytest.raises(ArtifactError, match="format '99'"):
        CorpusIndex.load(tmp_path)
    content = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(content[:-3])
    with pytest.raises(ArtifactError, match="cannot be read"):
        CorpusIndex.load(tmp_path)
