"""unbalanced: lonely brackets and quotation marks are refused, smileys, lists, apostrophes and inches are not."""

import pytest

from app.sampling.filters.refusal import Reason
from app.sampling.filters.unbalanced import unbalanced


@pytest.mark.parametrize(
    "text",
    [
        "Nothing to balance.",
        "",
        "A (small) word [sic] {really}",
        "(One (inside) another)",
        "(open and shut) twice (over)",
        'She said "yes" and "no"',
        "“Yes”, she said, ‘now’.",
        "„Ja“, sagte sie. «Non», dit-il. »Ja«, sagde hun. ”Ja”, sa hon.",
        "「はい」と『いいえ』",
        "（全角）【括弧】",
        # smileys
        "Great :)",
        ":) :-) ;) =) :] :')",
        "Too bad :( :-( :'( ;(",
        "(: upside down (;",
        "So happy :)))",
        "8) and xD and B)",
        "(I like it :)",
        "(I like it :) )",
        "(note:)",
        "¯\\_(ツ)_/¯ (╯°□°)╯︵ ┻━┻",
        # lists
        "1) one 2) two",
        "a) this b) that",
        "iv) four",
        "10.) ten\n11.) eleven",
        # apostrophes and measures
        "Don't, won't, can’t — rock 'n' roll, the dogs' bowls",
        "’Tis the season of the ’90s",
        "‘Tis the season of the ‘90s, get ‘em",
        "It's 5'10\" tall",
        'A 27" screen',
        'A "27" screen',
        "‘It’s here’, he said",
        "“And he said, ‘Let it go,' and went.”",
        "a < b > c, x <- y, <3",
    ],
)
def test_what_is_in_order_passes(text: str) -> None:
    assert unbalanced(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "An (open bracket",
        "A closed) bracket",
        "Twice (open (once closed)",
        "Wrong ) way ( round",
        "[sic",
        "sic]",
        "{x",
        '"Half a quotation',
        'Half a quotation"',
        'One "two" three"',
        "“Half a quotation",
        "Half a quotation”",
        "„Halb",
        "«Moitié",
        "‘Half a quotation",
        "「はい",
        "（全角",
        "Happy :) and (open",
        "f(x",
    ],
)
def test_what_has_no_partner_is_refused(text: str) -> None:
    refusal = unbalanced(text)
    assert refusal is not None
    assert refusal.reason is Reason.UNBALANCED
    assert "no partner" in refusal.detail
