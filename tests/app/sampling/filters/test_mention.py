"""mention, address: nobody is notified and nobody's address given who is not on the list."""

import pytest

from app.sampling.filters.mention import mention
from app.sampling.filters.refusal import Reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hello @stranger", Reason.MENTION),
        ("@stranger: hello", Reason.MENTION),
        (".@stranger hello", Reason.MENTION),
        ("(@stranger)", Reason.MENTION),
        ("@@stranger", Reason.MENTION),
        ("“@stranger”", Reason.MENTION),
        ("你好@stranger", None),  # a letter before it: no platform takes it for a mention
        ("＠stranger hello", Reason.MENTION),
        ("@everyone!", Reason.MENTION),
        ("@stranger@far.example", Reason.MENTION),
        ("@stranger.far.example", Reason.MENTION),
        ("@friend", None),
        ("@FRIEND, hello", None),
        ("@friend.", None),
        ("@friend@far.example", Reason.MENTION),
        ("@near@home.example", None),
        ("@near", Reason.MENTION),
        ("@friendly", Reason.MENTION),
        ("see you @ 5", None),
        ("@ noon", None),
        ("@", None),
        ("https://example.org/@stranger", None),
        ("write to somebody@example.org!", Reason.ADDRESS),
        ("some.body+tag@mail.example.org.", Reason.ADDRESS),
        ("write to desk@example.org.", None),
        ("root@localhost", None),
        ("no sign at all", None),
    ],
)
def test_only_those_on_the_list_are_mentioned(text: str, reason: Reason | None) -> None:
    refusal = mention(["friend", "near@home.example", "desk@example.org"])(text)
    assert (None if refusal is None else refusal.reason) == reason


def test_a_star_lets_every_mention_pass_and_no_address() -> None:
    check = mention(["*"])
    assert check("@anybody @any.one@far.example") is None
    assert check("anybody@example.org") is not None
