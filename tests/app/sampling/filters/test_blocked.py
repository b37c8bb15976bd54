"""blocked: made-up words are found through every disguise, and no innocent word is."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.sampling.filters.blocked import blocked
from app.sampling.filters.blocklist import Blocklist
from app.sampling.filters.refusal import Reason

LIST = Blocklist(
    ["blorg", "snee", "Fleeb", "grum pf", "half-wump", "kl@p", "хрюм", "мрак", "坏词", "ドロボ", "🖕", "ano", "hell"]
)


def found(text: str) -> bool:
    refusal = blocked([LIST])(text)
    assert refusal is None or refusal.reason is Reason.BLOCKED
    return refusal is not None


@pytest.mark.parametrize(
    "text",
    [
        "blorg",
        "You BLORG!",
        "a blorg, a blorg",
        "blorg's",
        "#blorg",
        "_blorg_",
        "blorg-like",
        "(blorg)",
        "fleeb",
        "ｂｌｏｒｇ",  # full width
        "𝐛𝐥𝐨𝐫𝐠 𝓫𝓵𝓸𝓻𝓰",
        "ⓑⓛⓞⓡⓖ",
        "ʙʟᴏʀɢ",
        "b\u0336l\u0336o\u0336r\u0336g\u0336",  # struck through
        "bl\u200borg",
        "bl\u00adorg",
        "b\u2060lo\ufe0frg",
        "b l o r g",
        "you b l o r g you",
        "B.L.O.R.G.",
        "b-l-o-r-g",
        "b_l_o_r_g",
        "b*l*o*r*g",
        "b. l. o. r. g",
        "a b l o r g",
        "I b l o r g",
        "bl0rg",
        "5nee",
        "$nee",
        "sn33",
        "fl33b!",
        "s n 3 e",
        "blоrg",  # Cyrillic о
        "ЬLORG bl\u03bfrg",  # Greek omicron
        "ѕnее",
        "Ѕ Ν Ε Ε oh",
        "blooorg",
        "blorggggg",
        "BLOOOOORG",
        "sneeee",
        "bl000rg",
        "bl0O0rg",
        "grum pf",
        "a GRUM  PF here",
        "grum-pf",
        "half-wump",
        "half wump",
        "kl@p",
        "so kl@p, so",
        "хрюм",
        "ХРЮМ!",
        "xpюм",  # Latin x and p
        "мрaк",  # Latin a
        "это坏词。",
        "これはドロボです",
        "ﾄﾞﾛﾎﾞ",  # half width
        "坏 词",
        "so 🖕 there",
        "go to hell",
    ],
)
def test_a_word_is_found_however_it_is_disguised(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "blorging",  # another word: the operator lists it, or does not
        "unblorg",
        "sneeze and sneer",
        "as 5 he",
        "b l o r",
        "b, lo, rg",
        "lob org",
        "tab lorg",
        "a b c d e f g",
        "sne e",
        "A5 A55 B12 4U 2day 7up 1st 3rd",
        "he'll, she'll and we'll",  # is not hell
        "shell hello Hellen",
        "año",  # is not ano
        "piano anorak",
        "grum, or pf",
        "grump f",
        "pf grum",
        "half a wump",
        "klap",
        "кл@п",
        "мракобес",
        "坏的词",
        "词坏",
        "blog",
        "org",
        "U.S.A. and A.S.A.P.",
        "f(x) = b + l + org",
        "mail blorg2000s@example",
    ],
)
def test_an_innocent_text_passes(text: str) -> None:
    assert not found(text)


INNOCENTS = [
    "Scunthorpe", "assess", "class", "classic", "assume", "bass", "pass", "grass", "compass", "assassin", "cocktail",
    "peacock", "Hancock", "shuttlecock", "Essex", "Sussex", "Middlesex", "sextet", "analysis", "canal", "title",
    "constitution", "competition", "document", "circumstance", "therapist", "grape", "drapes", "skyscraper", "shiitake",
    "Matsushita", "saturday", "Lightwater", "Penistone", "Clitheroe", "Arsenal", "parse", "button", "butter",
    "dictionary", "Dickens", "magnanimous", "cumulative", "cucumber", "hoedown", "shoe", "phone", "Essay", "buttress",
    "good", "book", "cool", "moon", "tooth", "committee", "Mississippi", "balloon", "coffee", "bookkeeper", "rebuttal",
]  # fmt: skip
SYLLABLES = Blocklist(
    ["ass", "cunt", "cock", "sex", "anal", "tit", "cum", "rape", "rap", "shit", "urd", "twat", "penis", "clit", "arse",
     "butt", "dick", "ho", "hoe", "god", "col", "bok", "tot"]
)  # fmt: skip


@pytest.mark.parametrize("word", INNOCENTS)
def test_no_innocent_word_is_caught_for_what_stands_inside_it(word: str) -> None:
    check = blocked([SYLLABLES])
    for text in (word, word.upper(), f"The {word}!", f"“{word}’s”", f"{word}-like", " ".join(word), ".".join(word)):
        assert check(text) is None, text


def test_prose_is_not_read_across_its_words() -> None:
    check = blocked([SYLLABLES])
    for text in ("as 5 he", "a s it was", "it's a bad sign", "is it at all", "co ck", "ra pe", "G. O. Day", "h.o."):
        assert check(text) is None, text
    assert check("tit-for-tat") is not None  # a hyphen parts words


@pytest.mark.parametrize("text", ["@sex_ed", "@nal_78", "@ss", "$1ho", "5M and 4k", "A55", "a5 b5", "a $ 5", "@ 5 5"])
def test_names_and_amounts_are_no_disguised_words(text: str) -> None:
    assert blocked([Blocklist(["ass", "anal", "sm", "ak", "as", "bs", "siho", "ased"])])(text) is None


LETTERS = st.text(alphabet=string.ascii_lowercase, min_size=3, max_size=10)
DISGUISES = {
    "a": "а@4ａ𝐚", "e": "е3ｅ𝐞", "i": "і1ｉ", "o": "о0ο𝐨", "s": "ѕ5$ｓ", "t": "7ｔ", "c": "сｃ", "p": "рｐ", "x": "хｘ",
}  # fmt: skip


@given(word=LETTERS, data=st.data())
def test_any_word_is_found_through_any_one_disguise(word: str, data: st.DataObject) -> None:
    check = blocked([Blocklist([word])])
    place = data.draw(st.integers(0, len(word) - 1))
    hidden = [
        " ".join(word),
        ".".join(word),
        "\u200b".join(word),
        word[:place] + word[place] * 3 + word[place:],
        word.upper(),
    ]
    for look in DISGUISES.get(word[place], ""):
        if place == 0 and look == "@":
            continue  # a name
        hidden.append(word[:place] + look + word[place + 1 :])
    for text in hidden:
        assert check(f"well, {text} indeed") is not None, text


@given(word=LETTERS, text=st.lists(LETTERS, max_size=12).map(" ".join))
def test_plain_prose_is_caught_only_where_the_word_itself_stands(word: str, text: str) -> None:
    tripled = any(letter * 3 in text for letter in set(text))
    assume(not tripled)
    assert (blocked([Blocklist([word])])(text) is not None) == (word in text.split())


@given(word=LETTERS, number=st.integers(0, 10**6))
def test_numbers_are_no_words(word: str, number: int) -> None:
    check = blocked([Blocklist([word])])
    for text in (f"{number}", f"${number}", f"{number / 100:.2f} €", f"{number}!"):
        assert check(text) is None


@given(words=st.lists(st.text(max_size=12), max_size=5), text=st.text(max_size=80))
def test_any_list_is_taken_and_any_text_read(words: list[str], text: str) -> None:
    assert Blocklist(words).find_in(text) is None or words


@pytest.mark.parametrize("empty", ["", " ", "\u200b", "\u0336"])
def test_a_word_of_which_nothing_is_left_blocks_nothing(empty: str) -> None:
    assert Blocklist([empty]).find_in("anything at all \u200b") is None


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("рос ok", True),  # Cyrillic letters alone, in a text that is otherwise Latin
        ("рoс", True),  # a Latin o among them
        ("он рос быстро, ok?", False),  # Russian for "he grew quickly"
        ("рос", False),
        ("он рoс быстро", True),
    ],
)
def test_a_word_of_another_script_is_a_disguise_only_where_it_is_out_of_place(text: str, is_found: bool) -> None:
    assert (Blocklist(["poc"]).find_in(text) is not None) == is_found


@pytest.mark.parametrize(("text", "is_found"), [("asss", True), ("aaass", True), ("aaas", False), ("aass", False)])
def test_a_stretched_word_has_every_letter_as_often_as_the_word_itself(text: str, is_found: bool) -> None:
    assert (Blocklist(["ass"]).find_in(text) is not None) == is_found
