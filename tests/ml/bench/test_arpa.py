"""An ARPA file says what the model says: read by a few lines of Python, and by KenLM."""

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

from ml.bench.arpa import write_arpa
from ml.bench.corpus import Corpus
from ml.bench.row import Task
from ml.errors import ConfigError
from ml.language_model import FloatArray
from ml.models.kneser_ney import KneserNey
from ml.text.words import WordTokenizer

Entries: TypeAlias = dict[tuple[str, ...], tuple[float, float]]


def written(corpus: Corpus, folder: Path, *, order: int) -> tuple[KneserNey, WordTokenizer, Path]:
    train = corpus.read().train
    tokenizer = WordTokenizer.learn(train, vocabulary_size=10_000)
    tokens = tokenizer.encode_posts(train)
    model = KneserNey.fit(tokens, order=order, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    model.save(folder)
    path = folder / "model.arpa"
    words = [tokenizer.decode([token]) or "<eos>" for token in range(tokenizer.vocabulary_size)]
    write_arpa(folder, path, words=words, eos=tokenizer.eos)
    return model, tokenizer, path


def read(path: Path) -> Entries:
    """n-gram → (log10 of its probability, log10 of its backoff); as many of each length as the head announces."""
    entries: Entries = {}
    announced: list[int] = []
    for line in path.read_text().splitlines():
        if line.startswith("ngram "):
            announced.append(int(line.partition("=")[2]))
        elif "\t" in line:
            probability, words, *backoff = line.split("\t")
            entries[tuple(words.split())] = (float(probability), float(backoff[0]) if backoff else 0.0)
    assert announced == [sum(len(gram) == k for gram in entries) for k in range(1, len(announced) + 1)]
    return entries


def probability(entries: Entries, gram: tuple[str, ...]) -> float:
    """log10, by the rule of the format: the n-gram's own, else its context's backoff and the shorter one's."""
    if gram in entries:
        return entries[gram][0]
    return entries.get(gram[:-1], (0.0, 0.0))[1] + probability(entries, gram[1:])


def by_the_format(entries: Entries, posts: tuple[str, ...], known: set[str], *, order: int) -> list[float]:
    costs: list[float] = []
    for post in posts:
        words = ["<s>", *(word if word in known else "<unk>" for word in post.split()), "</s>"]
        grams = [tuple(words[max(0, end - order) : end]) for end in range(2, len(words) + 1)]
        costs += [probability(entries, gram) * math.log(10) for gram in grams]
    return costs


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_rule_of_the_format_gives_the_scores_of_the_model(order: int, words: Corpus, tmp_path: Path) -> None:
    model, tokenizer, path = written(words, tmp_path, order=order)
    entries = read(path)
    posts = (*words.read().test, "never seen words", "")
    known = {gram[0] for gram in entries if len(gram) == 1}
    expected = by_the_format(entries, posts, known, order=order)
    np.testing.assert_allclose(model.score(tokenizer.encode_posts(posts)), expected, atol=1e-5)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_kenlm_reads_the_file_and_scores_every_token_alike(order: int, words: Corpus, tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="kenlm is not installed (extra: bench)")
    from ml.bench.peers import kenlm_scores

    model, tokenizer, path = written(words, tmp_path, order=order)
    posts = (*words.read().test, "never seen words", "")
    theirs: FloatArray = kenlm_scores.log_probabilities(kenlm_scores.load(path), list(posts))
    np.testing.assert_allclose(theirs, model.score(tokenizer.encode_posts(posts)), atol=1e-5)


def test_the_row_of_kenlm_has_our_perplexity(task: Task) -> None:
    pytest.importorskip("kenlm", reason="kenlm is not installed (extra: bench)")
    from ml.bench import counted
    from ml.bench.peers import kenlm_scores

    theirs, ours = kenlm_scores.measure(task), counted.measure(task)
    assert theirs.test_perplexity is not None
    assert theirs.test_perplexity == pytest.approx(ours.test_perplexity, rel=1e-5)
    assert theirs.largest_difference is not None
    assert theirs.largest_difference < 1e-5


def test_words_that_the_format_keeps_for_itself_are_refused(words: Corpus, tmp_path: Path) -> None:
    written(words, tmp_path, order=2)
    with pytest.raises(ConfigError, match="</s> is a word"):
        write_arpa(tmp_path, tmp_path / "other.arpa", words=["<unk>", "<eos>", "</s>"], eos=1)
