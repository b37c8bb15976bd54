"""Where blocked words come from: the package, the operator's file, the persona."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.main import create_app
from app.personas.filter_policy import FilterPolicy
from app.personas.word_lists import LANGUAGES, words_of
from app.sampling.blocklists import Blocklists, BrokenBlocklist, read_words
from app.settings import Settings
from ml.text.folding import folded

LISTS = Blocklists(["operator"], by_language={"en": ["english"], "pt": ["portugues"], "de": ["deutsch"]})


def blocked(text: str, *, language: str | None = None, **policy: object) -> bool:
    lists = LISTS.of(FilterPolicy.model_validate(policy), language=language)
    return any(blocklist.find_in(text) is not None for blocklist in lists)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_of_the_package_has_words(language: str) -> None:
    words = words_of(language)
    assert len(words) > 10
    assert all(folded(word) for word in words)


def test_the_list_of_a_language_blocks_its_words_and_no_numbers() -> None:
    for blocklist in Blocklists.open(None).of(FilterPolicy(), language="en"):
        assert any(blocklist.find_in(word) for word in words_of("en"))
        assert blocklist.find_in("Our gardener waits in the rain, at 7 or 8.") is None


def test_a_persona_is_kept_from_the_words_of_its_own_language() -> None:
    assert blocked("portugues", language="pt-BR")
    assert not blocked("english", language="pt-BR")
    assert blocked("english", language=None)
    assert not blocked("english", language="xx")


def test_the_policy_names_other_languages_or_none() -> None:
    assert blocked("deutsch", language="en", blocklist_languages=["de", "pt"])
    assert not blocked("english", language="en", blocklist_languages=["de"])
    assert not blocked("english", language="en", blocklist_languages=[])


def test_the_operators_words_hold_for_everybody_and_a_personas_for_itself() -> None:
    assert blocked("Operator!", blocklist_languages=[])
    assert blocked("my own phrase", blocked_words=["own phrase"])
    assert not blocked("my own phrase")


def test_the_operators_file_is_a_word_a_line(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_bytes("\ufeff# not these\r\n\r\nblorg\r\n  two words \n坏词\n".encode())
    assert read_words(file) == ["blorg", "two words", "坏词"]
    (blocklist,) = Blocklists.open(file).of(FilterPolicy(blocklist_languages=[]), language="en")
    assert blocklist.find_in("two  words") == "two words"


def not_there(folder: Path) -> Path:
    return folder / "nowhere.txt"


def a_folder(folder: Path) -> Path:
    return folder


def no_text(folder: Path) -> Path:
    file = folder / "words.txt"
    file.write_bytes(b"caf\xe9\n")
    return file


@pytest.mark.parametrize(("spoil", "said"), [(not_there, "No such file"), (a_folder, "directory"), (no_text, "UTF-8")])
def test_a_service_whose_blocklist_cannot_be_read_does_not_start(
    spoil: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "data", blocklist=spoil(tmp_path))
    with pytest.raises(BrokenBlocklist, match=said) as refused:
        create_app(settings)
    assert "MYNAH_BLOCKLIST" in refused.value.detail
