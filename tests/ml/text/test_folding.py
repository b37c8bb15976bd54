"""Texts as a reader compares them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.text.folding import folded, folded_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello,  WORLD!", ["hello", "world"]),
        ("“Don’t”, she said — twice…", ["don't", "she", "said", "twice"]),
        ("a.b co-op #MAGA @me $5 50%", ["a.b", "co-op", "maga", "me", "5", "50"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("e\u0301te\u0301 été", ["été", "été"]),
        ("año ano", ["año", "ano"]),
        ("🐦 sings 👩‍🚀!", ["🐦", "sings", "👩‍🚀"]),
        ("今日はgood day。", ["今", "日", "は", "good", "day"]),
        ("สวัสดี", ["ส", "ว", "ั", "ส", "ด", "ี"]),
        ("안녕 세상", ["안녕", "세상"]),
        ("нет, да!", ["нет", "да"]),
        ("... !!! — ?", []),
        ("", []),
    ],
)
def test_words_are_what_a_reader_sees(text: str, words: list[str]) -> None:
    assert folded_words(text) == words


@pytest.mark.parametrize("same", ["the  Cat\nsat.", " THE CAT SAT. ", "the\u00a0cat sat."])
def test_case_and_blanks_make_no_difference_to_a_text(same: str) -> None:
    assert folded(same) == folded("The cat sat.")
    assert folded(same) != folded("The cat sat!")


@given(st.text())
def test_folding_twice_changes_nothing_and_nothing_fails(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert all(folded_words(text))
