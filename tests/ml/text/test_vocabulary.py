import pytest

from ml.errors import ArtifactError, ConfigError
from ml.text.vocabulary import Vocabulary


def test_words_are_ranked_by_count_then_by_code_point() -> None:
    vocabulary = Vocabulary.learn(["b", "a", "c", "a", "b", "z"], maximum_size=100, minimum_count=1)
    assert vocabulary.words == ("<unk>", "<eos>", "a", "b", "c", "z")


def test_rare_words_and_words_beyond_the_maximum_are_unknown() -> None:
    words = ["b", "a", "c", "a", "b", "z"]
    assert Vocabulary.learn(words, maximum_size=100, minimum_count=2).words == ("<unk>", "<eos>", "a", "b")
    assert Vocabulary.learn(words, maximum_size=3, minimum_count=1).words == ("<unk>", "<eos>", "a")


def test_unk_in_the_text_is_the_unknown_word_and_eos_in_the_text_is_not_the_end() -> None:
    vocabulary = Vocabulary.learn(["<unk>", "<eos>", "a"], maximum_size=100, minimum_count=1)
    assert vocabulary.words == ("<unk>", "<eos>", "a")
    assert vocabulary.id_of("<unk>") == vocabulary.unk
    assert vocabulary.id_of("<eos>") == vocabulary.unk


def test_a_size_without_room_for_the_two_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocabulary_size is 1"):
        Vocabulary.learn([], maximum_size=1, minimum_count=1)


@pytest.mark.parametrize("words", [(), ("<eos>", "<unk>"), ("<unk>", "<eos>", "a", "a")])
def test_a_list_that_is_no_vocabulary_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ArtifactError):
        Vocabulary(words)
