"""Export formats as they are found in the wild, counted a second time without the importers."""

import csv
import io
import zipfile
from html import unescape
from pathlib import Path

import pytest

from app.corpora.detect import detect
from app.corpora.errors import BrokenEncoding, UnknownFormat
from app.corpora.importers import ExclusionReason, Format
from tests.app.corpora.entries import imported, posts, reasons, texts


@pytest.fixture
def archives(benchmark_data: Path) -> Path:
    return benchmark_data / "archives"


def test_the_months_of_an_archive_hold_what_its_own_table_says(archives: Path) -> None:
    path = archives / "congressedits-bot-en.zip"
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("tweets.csv").decode())))
    entries = imported(path)
    own = {row["tweet_id"]: row for row in rows if not row["retweeted_status_id"]}
    found = {post.external_id or "": post for post in posts(entries)}
    assert found.keys() == own.keys()
    assert len(found) == 2290
    assert reasons(entries) == {ExclusionReason.REPOST: len(rows) - len(own)} == {ExclusionReason.REPOST: 23}
    for tweet_id, row in own.items():
        assert found[tweet_id].text == unescape(unescape(row["text"]))  # one was encoded twice
        assert f"{found[tweet_id].created_at:%Y-%m-%d %H:%M:%S} +0000" == row["timestamp"]


def test_a_month_of_an_archive_is_read_by_itself(archives: Path) -> None:
    path = archives / "grailbird-2017_06.js"
    assert len(texts(imported(path))) == path.read_text(encoding="utf-8").count('\n  "id_str" : ') == 60


def test_the_table_of_an_archive_is_read_by_itself(archives: Path) -> None:
    path = archives / "tweets-2012.sample40.csv"
    assert detect(path) is Format.CSV
    found = posts(imported(path))
    assert len(found) == 40
    assert all(post.external_id and post.created_at for post in found)


def test_a_list_of_titles_with_a_header_is_a_title_a_post(archives: Path) -> None:
    entries = imported(archives / "hacker_news_2000.txt")
    assert reasons(entries) == {ExclusionReason.HEADER: 1}
    assert len(texts(entries)) == 2000
    assert not any("\r" in text for text in texts(entries))


def test_newspaper_columns_are_a_paragraph_a_post(archives: Path) -> None:
    path = archives / "portuguese-columns.txt"
    paragraphs = path.read_text(encoding="utf-8").split("\n")[:-1]
    entries = imported(path)
    assert texts(entries) == [paragraph.strip() for paragraph in paragraphs if paragraph.strip()]
    assert reasons(entries) == {ExclusionReason.EMPTY: sum(not paragraph.strip() for paragraph in paragraphs)}


def test_a_table_in_a_broken_encoding_says_where_it_breaks(archives: Path) -> None:
    path = archives / "hostile-encoding.csv"
    assert detect(path) is Format.CSV
    with pytest.raises(BrokenEncoding, match="line 5, byte offset 921"):
        imported(path)


def test_the_same_table_is_read_whole_once_it_is_text(archives: Path, tmp_path: Path) -> None:
    path = tmp_path / "converted"
    path.write_text((archives / "hostile-encoding.csv").read_bytes().decode("latin-1"), encoding="utf-8", newline="")
    entries = imported(path)
    with path.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(entries) == len(rows) == 3207
    assert any("\n" in text for text in texts(entries))


def test_a_bluesky_repository_is_not_taken_for_text(archives: Path) -> None:
    with pytest.raises(UnknownFormat, match="Bluesky"):
        detect(archives / "fakermaker.repo.car")


def test_the_corpus_of_the_first_bot_is_read_with_its_reposts_left_out(benchmark_data: Path) -> None:
    path = benchmark_data / "trump" / "TrumpTweets.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    entries = imported(path)
    assert len(entries) == len(lines)
    assert reasons(entries)[ExclusionReason.REPOST] == sum(line.lstrip().startswith("RT @") for line in lines)
    assert not any("&amp;" in text for text in texts(entries))
