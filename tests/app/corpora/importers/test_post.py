"""What makes a post, whatever file it comes from."""

from datetime import UTC, datetime

import pytest

from app.corpora.errors import MalformedFile
from app.corpora.importers.post import Excluded, ExclusionReason, Post, to_post


def post(text: str, **fields: object) -> Post:
    entry = to_post(text, position="line 1", external_id=fields.get("id"), created_at=fields.get("created_at"))
    assert isinstance(entry, Post)
    return entry


def reason(text: object, *, reposted: bool = False) -> ExclusionReason:
    entry = to_post(text, position="line 1", reposted=reposted)
    assert isinstance(entry, Excluded)
    return entry.reason


@pytest.mark.parametrize("encoded", ["Fish & <chips>", "Fish &amp; &lt;chips&gt;", "Fish &amp;amp; &amp;lt;chips&#62;"])
def test_entities_are_decoded_also_when_they_were_encoded_twice(encoded: str) -> None:
    assert post(encoded).text == "Fish & <chips>"


def test_line_breaks_links_and_emoji_stay_as_posted() -> None:
    text = "Two lines 👩‍🚀\n\nand a link https://t.co/abc #done"
    assert post(text).text == text


def test_a_text_that_begins_with_rt_and_a_name_is_a_repost() -> None:
    assert reason("RT @somebody: hello") is ExclusionReason.REPOST


@pytest.mark.parametrize("text", ["I read RT @somebody said so", "RT if you agree", "START @noon"])
def test_a_text_that_merely_contains_rt_is_a_post(text: str) -> None:
    assert post(text).text == text


def test_a_text_that_the_file_calls_a_repost_is_one() -> None:
    assert reason("Hello", reposted=True) is ExclusionReason.REPOST


@pytest.mark.parametrize("text", ["", "  \t ", "\0\0", "\n"])
def test_a_text_of_blanks_is_empty(text: str) -> None:
    assert reason(text) is ExclusionReason.EMPTY


@pytest.mark.parametrize("text", ["https://t.co/abcdefghij", " https://t.co/a http://example.org/b?c=d "])
def test_a_text_of_links_only_has_nothing_left(text: str) -> None:
    assert reason(text) is ExclusionReason.NOTHING_LEFT_AFTER_CLEANING


@pytest.mark.parametrize("text", [None, 5, ["text"], {"text": "text"}])
def test_what_is_no_text_is_left_out(text: object) -> None:
    assert reason(text) is ExclusionReason.NO_TEXT_FIELD


def test_a_text_longer_than_any_platform_takes_is_left_out() -> None:
    assert reason("word " * 6_000) is ExclusionReason.TOO_LONG


def test_nul_is_removed_and_half_a_surrogate_pair_replaced() -> None:
    text = post("a\0b \ud83d c").text
    assert text == "ab \ufffd c"
    assert text.encode()


@pytest.mark.parametrize(
    ("given", "kept"),
    [(1045433493952638976, "1045433493952638976"), (" a\0b ", "ab"), ("", None), (None, None), ("9.20062E+17", None)],
)
def test_an_id_is_text_and_none_when_a_spreadsheet_has_rounded_it(given: object, kept: str | None) -> None:
    assert post("hello", id=given).external_id == kept


@pytest.mark.parametrize("given", [True, 1.5, ["1"], "1" * 201])
def test_what_cannot_be_an_id_is_refused_with_its_place(given: object) -> None:
    with pytest.raises(MalformedFile, match="line 1"):
        post("hello", id=given)


@pytest.mark.parametrize(
    "written",
    [
        "2018-09-27 22:02:22 +0000",
        "2018-09-27T22:02:22Z",
        "2018-09-28T00:02:22+02:00",
        "2018-09-27 22:02:22",
        "2018-09-27 22:02:22 UTC",
        "Thu Sep 27 22:02:22 +0000 2018",
        "1538085742",
        "1538085742000",
        1538085742,
        1538085742.0,
        1538085742000,
    ],
)
def test_dates_of_every_export_are_the_same_instant(written: object) -> None:
    assert post("hello", created_at=written).created_at == datetime(2018, 9, 27, 22, 2, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "10/11/12 22:59",
        "yesterday",
        "",
        None,
        True,
        "0001-01-01T00:00:00+14:00",
        "Thu Foo 27 22:02:22 +0000 2018",
        float("nan"),
        float("inf"),
        10**30,
        {"$date": 1},
    ],
)
def test_a_date_that_is_not_certain_leaves_the_post_undated(written: object) -> None:
    assert post("hello", created_at=written).created_at is None
