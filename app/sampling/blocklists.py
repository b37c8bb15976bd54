"""Blocklists: the operator's, those of languages and those of personas, read once and put together for a persona."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from app.errors import Problem
from app.personas.filter_policy import FilterPolicy
from app.personas.languages import primary
from app.personas.word_lists import LANGUAGES, words_of
from app.sampling.filters.blocklist import Blocklist

DEFAULT_LANGUAGE: Final = "en"
_COMMENT: Final = "#"
_KEPT: Final = 256  # of lists made ready: each is some hundred words


class BrokenBlocklist(Problem):
    """A list of blocked words cannot be read. A service that would say them all the same does not start."""

    type = "broken-blocklist"
    title = "A blocklist cannot be read"


class Blocklists:
    """One a process. operators: words that no persona says. by_language: words by ISO 639 code."""

    def __init__(self, operators: Sequence[str] = (), *, by_language: Mapping[str, Sequence[str]]) -> None:
        self._operators = tuple(operators)
        self._by_language = {language: tuple(words) for language, words in by_language.items()}

    @classmethod
    def open(cls, path: Path | None) -> Self:
        """Read the lists of languages and the operator's file, if there is one. Raises BrokenBlocklist."""
        try:
            by_language = {language: words_of(language) for language in LANGUAGES}
        except (OSError, LookupError, ValueError) as error:
            raise BrokenBlocklist(
                f"The words of the package glin-profanity cannot be read: {error}. Install what constraints.txt says."
            ) from error
        return cls(() if path is None else read_words(path), by_language=by_language)

    def of(self, policy: FilterPolicy, *, language: str | None) -> list[Blocklist]:
        """The lists that apply to a persona. language: the persona's own, which counts where its policy names none."""
        languages = policy.blocklist_languages
        if languages is None:
            languages = [primary(language or DEFAULT_LANGUAGE)]
        lists = [tuple(policy.blocked_words), self._operators]
        lists += [self._by_language.get(code, ()) for code in dict.fromkeys(languages)]
        return [_ready(words) for words in lists if words]


def read_words(path: Path) -> list[str]:
    """A word or phrase a line; blank lines and those that begin with # are left out. Raises BrokenBlocklist."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except OSError as error:
        raise BrokenBlocklist(
            f"MYNAH_BLOCKLIST: {path} cannot be read ({error.strerror}). Name a text file that the service may read."
        ) from error
    except UnicodeDecodeError as error:
        raise BrokenBlocklist(f"MYNAH_BLOCKLIST: {path} is not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    return [word for line in lines if (word := line.strip()) and not word.startswith(_COMMENT)]


@lru_cache(maxsize=_KEPT)
def _ready(words: tuple[str, ...]) -> Blocklist:
    return Blocklist(words)
