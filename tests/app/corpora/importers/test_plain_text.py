"""Plain text: a post a line."""

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest

from app.corpora.errors import BrokenEncoding
from app.corpora.importers import ExclusionReason, Format
from tests.app.corpora.entries import imported, posts, reasons, texts

Written = Callable[[bytes | str], Path]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_break_ends_a_post(written: Written, line_break: str) -> None:
    entries = imported(written(line_break.join(["One post.", "", "Another."])))
    assert [(post.text, post.position) for post in posts(entries)] == [("One post.", "line 1"), ("Another.", "line 3")]
    assert reasons(entries) == {ExclusionReason.EMPTY: 1}


def test_separators_inside_a_line_end_no_post(written: Written) -> None:
    assert texts(imported(written("one\u2028post\u0085here\x0bstill\nnext"))) == [
        "one\u2028post\u0085here\x0bstill",
        "next",
    ]


def test_a_first_line_that_names_a_column_is_no_post(written: Written) -> None:
    entries = imported(written("title\r\nA headline, and more\r\ntitle\r\n"))
    assert texts(entries) == ["A headline, and more", "title"]
    assert reasons(entries) == {ExclusionReason.HEADER: 1}


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_a_byte_order_mark_tells_the_encoding(written: Written, mark: bytes, encoding: str) -> None:
    path = written(mark + "Grüße 🐦\r\n안녕하세요\r\n".encode(encoding))
    assert texts(imported(path)) == ["Grüße 🐦", "안녕하세요"]


def test_broken_bytes_are_named_by_line_and_offset_however_far_into_the_file(written: Written) -> None:
    before = "Grüße 🐦\r\n".encode() * 20_000
    with pytest.raises(BrokenEncoding, match="line 20001, byte offset 280003") as raised:
        imported(written(before + b"caf\xe9 au lait\r\n"), Format.PLAIN_TEXT)
    assert raised.value.extensions == {"line": 20_001, "byte_offset": len(before) + 3}


def test_broken_bytes_after_a_byte_order_mark_are_counted_from_the_start_of_the_file(written: Written) -> None:
    with pytest.raises(BrokenEncoding, match="line 2, byte offset 9"):
        imported(written(codecs.BOM_UTF8 + b"one\ntw\xff"), Format.PLAIN_TEXT)


def test_a_file_that_ends_inside_a_character_is_broken(written: Written) -> None:
    with pytest.raises(BrokenEncoding, match="line 1, byte offset 3"):
        imported(written(b"abc\xf0\x9f"), Format.PLAIN_TEXT)


def test_utf_16_that_is_cut_short_is_broken(written: Written) -> None:
    with pytest.raises(BrokenEncoding, match="UTF-16-LE at line 2"):
        imported(written(codecs.BOM_UTF16_LE + "one\ntwo".encode("utf-16-le")[:-1]), Format.PLAIN_TEXT)
