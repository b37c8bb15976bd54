"""What a sender makes long must not be held in memory."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.corpora.errors import LineTooLong
from app.corpora.importers import IMPORTERS, Format

TEN_MEGABYTES = 10_000_000
ONE_LINE = {
    Format.PLAIN_TEXT: ("", "x", ""),
    Format.JSONL: ('{"text": "', "x", '"}'),
    Format.CSV: ("id,text\n1,", "x", ""),
    Format.TWITTER_ARCHIVE: ('Grailbird.data.tweets_2017_06 = [ {"text" : "', "x", '"} ]'),
}


@contextmanager
def peak_below(limit_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < limit_bytes


@pytest.mark.parametrize("file_format", list(Format))
def test_a_line_of_ten_megabytes_is_refused_in_bounded_memory(
    written: Callable[[bytes | str], Path], file_format: Format
) -> None:
    start, filling, end = ONE_LINE[file_format]
    path = written(start + filling * TEN_MEGABYTES + end)
    with peak_below(8_000_000), pytest.raises(LineTooLong, match=r"line [12]|item 1"):
        list(IMPORTERS[file_format](path))


def test_a_quotation_mark_that_never_closes_does_not_swallow_the_file(
    written: Callable[[bytes | str], Path],
) -> None:
    path = written('id,text\n1,fine\n2,"never closed\n' + "3,another line\n" * 600_000)
    with peak_below(8_000_000), pytest.raises(LineTooLong, match="line 3"):
        list(IMPORTERS[Format.CSV](path))


@pytest.mark.parametrize("file_format", list(Format))
def test_a_long_file_of_short_posts_is_read_in_bounded_memory(
    written: Callable[[bytes | str], Path], file_format: Format
) -> None:
    post = "RT @somebody: " + "many words " * 30  # left out early, so quick
    item = f'{{"text": "{post}", "id_str": "1"}}'
    long = {
        Format.PLAIN_TEXT: f"{post}\n" * 10_000,
        Format.JSONL: f"{item}\n" * 10_000,
        Format.CSV: "id,text\n" + f"1,{post}\n" * 10_000,
        Format.TWITTER_ARCHIVE: f"Grailbird.data.tweets_2017_06 = [{item}" + f", {item}" * 9_999 + "]",
    }
    path = written(long[file_format])
    with peak_below(2_000_000):
        assert sum(1 for _ in IMPORTERS[file_format](path)) == 10_000
