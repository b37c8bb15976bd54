"""JSON Lines."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.corpora.errors import MalformedFile
from app.corpora.importers import ExclusionReason, Format, Post
from tests.app.corpora.entries import imported, posts, reasons, texts

Written = Callable[[bytes | str], Path]


def test_an_object_a_line_becomes_a_post_with_id_and_date(written: Written) -> None:
    path = written('{"text": "Two\\nlines", "id": 12, "created_at": "2020-01-02T03:04:05Z"}\r\n\r\n{"text": "Bare"}')
    assert imported(path) == [
        Post("Two\nlines", "12", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "line 1"),
        Post("Bare", None, None, "line 3"),
    ]


def test_tweets_as_the_interface_gives_them_are_understood(written: Written) -> None:
    tweet = {"id": 920061541986250800, "id_str": "920061541986250758", "full_text": "whole", "text": "wh…"}
    repost = {"id_str": "2", "full_text": "Not mine", "retweeted_status": {"id_str": "1"}}
    entries = imported(written(f"{json.dumps(tweet)}\n{json.dumps(repost)}\n"))
    assert [(post.text, post.external_id) for post in posts(entries)] == [("whole", "920061541986250758")]
    assert reasons(entries) == {ExclusionReason.REPOST: 1}


def test_halves_of_surrogate_pairs_and_nul_cannot_crash_what_comes_later(written: Written) -> None:
    entries = imported(written(r'{"text": "pair \ud83d\ude00 half \ud83d nul \u0000.", "id": "\udc00\u0000"}'))
    assert texts(entries) == ["pair 😀 half \ufffd nul ."]
    assert posts(entries)[0].external_id == "\ufffd"


def test_objects_without_text_are_counted(written: Written) -> None:
    entries = imported(written('{"id": 1}\n{"text": null}\n{"text": 5}\n{"text": "ok"}'))
    assert texts(entries) == ["ok"]
    assert reasons(entries) == {ExclusionReason.NO_TEXT_FIELD: 3}


@pytest.mark.parametrize(
    "line",
    ['{"text": "cut', "[1]", '"text"', "nonsense", "[" * 100_000, '{"id": ' + "9" * 5_000 + "}", '{"text": "a"} {}'],
    ids=["cut", "array", "string", "word", "nested", "number", "two"],
)
def test_one_bad_line_fails_the_whole_file_and_is_named(written: Written, line: str) -> None:
    path = written('{"text": "good"}\n' * 3 + line + '\n{"text": "good"}\n')
    with pytest.raises(MalformedFile, match="line 4") as raised:
        imported(path, Format.JSONL)
    assert raised.value.extensions["position"] == "line 4"
