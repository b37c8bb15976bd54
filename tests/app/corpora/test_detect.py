"""Which format a file is in."""

import gzip
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.corpora.detect import detect
from app.corpora.errors import EmptyCorpus, UnknownFormat
from app.corpora.importers import IMPORTERS, Excluded, Format, Post
from app.errors import Problem

Written = Callable[[bytes | str], Path]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A post.\nAnother, with a comma.\n", Format.PLAIN_TEXT),
        ("One post without a line break", Format.PLAIN_TEXT),
        ("{laughs} a post\n[Verse 1]\n", Format.PLAIN_TEXT),
        ("Text, message me\nif you like\n", Format.PLAIN_TEXT),
        ("title\r\nA headline, and more\r\n", Format.PLAIN_TEXT),
        ('{"text": "a post"}\n', Format.JSONL),
        ('\n  { "id": 1,\n', Format.JSONL),
        ('{"text": "' + "long " * 50_000 + '"}', Format.JSONL),
        ("id,text\n1,hello\n", Format.CSV),
        ("created_at\ttext\n2020-01-01\thello\n", Format.CSV),
        ("text;likes\nhello;3\n", Format.CSV),
        ("id,created_at\n1,2020-01-01\n", Format.CSV),
        ('text\n"hello, there"\n"you ""two"""\n', Format.CSV),
        ('id,text\n1,"never closed\n2,hello\n', Format.CSV),
        ("Grailbird.data.tweets_2017_06 = \n [ ]", Format.TWITTER_ARCHIVE),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_content_tells_the_format(written: Written, content: str, expected: Format, encoding: str) -> None:
    assert detect(written(content.encode(encoding))) is expected


def test_a_table_in_another_encoding_is_still_told_to_be_one(written: Written) -> None:
    assert detect(written("id,text\n1,café\n".encode("latin-1"))) is Format.CSV


@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_a_file_of_nothing_is_an_empty_corpus(written: Written, content: bytes) -> None:
    with pytest.raises(EmptyCorpus):
        detect(written(content))


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE posts (body TEXT)")
        content = connection.serialize()
    connection.close()
    return content


def office_document() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        png(),
        database(),
        office_document(),
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        gzip.compress(b"a post\n", mtime=0),
        bytes(1_000),
        bytes(range(256)) * 10,
        "a post\n".encode("utf-16-le"),
        "a post\n".encode("utf-32"),
        json.dumps([{"text": "a post"}]).encode(),
        b'window.YTD.tweets.part0 = [\n  {"tweet": {"full_text": "a post"}}]',
        b"<!DOCTYPE html><title>Posts</title>",
        b"{\\rtf1 a post}",
        b"\x3a\xa2eroots\x81\xd8*X%\0\x01q\x12 ",
    ],
)
def test_what_is_none_of_the_formats_is_refused_with_those_that_can_be_read(written: Written, content: bytes) -> None:
    with pytest.raises(UnknownFormat, match="JSON Lines") as raised:
        detect(written(content))
    assert raised.value.status == 415


FRAGMENTS = st.sampled_from(
    [
        *(
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"\xff\xfe",
            b"\xfe\xff",
            b"\xef\xbb\xbf",
            b"\0",
            b"\r",
            b"\n",
            b"\t",
            b'"',
            b",",
        ),
        *(b"[", b"]", b"{", b"}", b'{"text": "', b'"}\n', b'{"text": "a", "id": 1}', b"\\ud83d", b"\\u0000"),
        *(b"id,text\n", b"1,a\n", b"text", b"Grailbird.data.tweets_2017_06 = [", b"RT @a", b"https://t.co/a"),
        *(b"&#", b"&#0;", b"\xed\xa0\x80", b"\xf0\x9f\x90\xa6", b"\xf0\x9f"),
    ]
)
CONTENTS = st.one_of(st.binary(max_size=300), st.lists(FRAGMENTS | st.binary(max_size=6), max_size=20).map(b"".join))


@given(CONTENTS)
@example(b"\xff\xfe\0\xd8")
def test_whatever_the_bytes_reading_ends_in_storable_posts_or_in_a_problem(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_bytes(content)
    with suppress(Problem):
        detect(path)
    for read in IMPORTERS.values():
        try:
            for entry in read(path):
                assert_storable(entry)
        except Problem as problem:
            assert_storable_text(problem.detail)
            assert_storable_text("".join(cast("list[str]", problem.extensions.get("columns", []))))


def assert_storable(entry: Post | Excluded) -> None:
    assert entry.position
    if isinstance(entry, Post):
        assert entry.text.strip()
        assert_storable_text(entry.text)
        assert_storable_text(entry.external_id or "no id")
        assert entry.created_at is None or entry.created_at.utcoffset() == timedelta(0)


def assert_storable_text(text: str) -> None:
    assert text.encode().decode() == text
    assert "\0" not in text
