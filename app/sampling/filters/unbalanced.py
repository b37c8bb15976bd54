"""unbalanced: a bracket or a quotation mark has no partner.

Where a mark can be read in two ways (`:)`, `1)`, `27"`) the text is refused only if neither reading is in order. A
straight single quote is an apostrophe to us: `rock 'n' roll`, `the dogs' bowls` and `'tis` leave no way to tell.
"""

import re
from collections import Counter
from typing import Final, NamedTuple

from app.sampling.filters.refusal import Reason, Refusal

_CLOSING: Final = dict(zip("([{（［｛「『【〈《", ")]}）］｝」』】〉》", strict=True))
_OPENING: Final = {closing: opening for opening, closing in _CLOSING.items()}

# Which of these opens and which closes is another matter in each language: “English”, „deutsch“, ”svenska”, «français»,
# »dansk«. So they are counted.
_DOUBLE_QUOTES: Final = '"“”„‟＂〝〞〟'
_GUILLEMETS: Final = "«»"

_ANY: Final = re.compile(f"[{re.escape(''.join([*_CLOSING, *_OPENING]))}{_DOUBLE_QUOTES}{_GUILLEMETS}‘]")

# Brackets that need no partner: smileys in both directions, and the markers of a list.
_SMILEY: Final = re.compile(
    r"""[:;=]['’`]?[-^~o*]?[()\[\]{}]+ | (?<![^\W\d])[8xXB][-^]?[()\[\]{}]+ | [()\[\]{}]+[-^~o*]?['’`]?[:;=](?![:;=])
      | (?:^|(?<=\s))(?:\d{1,3}|[^\W\d_]|[ivxIVX]{1,5})[.]?\)""",
    re.VERBOSE | re.MULTILINE,
)
_MEASURE: Final = re.compile(r'(?<=\d)["“”]')  # 27" is a screen, and 5'10" somebody's height

# ‘ is an apostrophe, too, where a word was shortened at its front and a program "improved" the typography.
_SINGLE_OPENING: Final = re.compile(
    r"(?<!\w)‘(?=\w)(?!(?:\d\ds|twas|tis|twere|em|til|till|n|bout|cause|cos|cuz|round|nuff|s|t|m)\b)", re.IGNORECASE
)
_SINGLE_CLOSING: Final = re.compile(r"'(?!\w)")  # typed where the opening one was "improved"


class _Open(NamedTuple):
    """How many brackets of a kind may be open: at least and at most."""

    least: int = 0
    most: int = 0


def unbalanced(text: str) -> Refusal | None:
    """Refuse brackets and quotation marks without a partner."""
    if not _ANY.search(text):
        return None
    mark = _lonely_bracket(text) or _lonely_quote(text)
    return None if mark is None else Refusal(Reason.UNBALANCED, f"A {mark} in it has no partner.")


def _lonely_bracket(text: str) -> str | None:
    """Each kind by itself: nobody minds `([)]`, and a smiley may close what was opened."""
    optional = {place for match in _SMILEY.finditer(text) for place in range(*match.span())}
    open_: dict[str, _Open] = {}
    for place, mark in enumerate(text):
        if mark in _CLOSING:
            least, most = open_.get(mark, _Open())
            open_[mark] = _Open(least + (place not in optional), most + 1)
        elif mark in _OPENING:
            least, most = open_.get(_OPENING[mark], _Open())
            if place not in optional and not most:
                return mark
            open_[_OPENING[mark]] = _Open(max(least - 1, 0), most - (place not in optional))
    return next((mark for mark, (least, _) in open_.items() if least), None)


def _lonely_quote(text: str) -> str | None:
    counts = Counter(text)
    doubles = sum(counts[mark] for mark in _DOUBLE_QUOTES)
    if doubles % 2 and not _MEASURE.search(text):
        return next(mark for mark in _DOUBLE_QUOTES if counts[mark])
    if sum(counts[mark] for mark in _GUILLEMETS) % 2:
        return next(mark for mark in _GUILLEMETS if counts[mark])
    # ’ closes and is an apostrophe: there may be more of it, but not fewer.
    if "‘" in text and "‚" not in text:
        closing = counts["’"] + len(_SINGLE_CLOSING.findall(text))
        return "‘" if len(_SINGLE_OPENING.findall(text)) > closing else None
    return None
