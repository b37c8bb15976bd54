from collections import Counter
from collections.abc import Sequence

import pytest

from ml.errors import ConfigError
from ml.sampling.banned_tokens import BannedTokens
from ml.sampling.constraints import Banned, Required, cut_at_stop
from ml.text.lengths import LENGTHS
from ml.text.subwords import MINIMUM_SIZE, SubwordTokenizer
from ml.text.tokenizer import Tokenizer
from ml.text.words import WordTokenizer


def held(text: str, *words: str) -> str | None:
    return Banned.of(words, ()).found(text)


@pytest.mark.parametrize(
    "text",
    [
        "hell",
        "Oh HELL!",
        "(hell)",
        "what the hell, man",
        "#hell",
        "ｈｅｌｌ",
        "he\u00adll",
        "hell's bells",
        "x-hell",
        "hell\n",
    ],
)
def test_a_banned_word_is_found_whole_in_any_case_and_form(text: str) -> None:
    assert held(text, "Hell") == "Hell"


@pytest.mark.parametrize("text", ["", "hello", "shell", "Hellas", "hell_o", "9hell", "hel l", "élhell"])
def test_innocent_words_are_not_found(text: str) -> None:
    assert held(text, "hell") is None


def test_a_word_is_found_behind_an_innocent_one_that_holds_it() -> None:
    assert held("hello shell hell", "hell") == "hell"


def test_case_is_folded_rather_than_lowered() -> None:
    assert held("STRASSE", "straße") == "straße"
    assert held("naïve", "NAI\u0308VE") == "NAI\u0308VE"


def test_phrases_marks_and_pictures_can_be_banned() -> None:
    assert held("Oh  SHUT\nup.", "shut up") == "shut up"
    assert held("f*ck", "f*ck") == "f*ck"
    assert held("nice🖕one", "🖕") == "🖕"
    assert held("my c++ code", "c++") == "c++"


def test_scripts_without_blanks_have_no_whole_words() -> None:
    assert held("彼は馬鹿です", "馬鹿") == "馬鹿"
    assert held("Онa дурак", "дурак") == "дурак"
    assert held("дураками", "дурак") is None


def test_patterns_are_found_anywhere_as_they_are_given() -> None:
    banned = Banned.of((), (r"\d{3}-\d{4}", "(?i)sale"))
    assert banned.found("call 555-0100 now") == r"\d{3}-\d{4}"
    assert banned.found("wholeSALEs") == "(?i)sale"
    assert banned.found("nothing of it") is None
    assert Banned.of((), ()).found("anything") is None


def test_the_error_of_a_pattern_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ConfigError, match=r"^banned_patterns holds '\(a', which is no pattern of RE2 \(missing \)"):
        Banned.of((), ("(a",))


CORPUS = ["Oh hell no", "hell is hello spelled short", "a shell of Hell", "HELL he ll no", "oh no"] * 40


@pytest.fixture(params=["bytes", "subwords"])
def subwords(request: pytest.FixtureRequest) -> SubwordTokenizer:
    if request.param == "bytes":
        return SubwordTokenizer.learn([], vocabulary_size=MINIMUM_SIZE)
    return SubwordTokenizer.learn(CORPUS * 5, vocabulary_size=400)


def said_despite(ban: BannedTokens, tokens: Sequence[int]) -> bool:
    """Whether no token of an encoding is forbidden at its place."""
    return all(token not in ban.forbidden(tokens[:place]) for place, token in enumerate(tokens))


@pytest.mark.parametrize("text", ["hell", "oh hell", "Hell no", "OH HELL", '"hell', "no\nhell", "(HELL)"])
def test_no_canonical_encoding_of_a_banned_word_can_be_said(subwords: SubwordTokenizer, text: str) -> None:
    ban = BannedTokens.of(subwords, ["hell"])
    assert not said_despite(ban, subwords.encode(text))


@pytest.mark.parametrize("text", ["oh no", "a shell", "no ll", "he is"])
def test_other_words_can_be_said(subwords: SubwordTokenizer, text: str) -> None:
    ban = BannedTokens.of(subwords, ["hell"])
    assert said_despite(ban, subwords.encode(text))


