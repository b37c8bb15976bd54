"""repeated: posts of the corpus, and what was posted lately."""

import pytest

from app.sampling.filters.refusal import Reason
from app.sampling.filters.repeated import repeated
from ml.text.corpus_index import CorpusIndex

CHECK = repeated(CorpusIndex.of(["Good night.", "Sleep well"]), recent=["Posted a minute ago!"])


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("good   NIGHT.", "corpus"),
        ("Sleep\nwell", "corpus"),
        ("posted a minute ago!", "lately"),
        ("Good night!", None),
        ("Good night. Sleep well", None),
        ("Posted", None),
        ("", None),
    ],
)
def test_what_was_said_before_is_refused(text: str, detail: str | None) -> None:
    refusal = CHECK(text)
    if detail is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.reason is Reason.REPEATED
        assert detail in refusal.detail
