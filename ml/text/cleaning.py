"""Pure str → str rules, one function each, in one listed order.

`clean` applies them until nothing changes, so `clean(clean(text)) == clean(text)`: what one rule uncovers (an entity
encoded twice, a link behind a zero-width space) the next pass removes.
"""

import re
import unicodedata
from collections.abc import Callable
from html import unescape
from html.entities import html5
from typing import Final

_LINE_BREAK: Final = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")

# Control characters, soft hyphen, zero-width space, bidirectional marks, byte order mark, interlinear marks, halves of
# surrogate pairs and the replacement character that a broken decoding leaves. Variation selectors and tag characters
# stay: they are part of emoji.
_JUNK: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd"
    "\ud800-\udfff]"
)

# A joiner has work to do only between two characters that can join: emoji, or letters of Arabic and Indic scripts.
_IDLE_JOINER: Final = re.compile(
    r"(?<![^\x00-\x7f\s\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\s\u200c\u200d])"
)

_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")

# No word boundary before the scheme: "Yeahttps://t.co/…" is common. A t.co link is ASCII, so Korean or Japanese text
# written right after it is kept; other links may hold any script. Closing punctuation belongs to the sentence.
_LINK: Final = re.compile(
    r"""(?:https?://|(?<![\w.@/])(?=t\.co/))t\.co/[!#-;=?-~]*…?
      | (?:https?://|(?<![\w.@/])(?:www\.|pic\.twitter\.com/))[^\s<>"“”«»…]*[^\s<>"“”«»….,;:!?'’)\]]…?
      | https?:/{1,2}(?=\s|…|$)…?""",
    re.IGNORECASE | re.VERBOSE,
)

# Old posts were cut at 140 characters, often inside the link: "… https://t…", "… http…", "… h…", "… http".
_CUT_LINK: Final = re.compile(
    r"(?:(?:(?<!\S)ht{0,2}|https?(?::/{0,2})?)(?:…|\.{3})|(?<!\S)https?:?/{0,2})\Z", re.IGNORECASE
)
# Looked for in the last few characters only: over a whole text of blanks the search would take quadratic time.
_CUT_LINK_CHARACTERS: Final = len("https://...")

# However often it was encoded, an ampersand is one: "&amp;amp;" in one pass, or a long chain would take one for each.
_AMPERSAND: Final = re.compile(r"&(?:(?:amp|#0{0,5}38|#[xX]0{0,5}26);)+")

_REPOST: Final = re.compile(r"RT @\w")


def unify_line_breaks(text: str) -> str:
    r"""Every kind of line break becomes "\n"."""
    return _LINE_BREAK.sub("\n", text)


def remove_junk(text: str) -> str:
    """Drop what nobody sees: control and zero-width characters. A joiner that joins (👩‍🚀) stays."""
    return _IDLE_JOINER.sub("", _JUNK.sub("", text))


def compose(text: str) -> str:
    """Normalisation form C, so that one spelling is one string."""
    return unicodedata.normalize("NFC", text)


def decode_entities(text: str) -> str:
    """`&amp;` → `&`. Only whole entities: `html.unescape` alone would turn "me&notyou" into "me¬you"."""
    return _ENTITY.sub(_decode_entity, _AMPERSAND.sub("&", text))


def _decode_entity(match: re.Match[str]) -> str:
    entity = match.group()
    return unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)


def remove_links(text: str) -> str:
    """Drop links, and what is left of one that was cut off at the end."""
    text = _LINK.sub("", text)
    while match := _CUT_LINK.search(text := text.rstrip(), max(0, len(text) - _CUT_LINK_CHARACTERS)):
        text = text[: match.start()]
    return text


def collapse_blanks(text: str) -> str:
    """One blank between words, none around a line break, at most one empty line, none at the ends."""
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


RULES: Final[tuple[Callable[[str], str], ...]] = (
    unify_line_breaks,
    remove_junk,
    compose,
    decode_entities,
    remove_links,
    collapse_blanks,
)


def clean(text: str) -> str:
    """The post as a model should learn it; empty where nothing is left."""
    before = None
    while text != before:  # ends: every rule shortens the text or leaves what it has already put in order
        before = text
        for rule in RULES:
            text = rule(text)
    return text


def is_repost(text: str) -> bool:
    """Whether the post repeats somebody else's: `RT @name` at its start. "RT" elsewhere is the author's own word."""
    return _REPOST.match(text.lstrip()) is not None
