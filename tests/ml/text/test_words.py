import numpy as np

from ml.text.words import WordTokenizer

POSTS = ["the cat sat", "the cat ran", "a dog ran"]


def test_a_word_seen_once_becomes_unk() -> None:
    tokenizer = WordTokenizer.learn(POSTS, vocabulary_size=100)
    assert tokenizer.decode(tokenizer.encode("the dog ran")) == "the <unk> ran"


def test_a_text_that_already_has_unk_keeps_all_its_words() -> None:
    tokenizer = WordTokenizer.learn([*POSTS, "an <unk> word"], vocabulary_size=100)
    assert tokenizer.decode(tokenizer.encode("a <unk> dog sat")) == "a <unk> dog sat"
    assert tokenizer.encode("<unk> nowhere") == [*tokenizer.never_spoken] * 2


def test_each_post_is_closed_by_eos() -> None:
    tokenizer = WordTokenizer.learn(POSTS, vocabulary_size=100, minimum_count=1)
    tokens = tokenizer.encode_posts(["a cat", "", "dog"])
    assert tokens.dtype == np.int64
    eos = tokenizer.eos
    assert tokens.tolist() == [*tokenizer.encode("a cat"), eos, eos, *tokenizer.encode("dog"), eos]
    assert tokenizer.decode(tokens.tolist()) == "a cat dog"


def test_eos_typed_in_a_post_is_not_the_end_of_it() -> None:
    tokenizer = WordTokenizer.learn(["<eos> a"] * 3, vocabulary_size=100)
    assert tokenizer.eos not in tokenizer.encode("a <eos>")
    assert tokenizer.eos not in tokenizer.never_spoken
