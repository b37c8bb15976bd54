"""The Twitter archive of 2012-2018: a zip with a JavaScript file a month and one CSV, or one such month by itself.

Nothing is unpacked to disk, so the names inside mean no paths; what is read is bounded before and while it is read.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from app.corpora.errors import ArchiveTooLarge, BrokenEncoding, CorruptArchive, MalformedFile
from app.corpora.importers import comma_separated
from app.corpora.importers.post import Excluded, ExclusionReason, Post, external_id_of, post_of, time_of

MONTH_NAME = re.compile(r"(?:^|/)data/js/tweets/\d{4}_\d{2}\.js$")
CSV_NAME = re.compile(r"(?:^|/)tweets\.csv$")
MONTH_PREFIX = b"Grailbird.data.tweets_"

MOST_MEMBERS = 20_000
MONTH_BYTES = 64 << 20
UNPACKED_BYTES = 2 << 30
# Posts as JSON shrink to a tenth; a bomb to a thousandth.
LARGEST_RATIO = 100
RATIO_MATTERS_BYTES = 16 << 20


def read(path: Path) -> Iterator[Post | Excluded]:
    """The posts of an archive, month by month; of its CSV where it has no months."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield from _month(file, "")
        return
    with _opened(path) as archive:
        try:
            yield from _members(archive)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise CorruptArchive(
                f"The zip breaks off or is damaged ({error}). Download the archive once more."
            ) from error


def member_names(path: Path) -> list[str]:
    """The files of a zip that hold posts: its months, else its CSV. Raises CorruptArchive, ArchiveTooLarge."""
    with _opened(path) as archive:
        return [member.filename for member in _posts_in(archive)]


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise CorruptArchive(f"The zip cannot be opened ({error}). Download the archive once more.") from error


def _posts_in(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise ArchiveTooLarge(f"The zip holds {len(members):,} files; an archive has a few hundred.")
    months = sorted((m for m in members if MONTH_NAME.search(m.filename)), key=lambda m: m.filename)
    chosen = months or [m for m in members if CSV_NAME.search(m.filename)][:1]
    if sum(member.file_size for member in chosen) > UNPACKED_BYTES:
        raise ArchiveTooLarge(f"Its posts would unpack to more than {UNPACKED_BYTES >> 20:,} MB.")
    for member in chosen:
        unpacked, packed = member.file_size, max(member.compress_size, 1)
        if unpacked > RATIO_MATTERS_BYTES and unpacked / packed > LARGEST_RATIO:
            raise ArchiveTooLarge(
                f"{member.filename} would unpack to {unpacked / packed:,.0f} times its size, as no file of posts does."
            )
    return chosen


def _members(archive: zipfile.ZipFile) -> Iterator[Post | Excluded]:
    for member in _posts_in(archive):
        if member.flag_bits & 1:
            raise CorruptArchive("The zip is encrypted. Unpack it, and pack it again without a password.")
        with archive.open(member) as file:
            if CSV_NAME.search(member.filename):
                yield from comma_separated.read_stream(file, where=f"{member.filename}: ")
            else:
                yield from _month(file, f"{member.filename}: ")


def _month(file: IO[bytes], where: str) -> Iterator[Post | Excluded]:
    raw = file.read(MONTH_BYTES + 1)
    if len(raw) > MONTH_BYTES:
        raise ArchiveTooLarge(f"{where}A month of posts is larger than {MONTH_BYTES >> 20} MB.")
    _, _, content = raw.partition(b"=")
    try:
        tweets = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BrokenEncoding(f"{where}Byte {error.start + 1} of its list is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise MalformedFile(f"{where}It holds no list of posts ({error}).") from error
    if not isinstance(tweets, list):
        raise MalformedFile(f"{where}It holds no list of posts.")
    for number, tweet in enumerate(tweets, 1):
        yield _tweet(tweet, f"{where}entry {number}")


def _tweet(tweet: Any, where: str) -> Post | Excluded:
    text = tweet.get("full_text", tweet.get("text")) if isinstance(tweet, dict) else None
    if text is None:
        return Excluded(ExclusionReason.EMPTY)
    if not isinstance(text, str):
        raise MalformedFile(f"{where}: its text is no text.")
    return post_of(
        text,
        # `id` is a JavaScript number there and has lost its last digits; `id_str` has not.
        external_id=external_id_of(tweet.get("id_str")),
        created_at=time_of(tweet.get("created_at")),
        reposted="retweeted_status" in tweet,
    )
