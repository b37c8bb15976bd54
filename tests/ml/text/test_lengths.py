import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.text.lengths import LENGTHS, settled
from ml.text.links import link_spans

characters, mastodon, bluesky, x = (LENGTHS[name] for name in ("characters", "mastodon", "bluesky", "x"))

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


def links(text: str, *, without_scheme: bool = True) -> list[str]:
    return [text[begin:end] for begin, end in link_spans(text, without_scheme=without_scheme)]


# As the conformance suite of twitter-text has it, in texts of our own.
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://example.org", ["http://example.org"]),
        ("see HTTPS://Example.ORG/a_b.html?c=1&d=%20#e now", ["HTTPS://Example.ORG/a_b.html?c=1&d=%20#e"]),
        ("http://ほげ.com and http://a-b.c.com", ["http://ほげ.com", "http://a-b.c.com"]),
        ("(http://example.com)", ["http://example.com"]),
        ("http://host.com:3000/x", ["http://host.com:3000/x"]),
        ("http://en.wikipedia.org/wiki/Brazil_(film)", ["http://en.wikipedia.org/wiki/Brazil_(film)"]),
        ("http://example.com/a(b(c)d)", ["http://example.com/a(b(c)d)"]),
        ("http://example.com/.", ["http://example.com/"]),
        ("http://example.com/path.......", ["http://example.com/path"]),
        ("http://example.com/a+ http://example.com/a-", ["http://example.com/a+", "http://example.com/a-"]),
        ("https://en.wikipedia.org/wiki/A–B", ["https://en.wikipedia.org/wiki/A–B"]),
        ("http://example.com/Русский", ["http://example.com/Русский"]),
        ("http://chilp.it/?77e8fd", ["http://chilp.it/?77e8fd"]),
        ("http://foo.com?#bar x", ["http://foo.com?#bar"]),
        ("http://✪df.ws/ejp", ["http://✪df.ws/ejp"]),
        ("http://sub_domain-dash.example.com", ["http://sub_domain-dash.example.com"]),
        ("http://example.comですか.comtest/page", ["http://example.com"]),
        ("http://example.com/です", ["http://example.com/"]),
        ("http:// example.com/path", ["example.com/path"]),
        ("foo.com foo.net foo.edu", ["foo.com", "foo.net", "foo.edu"]),
        ("foo.baz www.foo.co.uk foo.comm foo.somecom foo.jp", ["www.foo.co.uk", "foo.jp"]),
        ("MLB.tv vine.co t.co/abc", ["MLB.tv", "vine.co", "t.co/abc"]),
        ("it.soです。example.com/index中国語foo.jp", ["it.so", "example.com/index", "foo.jp"]),
        ("twitter.みんな", ["twitter.みんな"]),
        ("test ELPAÍS.com", ["ELPAÍS.com"]),
        ("run foo.py now", ["foo.py"]),
        ("http://t.co/pbY2NfTZ's", ["http://t.co/pbY2NfTZ"]),
        ("http://t.co/FNkPfmii- so", ["http://t.co/FNkPfmii"]),
        ("http://t.co/" + "a" * 40, ["http://t.co/" + "a" * 40]),
        ("http://www.foo.org.za/foo/688.1", ["http://www.foo.org.za/foo/688.1"]),
        ("http://xn--fiqs8s.xn--fiqs8s/", ["http://xn--fiqs8s.xn--fiqs8s/"]),
        ("name.al-lastname.com", ["name.al-lastname.com"]),
        ("a.com\nb.com", ["a.com", "b.com"]),
    ],
)
def test_links_are_found(text: str, found: list[str]) -> None:
    assert links(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "http://no-tld",
        "http://too-short.x",
        "http://domain.com-and-no-blank",
        "http://-dash.example.com",
        "http://dash-.example.com",
        "http://example-.com",
        "http://_under.example.com",
        "http://under._example.com",
        "http://un_der.com",
        "http://example.c_o_m",
        "http://xn--はじめ.com/a",
        "http://" + "a" * 64 + ".com",
        "a" * 64 + ".com",
        "http://t.co/" + "a" * 41,
        "#test.com @test.com #http://test.com @http://test.com $test.com $http://test.com",
        "john.doe@foo.com john.doe.gov@foo.com a+b@foo.com",
        "long.test.tar.bz2",
        "wait...what. End of it.",
        "",
    ],
)
def test_what_is_no_link_is_none(text: str) -> None:
    assert links(text) == []


