"""The demo's corpus."""

from itertools import islice

from app.corpora.stdlib_docstrings import sentences, sentences_in

DOCSTRING = """
Return it.  It may be a number, e.g. forty-two; the caller
decides what it means.  Then the sentence breaks off

    >>> answer()
    42

Arguments:
  question -- what was asked, which nobody remembers now.

- A list is no prose, whatever it says.
answer(question) -> number
Parameters such as *this one* are kept in "quotation marks".
An unbalanced (parenthesis is not a whole sentence.
Too short.
"""


def test_prose_is_cut_into_whole_sentences_and_the_rest_left() -> None:
    assert list(sentences_in(DOCSTRING)) == [
        "It may be a number, e.g. forty-two; the caller decides what it means.",
    ]
    assert list(sentences_in("Raise a flag (or two) when it rains. An unbalanced (parenthesis is not whole.")) == [
        "Raise a flag (or two) when it rains."
    ]


def test_the_library_gives_thousands_of_different_sentences_of_prose() -> None:
    found = list(islice(sentences(), 2_000))
    assert len(set(found)) == len(found) == 2_000
    assert all(20 <= len(sentence) <= 280 for sentence in found)
    assert all(sentence[0].isupper() and sentence.endswith(".") and "\n" not in sentence for sentence in found)
    assert not any(">>>" in sentence for sentence in found)


def test_the_sentences_come_in_the_same_order_every_time() -> None:
    assert list(islice(sentences(), 300)) == list(islice(sentences(), 300))
