import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.text.cleaning import clean, is_repost


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("strong military &amp; low oil prices", "strong military & low oil prices"),
        ("&amp;lt;3 &#39;tis &#x1F426;", "<3 'tis 🐦"),
        ("Q&A, AT&T, me&notyou &unknown;", "Q&A, AT&T, me&notyou &unknown;"),
    ],
)
def test_entities_are_decoded_however_often_they_were_encoded(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("Witch Hunt! https://t.co/mMSxj4Su5z", "Witch Hunt!"),
        ("Replay: https://t.co/dcZxPKOPZ9 https://t.co/0NGiIhGY18", "Replay:"),
        ("Join us!https://t.co/abc", "Join us!"),
        ("see (http://example.org/a?b=c&d), please", "see (), please"),
        ("go to www.example.org now", "go to now"),
        ("go to t.co/abc now", "go to now"),
        ("한국어 https://t.co/abc입니다", "한국어 입니다"),
        ("photo pic.twitter.com/AbC", "photo"),
        ("a link http:// alone", "a link alone"),
    ],
)
def test_links_are_removed(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@pytest.mark.parametrize("rest", ["https://t…", "https:/…", "https:…", "http…", "htt…", "ht…", "h…", "http...", "http"])
def test_a_link_cut_off_at_the_end_is_removed(rest: str) -> None:
    assert clean(f"LIVE: {rest}") == "LIVE:"


def test_a_word_cut_off_at_the_end_stays() -> None:
    assert clean("and their families. Thank you with…") == "and their families. Thank you with…"


def test_what_nobody_sees_is_removed() -> None:
    assert clean("a\u200bb\u200ec\x00d\ufeff\u00ad e\ufffd\ud83d") == "abcd e"


def test_joiners_inside_emoji_and_words_stay() -> None:
    astronaut, persian = "👩‍🚀 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم"
    assert clean(astronaut) == astronaut
    assert clean(persian) == persian
    assert clean("a\u200db \u200d👩\u200d") == "ab 👩"


def test_line_breaks_inside_a_post_stay_two_at_most() -> None:
    assert clean("  a \t b\u00a0c \r\n d\n\n\n\ne\n ") == "a b c\nd\n\ne"


def test_text_is_composed() -> None:
    assert clean("cafe\u0301") == "café"


def test_a_post_of_links_is_empty() -> None:
    assert clean(" https://t.co/a\nhttps://t.co/b ") == ""


@given(st.text(st.one_of(st.characters(), st.sampled_from("&;amplt#x0http:/.…w \n\u200d"))))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1).filter(lambda text: "http" not in text.casefold()))
def test_letters_and_digits_are_never_lost(text: str) -> None:
    assert clean(text)


def test_a_repost_begins_with_rt_and_a_name() -> None:
    assert is_repost("RT @GenFlynn: LIVE")
    assert is_repost(" RT @a")
    assert not is_repost("Please RT @GenFlynn")
    assert not is_repost("RT if you agree")
    assert not is_repost("SMART @home")