def test_a_banned_word_is_written_as_given_too(subwords: SubwordTokenizer) -> None:
    ban = BannedTokens.of(subwords, ["hElL"])
    assert not said_despite(ban, subwords.encode("a hElL"))
    assert said_despite(ban, subwords.encode("a hEll"))


def test_phrases_are_forbidden_at_their_last_token(subwords: SubwordTokenizer) -> None:
    ban = BannedTokens.of(subwords, ["oh hell"])
    assert said_despite(ban, subwords.encode("a hell oh no"))
    assert not said_despite(ban, subwords.encode("a oh hell"))


def test_words_of_a_closed_vocabulary_are_forbidden_and_unknown_ones_need_no_ban() -> None:
    tokenizer = WordTokenizer.learn(CORPUS, vocabulary_size=100)
    ban = BannedTokens.of(tokenizer, ["hell", "heaven", "oh no"])
    (hell, great, loud) = (tokenizer.encode(word)[0] for word in ("hell", "Hell", "HELL"))
    assert sorted(ban.forbidden([])) == sorted([hell, great, loud])
    assert sorted(ban.forbidden(tokenizer.encode("a oh"))) == sorted([hell, great, loud, *tokenizer.encode("no")])
    assert tokenizer.never_spoken[0] not in ban.forbidden([])


def test_nothing_banned_forbids_nothing(subwords: SubwordTokenizer) -> None:
    assert BannedTokens.of(subwords, []).forbidden([1, 2, 3]) == []


def test_what_slips_past_the_tokens_is_found_in_the_text(subwords: SubwordTokenizer) -> None:
    """A word in other tokens than the tokenizer would choose: this is why the text is looked at too."""
    tokens = [subwords.encode(letter)[0] for letter in "hell"]
    tokenizer: Tokenizer = subwords
    assert tokenizer.decode(tokens) == "hell"
    assert held(tokenizer.decode(tokens), "hell") == "hell"


@pytest.mark.parametrize("text", ["#sad", "so #SAD!", "(#sad)", "#glad", "hi @Bob.", "@bob: yes", "＃ｓａｄ"])
def test_a_required_tag_is_met_whole_in_any_case(text: str) -> None:
    assert Required(("#Sad", "#glad", "@bob")).met(text)


@pytest.mark.parametrize(
    "text", ["", "sad", "#sadder", "x#sad", "##sad", "bob", "@bobby", "me@bob", "@bob.example.org", "@bob@example.org"]
)
def test_a_required_tag_is_not_met_by_what_only_holds_it(text: str) -> None:
    assert not Required(("#sad", "@bob")).met(text)


def test_tags_of_other_scripts_are_met() -> None:
    assert Required(("#हिन्दी",)).met("यह #हिन्दी है")
    assert not Required(("#हिन्द",)).met("यह #हिन्दी है")


def test_each_tag_is_chosen_as_often() -> None:
    required = Required(("#a", "#b", "@c"))
    assert Counter(required.choose(step / 300) for step in range(300)) == {" #a": 100, " #b": 100, " @c": 100}
    assert required.choose(0.9999999999999999) == " @c"


def test_room_is_kept_for_the_longest_tag_as_it_is_counted() -> None:
    assert Required(("#a", "#abc")).room(LENGTHS["characters"]) == 5
    assert Required(("#a", "#漢字")).room(LENGTHS["x"]) == 6
    assert Required(("@a@example.org",)).room(LENGTHS["mastodon"]) == 3


def test_a_text_is_cut_before_the_first_stop_string_from_a_place_on() -> None:
    assert cut_at_stop("one. two! three.", 0, stop=("!", ".")) == "one"
    assert cut_at_stop("one. two! three.", 4, stop=("!", ".")) == "one. two"
    assert cut_at_stop("one. two! three.", 3, stop=(".",)) == "one"
    assert cut_at_stop("one two", 0, stop=("!",)) is None
    assert cut_at_stop("one two", 0, stop=()) is None
    assert cut_at_stop("abab", 1, stop=("ab",)) == "ab"
    assert cut_at_stop("abcd", 0, stop=("cd", "bc")) == "a"
