"""The archive that Twitter gave out from 2012 to 2018."""

import io
import random
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.corpora.detect import detect
from app.corpora.errors import ArchiveTooLarge, BrokenEncoding, CorruptArchive, MalformedFile, UnknownFormat
from app.corpora.importers import ExclusionReason, Format, zip_members
from app.errors import Problem
from tests.app.corpora.archives import script, tweet, zipped
from tests.app.corpora.entries import imported, posts, reasons, texts

Written = Callable[[bytes | str], Path]

JUNE, JULY = "data/js/tweets/2017_06.js", "data/js/tweets/2017_07.js"
TABLE = '"tweet_id","timestamp","text","retweeted_status_id"\n"1","2017-06-30 17:20:22 +0000","from the table",""\n'


def small_archive(path: Path) -> Path:
    return zipped(path, {JUNE: script("2017_06", [tweet(number, f"post {number}") for number in range(200)])})


def test_the_months_are_read_oldest_first_and_preferred_to_the_table(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "upload",
        {
            "README.txt": "An archive",
            "data/js/tweet_index.js": "var tweet_index = []",
            "tweets.csv": TABLE,
            JULY: script("2017_07", [tweet(3, "July")]),
            JUNE: script("2017_06", [tweet(2, "late June"), tweet(1, "Fish &amp; chips\nhttps://t.co/a")]),
        },
    )
    assert [(post.text, post.external_id, post.position) for post in posts(imported(path))] == [
        ("late June", "1045433493952638002", f"{JUNE} item 1"),
        ("Fish & chips\nhttps://t.co/a", "1045433493952638001", f"{JUNE} item 2"),
        ("July", "1045433493952638003", f"{JULY} item 1"),
    ]


def test_the_table_is_read_where_there_are_no_months(tmp_path: Path) -> None:
    (post,) = posts(imported(zipped(tmp_path / "upload", {"tweets.csv": TABLE})))
    assert (post.text, post.external_id, post.position) == ("from the table", "1", "tweets.csv line 2")


def test_reposts_are_known_by_the_archives_own_flag_and_by_their_start(tmp_path: Path) -> None:
    tweets = [tweet(1, "mine"), tweet(2, "theirs", retweeted_status=tweet(9, "theirs")), tweet(3, "RT @they: theirs")]
    entries = imported(zipped(tmp_path / "upload", {JUNE: script("2017_06", tweets)}))
    assert texts(entries) == ["mine"]
    assert reasons(entries) == {ExclusionReason.REPOST: 2}


def test_an_archive_that_was_packed_again_in_a_folder_is_read(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        f"my archive/{JUNE}": script("2017_06", [tweet(1, "hello")]),
        f"__MACOSX/{JULY}": b"\0junk",
    }
    assert [post.position for post in posts(imported(zipped(tmp_path / "upload", members)))] == [f"{JUNE} item 1"]


def test_a_single_month_is_read_by_itself(written: Written) -> None:
    path = written(script("2017_06", [tweet(1, "hello"), tweet(2, "there")]) + ";\n")
    assert [(post.text, post.position) for post in posts(imported(path))] == [("hello", "item 1"), ("there", "item 2")]


def test_a_month_without_tweets_is_empty(written: Written) -> None:
    assert imported(written("Grailbird.data.tweets_2017_06 = [ ]")) == []


def test_a_month_is_read_across_the_pieces_in_which_it_comes(written: Written) -> None:
    expected = [f"number {number} " + "word " * (number % 50) + "end" for number in range(2_000)]
    path = written(script("2017_06", [tweet(number, text) for number, text in enumerate(expected)]))
    assert texts(imported(path)) == expected


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ('[ {"text": "a"}, {"text": }, {"text": "b"} ]', "item 2"),
        ('[ {"text": "a"} {"text": "b"} ]', "item 1"),
        ('[ {"text": "a"}, ]', "item 2"),
        ('[ {"text": "a"}, 5 ]', "item 2"),
        ('[ {"text": "a"}', "item 1"),
        ('[ {"text": "cut', "item 1"),
        ('[ {"text": "a"} ] and more', "item 1"),
        ('[ {"a": ' + "[" * 100_000, "item 1"),
        ("{}", "line 1"),
        ("", "line 1"),
    ],
)
def test_a_broken_month_is_refused_with_the_place(written: Written, broken: str, place: str) -> None:
    with pytest.raises(MalformedFile, match=place) as raised:
        imported(written("Grailbird.data.tweets_2017_06 = " + broken), Format.TWITTER_ARCHIVE)
    assert raised.value.extensions["position"] == place


def test_an_error_early_in_a_long_month_is_no_line_too_long(written: Written) -> None:
    path = written('Grailbird.data.tweets_2017_06 = [ {"text": oops}' + ', {"text": "x"}' * 200_000 + "]")
    with pytest.raises(MalformedFile, match="item 1"):
        imported(path)


