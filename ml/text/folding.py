"""Texts as a reader compares them: `Hello,  WORLD!` and `hello world` are the same two words.

Only what is shown identically or differs by case, blanks and the punctuation around words is made equal. Accents stay:
in many languages they tell words apart.
"""

import re
import sys
import unicodedata
from typing import Final

UNSPACED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff\u1950-\u19df"  # Burmese, Khmer, Tai Le, New Tai Lue
    "\u3005-\u3007\u3040-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
"""Scripts that put no blanks between words, as the inside of a character class."""

# All of Unicode would take a fifth of a second at every start; above this only dead scripts have punctuation.
_LAST_WITH_PUNCTUATION: Final = 0xFFFF
_ASCII_SYMBOLS: Final = "$+<=>^`|~"


def _punctuation() -> str:
    """Every punctuation character, escaped for a character class."""
    marks = (chr(code) for code in range(min(_LAST_WITH_PUNCTUATION, sys.maxunicode) + 1))
    return re.escape("".join(mark for mark in marks if unicodedata.category(mark)[0] == "P") + _ASCII_SYMBOLS)


_P: Final = _punctuation()
# A character of a script without blanks, or a run of others that begins and ends with no punctuation.
_WORD: Final = re.compile(rf"[{UNSPACED}]|[^\s{_P}{UNSPACED}](?:[^\s{UNSPACED}]*[^\s{_P}{UNSPACED}])?")
_FIRST_UNSPACED: Final = UNSPACED[0]
_UNSPACED_CHARACTER: Final = re.compile(f"[{UNSPACED}]")
_APOSTROPHES: Final = str.maketrans("’‘ʼ＇", "''''")


def folded(text: str) -> str:
    """The text in normal form C, without difference of case, with one blank for any number of them."""
    return " ".join(_folded_letters(text).split())


def folded_words(text: str) -> list[str]:
    """The words of a text as a reader sees them; of a script without blanks, its characters.

    Punctuation at the ends of words is left out, and so are "words" that are nothing else. Emoji are words.
    """
    return _WORD.findall(_folded_letters(text).translate(_APOSTROPHES))


def is_unspaced(word: str) -> bool:
    """Whether the word is a single character of a script without blanks."""
    return word >= _FIRST_UNSPACED and _UNSPACED_CHARACTER.match(word) is not None


def _folded_letters(text: str) -> str:
    # Casefolding may take composed letters apart, hence the second time; for ASCII neither costs anything.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
