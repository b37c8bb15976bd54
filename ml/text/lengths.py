"""How long a text is, as each platform counts it.

What holds of all of them, so that whoever lets a text grow can give up early: **what stands before a text's last blank
counts what it will always count** (`settled` cuts there). Of characters and of graphemes the whole text never gets
shorter. Of the others the last word may: `https://example` becomes a link of 23, `foo.com` stops being one as
`foo.comet`, `@user@` becomes a mention, an emoji takes a joiner and another emoji. A text that ends in half a
character (U+FFFD) should be counted without it.
"""

import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import regex

from ml.text.links import link_spans

LINK: Final = 23
"""What a link counts at X and at Mastodon, however long or short it is."""

_GRAPHEME: Final = regex.compile(r"\X")

_REMOTE_MENTION: Final = regex.compile(
    r"(?<![=/\w])(@[a-z0-9_]+(?:[.-]+[a-z0-9_]+)*)@\w+(?:[.-]+\w+)*", regex.IGNORECASE
)

# twitter-text's configuration, version 3: these count 1, all others 2.
_X_LIGHT: Final = r"\u0000-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037"
_X_HEAVY: Final = regex.compile(rf"[^{_X_LIGHT}]")

# What Unicode calls a possible emoji: flags, keycaps, tagged flags, and pictures with a skin or a presentation, joined.
# Digits are none, and © and ® only with U+FE0F.
_PICTURE: Final = r"(?:\p{Emoji_Modifier_Base}\p{Emoji_Modifier}|[\p{Emoji}--[0-9#*©®]]\ufe0f?|[©®]\ufe0f)"
_EMOJI: Final = regex.compile(
    r"\p{Regional_Indicator}{2}"
    r"|[0-9#*]\ufe0f?\u20e3"
    r"|🏴[\U000e0030-\U000e0039\U000e0061-\U000e007a]+\U000e007f"
    rf"|{_PICTURE}(?:\u200d{_PICTURE})*",
    regex.VERSION1,
)


def characters(text: str) -> int:
    """Unicode code points."""
    return len(text)


def graphemes(text: str) -> int:
    """What a reader takes for one character: extended grapheme clusters. Bluesky allows 300 (and 3,000 UTF-8 bytes).

    Source: Unicode Standard Annex 29, §3.
    """
    if text.isascii():
        return len(text) - text.count("\r\n")
    return sum(1 for _ in _GRAPHEME.finditer(text))


def mastodon(text: str) -> int:
    """Graphemes; each link with a scheme counts 23, and `@user@host` as much as `@user`."""
    linkless = _with_links_as("x" * LINK, text)
    return graphemes(_REMOTE_MENTION.sub(r"\1", linkless))


def x(text: str) -> int:
    """Weighted length of twitter-text: links 23, an emoji 2, CJK and what lies beyond the ranges 2, the rest 1.

    Counted after NFC. Joined emoji and flags that nobody draws count 2 here, and more at X, which has a list of those
    that exist.
    """
    normalised = unicodedata.normalize("NFC", text)
    place, total = 0, 0
    for begin, end in link_spans(normalised, without_scheme=True):
        total += _weight(normalised[place:begin]) + LINK
        place = end
    return total + _weight(normalised[place:])


LENGTHS: Final[Mapping[str, Callable[[str], int]]] = MappingProxyType(
    {"characters": characters, "mastodon": mastodon, "bluesky": graphemes, "x": x}
)
"""How to count, by the name that controls give it."""


def settled(text: str) -> str:
    """The text before its last blank: however the text goes on, each of LENGTHS counts this part as it does now."""
    words = text.rsplit(maxsplit=1)
    if len(words) < 2 and not text[-1:].isspace():
        return ""
    return text.rstrip() if text[-1:].isspace() else text[: len(text) - len(words[1])].rstrip()


def _with_links_as(replacement: str, text: str) -> str:
    pieces, place = [], 0
    for begin, end in link_spans(text, without_scheme=False):
        pieces += [text[place:begin], replacement]
        place = end
    return "".join([*pieces, text[place:]])


def _weight(text: str) -> int:
    """Of a text without links: 1 a light character, 2 a heavy one or an emoji of however many."""
    if _X_HEAVY.search(text) is None:
        return len(text)
    weight, place = 0, 0
    for emoji in _EMOJI.finditer(text):
        weight += _plain_weight(text[place : emoji.start()]) + 2
        place = emoji.end()
    return weight + _plain_weight(text[place:])


def _plain_weight(text: str) -> int:
    return len(text) + len(_X_HEAVY.findall(text))
