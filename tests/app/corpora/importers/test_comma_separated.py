"""CSV, TSV and the like."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.corpora.errors import LineTooLong, MalformedFile
from app.corpora.importers import ExclusionReason, Format, Post, comma_separated
from tests.app.corpora.entries import imported, posts, reasons, texts

Written = Callable[[bytes | str], Path]

ARCHIVE_HEADER = (
    '"tweet_id","in_reply_to_status_id","in_reply_to_user_id","timestamp","source","text",'
    '"retweeted_status_id","retweeted_status_user_id","retweeted_status_timestamp","expanded_urls"\r\n'
)


def test_the_table_of_a_twitter_archive_is_read_without_its_reposts(written: Written) -> None:
    row = (
        '"12","","","2018-09-27 22:02:22 +0000","<a href=""https://e.org"">w</a>","Hello, ""you"" &amp; me","","","",""'
    )
    repost = '"13","","","2018-09-27 22:02:22 +0000","w","Not mine","9","8","2018-09-27 22:02:22 +0000",""'
    entries = imported(written(f"{ARCHIVE_HEADER}{row}\r\n{repost}\r\n"))
    assert posts(entries) == [Post('Hello, "you" & me', "12", datetime(2018, 9, 27, 22, 2, 22, tzinfo=UTC), "line 2")]
    assert reasons(entries) == {ExclusionReason.REPOST: 1}


@pytest.mark.parametrize(
    "column", ["text", "tweet", "Content", "full_text", "BODY", "status", "message", "Tweet Text", "post", " text "]
)
def test_the_text_column_is_known_by_its_usual_names(written: Written, column: str) -> None:
    assert texts(imported(written(f"user,{column}\nme,hello there\n"))) == ["hello there"]


def test_the_whole_text_is_preferred_to_the_cut_one(written: Written) -> None:
    assert texts(imported(written("text,full_text,status\nhel…,hello,public\n"))) == ["hello"]


@pytest.mark.parametrize(
    ("column", "created_at"),
    [("created_at", "2020-01-01"), ("Timestamp", "1577836800"), ("date", "2020-01-01 00:00:00 +0000"), ("time", "?")],
)
def test_the_date_column_is_known_by_its_usual_names(written: Written, column: str, created_at: str) -> None:
    (post,) = posts(imported(written(f"{column},text\n{created_at},hello\n")))
    assert post.created_at == (None if created_at == "?" else datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("column", ["tweet_id", "id", "id_str", "status_id"])
def test_the_id_column_is_known_by_its_usual_names(written: Written, column: str) -> None:
    (post,) = posts(imported(written(f"{column},text\n77,hello\n")))
    assert post.external_id == "77"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_found_in_the_header(written: Written, delimiter: str) -> None:
    path = written(delimiter.join(["id", "text", "likes"]) + "\n" + delimiter.join(["1", "hello", "3"]) + "\n")
    assert texts(imported(path)) == ["hello"]


def test_line_breaks_inside_quotation_marks_belong_to_the_post(written: Written) -> None:
    path = written('id,text\r\n1,"one\r\ntwo\rthree\nfour"\r\n2,next\r\n')
    assert [(post.text, post.position) for post in posts(imported(path))] == [
        ("one\ntwo\nthree\nfour", "line 2"),
        ("next", "line 6"),
    ]


def test_a_table_whose_lines_end_in_bare_carriage_returns_is_read(written: Written) -> None:
    assert texts(imported(written("id,text\r1,hello\r2,there\r"))) == ["hello", "there"]


def test_blank_lines_are_no_records_and_short_records_have_no_text(written: Written) -> None:
    entries = imported(written("\nid,text,likes\n\n1,hello\n2\n\n"))
    assert texts(entries) == ["hello"]
    assert reasons(entries) == {ExclusionReason.NO_TEXT_FIELD: 1}


def test_flags_that_say_no_make_no_repost(written: Written) -> None:
    entries = imported(written("id,text,isRetweet\n1,mine,f\n2,theirs,t\n3,mine too,\n4,theirs too,TRUE\n"))
    assert texts(entries) == ["mine", "mine too"]
    assert reasons(entries) == {ExclusionReason.REPOST: 2}


def test_a_header_without_a_text_column_is_refused_with_the_columns_that_were_found(written: Written) -> None:
    with pytest.raises(MalformedFile, match="id, created_at, likes") as raised:
        imported(written("id,created_at,likes\n1,2020-01-01,3\n"))
    assert raised.value.extensions["columns"] == ["id", "created_at", "likes"]


def test_a_record_with_more_fields_than_the_header_is_refused_and_named(written: Written) -> None:
    with pytest.raises(MalformedFile, match=r"line 3 has 3 fields where the header has 2"):
        imported(written("id,text\n1,fine\n2,hello, there\n"))


def test_empty_fields_after_the_last_column_are_no_harm(written: Written) -> None:
    assert texts(imported(written("id,text\n1,fine,,\n"))) == ["fine"]


@pytest.mark.parametrize("record", ['2,"never closed', '2,"closed" too early'])
def test_a_quotation_mark_out_of_place_is_refused_and_named(written: Written, record: str) -> None:
    with pytest.raises(MalformedFile, match="line 3"):
        imported(written(f"id,text\n1,fine\n{record}\n"))


def test_a_field_longer_than_the_reader_takes_is_too_long(written: Written) -> None:
    with pytest.raises(LineTooLong, match="line 2"):
        imported(written("id,text\n1," + "x" * (csv.field_size_limit() + 1) + "\n"))


def test_an_empty_table_has_no_posts(written: Written) -> None:
    assert imported(written(""), Format.CSV) == []
    assert imported(written("id,text\n"), Format.CSV) == []


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")), max_size=8), st.data())
def test_what_a_csv_writer_writes_is_read_however_it_comes_in_pieces(fields: list[str], data: st.DataObject) -> None:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["id", "text"])
    writer.writerows([number, field] for number, field in enumerate(fields))
    content = table.getvalue().replace("\r\n", "\n")
    cut = data.draw(st.integers(0, len(content)))
    whole = list(comma_separated.read_table(iter([content])))
    assert list(comma_separated.read_table(iter([content[:cut], content[cut:]]))) == whole
    assert len(whole) == len(fields)
