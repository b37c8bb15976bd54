"""Words that are not for every ear, by language, out of the package glin-profanity.

Its lists are read as the data that they are; its own filter stays out, for it takes the words of all texts to be
English and finds them inside others.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_FILES: Final = {
    "ar": "arabic",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "hi": "hindi",
    "hu": "hungarian",
    "it": "italian",
    "ja": "japanese",
    "ko": "korean",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "th": "thai",
    "tr": "turkish",
    "zh": "chinese",
}
LANGUAGES: Final = frozenset(_FILES)
"""ISO 639 codes of the languages that there is a list for."""


def words_of(language: str) -> tuple[str, ...]:
    """The list of one of LANGUAGES. Raises OSError, LookupError, ValueError when the package is not as we know it."""
    spec = find_spec("glin_profanity")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package glin-profanity is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "dictionaries"
    words = json.loads((folder / f"{_FILES[language]}.json").read_text(encoding="utf-8"))["words"]
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        raise ValueError(f"the list of {language} is not a list of words")
    return tuple(words)