def test_without_a_scheme_nothing_is_a_link_at_mastodon() -> None:
    assert links("foo.com http://foo.com", without_scheme=False) == ["http://foo.com"]


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("", 0),
        ("Hi http://test.co", 26),
        ("http://a.co", 23),
        ("https://www.example.com/" + "x" * 200, 23),
        ("故人西辞黄鹤楼", 14),
        ("the故人", 7),
        ("한국어", 6),
        ("\u0041\u0301B", 2),  # NFC: Á
        ("A\ufb2c", 4),  # NFC takes this Hebrew letter apart
        (f"H\U0001f431\u263a{FAMILY}", 7),
        ("\U0001f637\U0001f47e\U0001f621\U0001f525\U0001f4a9", 10),
        ("\U0001f64b\U0001f3fd\U0001f468\u200d\U0001f3a4", 4),
        (FAMILY * 140, 280),
        ("1\u20e3", 2),
        ("1\ufe0f\u20e3", 2),
        (f"\U0001f92a; \U0001f9d5; \U0001f9d5\U0001f3fe; {ENGLAND}", 14),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 4),
        ("\u2764\ufe0f", 2),
        ("\u2764", 2),
        ("\u00a9", 1),
        ("\u00a9\ufe0f", 2),
        ("123 #*", 6),
        ("\u2000\u200a\u200b\u2010\u201f\u2032\u2037", 7),
        ("\u2016\u2020\u2028", 5),
        ("ABC\u202a\uffffABC\ufffe", 12),
        ("\u2066\u202ahttp://example.پاکستان/\u202c\u2069", 31),
        ("\u10ff\u1100", 3),
        ("a" * 64 + ".com", 68),
    ],
)
def test_x_weighs_as_twitter_text_does(text: str, weight: int) -> None:
    assert x(text) == weight


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a\r\nb", 3),
        ("é", 1),
        ("e\u0301", 1),
        (FAMILY, 1),
        (ENGLAND, 1),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 2),
        ("\U0001f44d\U0001f3fd", 1),
        ("각", 1),
        ("\u1100\u1161\u11a8", 1),
        ("क्षि", 1),
        ("漢字", 2),
    ],
)
def test_bluesky_counts_graphemes(text: str, count: int) -> None:
    assert bluesky(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("plain", 5),
        ("https://example.com/" + "x" * 100, 23),
        ("https://a.de", 23),
        ("a.de", 4),
        ("two https://a.de https://b.de", 4 + 23 + 1 + 23),
        ("@alice@example.social hi", 9),
        ("@alice hi", 9),
        ("@a.b@c.d-e.org!", 5),
        ("me@example.org", 14),
        ("https://example.social/@alice@other.org", 23),
        (f"{FAMILY}e\u0301", 2),
    ],
)
def test_mastodon_counts_graphemes_with_short_links_and_mentions(text: str, count: int) -> None:
    assert mastodon(text) == count


def test_characters_are_code_points() -> None:
    assert characters(FAMILY) == 7


def test_what_is_settled_ends_before_the_last_blank() -> None:
    assert [settled(text) for text in ("", "one", "one two", "one ", "one  two", " one", "\n")] == [
        "",
        "",
        "one",
        "one",
        "one",
        "",
        "",
    ]


ASCII_PIECES = [*" ./@:a1-_#?(\n", "https://", "foo.com", ".co", "@me@a.org"]
UNICODE_PIECES = [
    *"\u200d\ufe0f\u20e3\u0301漢가\u1100\u1161",
    *"\U0001f468\U0001f1e9\U0001f3fd\U0001f3f4\U000e0067\U000e007f",
]
piece = st.sampled_from(ASCII_PIECES + UNICODE_PIECES) | st.characters(exclude_categories=["Cs"])
pieces = st.lists(piece, max_size=12).map("".join)


@pytest.mark.parametrize("name", LENGTHS)
@given(begun=pieces, rest=pieces)
def test_what_is_settled_counts_the_same_however_the_text_goes_on(name: str, begun: str, rest: str) -> None:
    count, kept = LENGTHS[name], settled(begun)
    assert count(begun + rest) >= count(kept)
    assert count(kept + " " + rest) >= count(kept)


@pytest.mark.parametrize("name", ["characters", "bluesky"])
@given(begun=pieces, rest=pieces)
def test_characters_and_graphemes_only_grow(name: str, begun: str, rest: str) -> None:
    assert LENGTHS[name](begun + rest) >= LENGTHS[name](begun)


@given(pieces)
def test_no_count_is_below_zero_or_far_above_what_is_there(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    found = len(link_spans(composed, without_scheme=True))
    assert 0 <= x(text) <= 2 * len(composed) + 23 * found
    assert 0 <= mastodon(text) <= len(text) + 23 * found


def test_counting_takes_time_in_proportion_to_the_text() -> None:
    """Texts that make a careless pattern try each way of cutting them up."""
    for text in ("a-" * 5000, "http://" * 2000, "http://" + "a." * 5000, "(" * 5000, "http://a.com/" + "(a" * 3000):
        assert x(text) > 0
        assert mastodon(text) > 0
