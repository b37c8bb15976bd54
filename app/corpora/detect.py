"""Which importer reads a file: found from its content, never from its name."""

import json
from pathlib import Path

from app.corpora.errors import EmptyCorpus, UnknownFormat
from app.corpora.importers import Format, twitter_archive
from app.corpora.importers.comma_separated import has_text_column

SAMPLE_BYTES = 1 << 16
ZIP_MAGIC = b"PK"
KNOWN = "plain text (a post a line), JSON Lines, CSV with a header, or a Twitter archive of 2012-2018 as a zip"


def detect(path: Path) -> Format:
    """The format of a file. Raises EmptyCorpus, UnknownFormat, and for a zip what opening it raises."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if sample.startswith(ZIP_MAGIC):
        return _of_zip(path)
    if not sample.strip():
        raise EmptyCorpus("The file is empty.")
    if b"\0" in sample and not sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnknownFormat(f"This is no text file. What can be read: {KNOWN}.")
    return _of_text(sample.decode("utf-8-sig", "replace").lstrip())


def _of_zip(path: Path) -> Format:
    if not twitter_archive.member_names(path):
        raise UnknownFormat(
            "This zip is no Twitter archive of 2012-2018: it has neither data/js/tweets/YYYY_MM.js nor tweets.csv."
        )
    return Format.TWITTER_ARCHIVE


def _of_text(sample: str) -> Format:
    first_line = sample.split("\n", 1)[0].strip()
    if sample.startswith(twitter_archive.MONTH_PREFIX.decode()):
        return Format.TWITTER_ARCHIVE
    if first_line in {"{", "["} or first_line.startswith(("[{", "%PDF-", "<?xml", "<!DOCTYPE")):
        raise UnknownFormat(f"This format is not known here. What can be read: {KNOWN}.")
    if first_line.startswith("{") and _is_json(first_line):
        return Format.JSONL
    if has_text_column(first_line) and ("," in first_line or "\t" in first_line or ";" in first_line):
        return Format.CSV
    return Format.PLAIN_TEXT


def _is_json(line: str) -> bool:
    # A line longer than the sample is cut: what begins like an object is taken for one, and read as such.
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return len(line) > SAMPLE_BYTES // 4
    return True
