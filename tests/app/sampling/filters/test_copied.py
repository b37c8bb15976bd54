"""copied: runs of words, in the persona's own limits."""

import pytest

from app.sampling.filters.copied import copied, length_in_words
from app.sampling.filters.refusal import Reason
from ml.text.corpus_index import CorpusIndex
from ml.text.folding import folded_words

INDEX = CorpusIndex.of(
    [
        "One two three four five six seven eight nine ten.",
        "Good morning, dear friends.",
        "Many thanks.",
        "今日はとてもいい天気ですね散歩しましょう",
    ]
)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("So one two three four five six seven eight and on and on it went for ever", True),  # 8 in a row
        ("So one two three four five six seven and on and on it went for ever", False),  # 7 of 16
        ("One two three four five six seven", True),  # 7 of 7
        ("Good morning, DEAR friends!", True),
        ("Good morning, dear friends of mine", False),  # 4 of 6
        ("Good morning, dear friends there", False),  # 4 of 5 is not more than 0.8
        ("Good morning", False),  # too short for a share to mean anything
        ("Many thanks", False),
        ("", False),
        ("?!", False),
        ("今日はとてもいい天気ですねえええええええええええええええええ", False),  # 13 characters count as 6.5 words
        ("今日はとてもいい天気ですね散歩しとしとしとしとしとしとしとしと", True),  # 16 as 8
        ("散歩しましょ", False),  # 6 as 3: too short
    ],
)
def test_a_long_run_or_a_large_share_is_refused(text: str, refused: bool) -> None:
    refusal = copied(INDEX, words_limit=8, share_limit=0.8)(text)
    assert (refusal is not None) == refused
    if refusal is not None:
        assert refusal.reason is Reason.COPIED


def test_the_limits_are_the_personas() -> None:
    text = "So one two three"
    assert copied(INDEX, words_limit=4, share_limit=1)(text) is None
    assert copied(INDEX, words_limit=3, share_limit=1)(text) is not None
    assert copied(INDEX, words_limit=1000, share_limit=0.7)(text) is not None
    assert copied(INDEX, words_limit=1000, share_limit=1)("One two three four five") is None


def test_the_detail_tells_how_much() -> None:
    refusal = copied(INDEX, words_limit=8, share_limit=0.8)("good morning dear friends")
    assert refusal is not None
    assert "4 of its 4 words" in refusal.detail


def test_two_characters_of_a_script_without_blanks_are_a_word() -> None:
    assert length_in_words(folded_words("今日は sunny")) == 2.5