def test_broken_bytes_in_a_member_are_named_with_the_member(tmp_path: Path) -> None:
    path = zipped(tmp_path / "upload", {JUNE: b"Grailbird.data.tweets_2017_06 =\n[ \xe9 ]"})
    with pytest.raises(BrokenEncoding, match=f"{JUNE} line 2, byte offset 34"):
        imported(path)


def test_two_gigabytes_of_zeros_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for month in range(1, 9):
            archive.writestr(f"data/js/tweets/2017_{month:02}.js", b"")
    # Declared only: the sizes in the directory are what a reader has to believe before it reads.
    content = bytearray(path.read_bytes())
    start = -1
    while (start := content.find(b"PK\x01\x02", start + 1)) >= 0:
        struct.pack_into("<L", content, start + 24, 2**28)
    path.write_bytes(content)
    assert path.stat().st_size < 2_000
    for refuse in (detect, imported):
        with pytest.raises(ArchiveTooLarge, match="2147483648"):
            refuse(path)


def test_a_member_that_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "upload", {JUNE: bytes(20 * 2**20)})
    assert path.stat().st_size < 30_000
    with pytest.raises(ArchiveTooLarge, match="100 times"):
        detect(path)


def test_a_header_that_lies_about_the_size_is_found_out(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "upload")
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, content.find(b"PK\x01\x02") + 24, 1_000)
    path.write_bytes(content)
    with pytest.raises((CorruptArchive, MalformedFile)):
        imported(path)


def test_what_is_unpacked_is_counted_across_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tweets = [tweet(number, "hello") for number in range(100)]
    path = zipped(tmp_path / "upload", {JUNE: script("2017_06", tweets), JULY: script("2017_07", tweets)})
    with zip_members.open_zip(path) as members:
        monkeypatch.setattr(zip_members, "UNPACKED_LIMIT_BYTES", members.by_name[JUNE].file_size + 1)
        assert sum(map(len, members.chunks(members.by_name[JUNE]))) == members.by_name[JUNE].file_size
        with pytest.raises(ArchiveTooLarge):
            list(members.chunks(members.by_name[JULY]))


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveTooLarge, match="members"):
        detect(zipped(tmp_path / "upload", {f"{number}": b"" for number in range(zip_members.MEMBERS_LIMIT + 1)}))


def test_a_directory_too_long_to_hold_is_refused_before_it_is_read(written: Written) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, zip_members.DIRECTORY_LIMIT_BYTES + 1, 0, 0)
    with pytest.raises(ArchiveTooLarge, match="directory"):
        detect(written(b"PK\x03\x04" + bytes(100) + end))


def test_an_encrypted_archive_is_refused_with_advice(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "upload")
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x03\x04") + 6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(CorruptArchive, match="password"):
        imported(path)


def test_an_archive_packed_in_a_way_that_lets_its_sender_choose_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(JUNE, script("2017_06", [tweet(1, "hello")]))
    with pytest.raises(CorruptArchive, match="pack it again"):
        imported(path)


def test_an_archive_inside_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = small_archive(tmp_path / "inner")
    with pytest.raises(UnknownFormat):
        detect(zipped(tmp_path / "upload", {"archive.zip": inner.read_bytes()}))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_an_archive_that_is_cut_short_is_corrupt(tmp_path: Path, share: float) -> None:
    content = small_archive(tmp_path / "whole").read_bytes()
    path = tmp_path / "upload"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CorruptArchive):
        detect(path)


def test_a_checksum_that_does_not_fit_is_found_at_the_latest_at_the_end(tmp_path: Path) -> None:
    path = small_archive(tmp_path / "upload")
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 16] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CorruptArchive):
        imported(path)


def test_names_that_lead_out_of_the_archive_lead_nowhere(tmp_path: Path) -> None:
    path = zipped(tmp_path / "upload", {f"../../{JUNE}": script("2017_06", [tweet(1, "hello")])})
    assert [post.position for post in posts(imported(path))] == [f"{JUNE} item 1"]
    assert list(tmp_path.iterdir()) == [path]


@given(st.data())
def test_an_archive_with_damaged_bytes_ends_in_posts_or_in_a_problem(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(JUNE, script("2017_06", [tweet(1, "hello"), tweet(2, "there")]))
        archive.writestr("tweets.csv", TABLE)
    content = bytearray(buffer.getvalue())
    # Headers and directory are the smaller part, and the more interesting one.
    directory = content.find(b"PK\x01\x02")
    places = st.one_of(st.integers(0, 80), st.integers(directory, len(content) - 1), st.integers(0, len(content) - 1))
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, random.Random(place).randrange(256)]))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    with suppress(Problem):
        imported(path, Format.TWITTER_ARCHIVE)
