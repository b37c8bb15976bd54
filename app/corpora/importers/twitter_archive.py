"""The archive that Twitter gave out from 2012 to 2018: a zip with a script of tweets a month, or one such script.

Archives since 2018 (`data/tweets.js`) are another format.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipInfo

from app.corpora.errors import MalformedFile, UnknownFormat
from app.corpora.importers import comma_separated, zip_members
from app.corpora.importers.decoded_text import LINE_LIMIT_CHARACTERS, file_chunks, text_chunks, too_long
from app.corpora.importers.post import Excluded, Post, to_post
from app.corpora.importers.zip_members import ZipMembers, open_zip

SCRIPT_START: Final = "Grailbird.data.tweets_"

# A folder may lie around it all when somebody has unpacked the archive and packed it again.
_MONTH: Final = re.compile(r"(?:.*/)?(?P<name>data/js/tweets/[0-9]{4}_[0-9]{2}\.js)", re.DOTALL)
_TABLE: Final = re.compile(r"(?:[^/]*/)?tweets\.csv")
_JUNK_FOLDER: Final = "__MACOSX/"

_ASSIGNMENT: Final = re.compile(r"\s*Grailbird\.data\.tweets_[0-9]{4}_[0-9]{2}\s*=\s*\[")
_ASSIGNMENT_LIMIT_CHARACTERS: Final = 2**12
_NO_BLANK: Final = re.compile(r"[^ \t\n\r]")
_LONGEST_TOKEN_CHARACTERS: Final = len('"\\ud83d\\ude00"')
_DECODER: Final = json.JSONDecoder()


def read(path: Path) -> Iterator[Post | Excluded]:
    """The tweets of the archive, a month after the other, or those of one month's script."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if not head.startswith(zip_members.SIGNATURES):
        yield from _read_month(text_chunks(file_chunks(path)), within="")
        return
    with open_zip(path) as members:
        months, table = _tweet_members(members)
        for name, member in months:
            yield from _read_month(text_chunks(members.chunks(member), within=f"{name} "), within=f"{name} ")
        if not months and table is not None:
            within = "tweets.csv "
            yield from comma_separated.read_table(text_chunks(members.chunks(table), within=within), within=within)


def check_archive(path: Path) -> None:
    """Raises UnknownFormat for a zip that is no such archive, CorruptArchive and ArchiveTooLarge."""
    with open_zip(path) as members:
        _tweet_members(members)


def _tweet_members(members: ZipMembers) -> tuple[list[tuple[str, ZipInfo]], ZipInfo | None]:
    """The months with their names, oldest first, and the table that says the same in fewer fields."""
    ours = {name: member for name, member in members.by_name.items() if not name.startswith(_JUNK_FOLDER)}
    months = sorted(
        ((match["name"], member) for name, member in ours.items() if (match := _MONTH.fullmatch(name))),
        key=lambda named: named[0],
    )
    table = next((member for name, member in ours.items() if _TABLE.fullmatch(name)), None)
    if not months and table is None:
        raise UnknownFormat(
            "This zip file has neither data/js/tweets/*.js nor tweets.csv, so it is no Twitter archive of 2012-2018, "
            "the only archive that can be read. From another, upload a file of its posts as CSV, JSON Lines or plain "
            "text."
        )
    return months, table


def _read_month(texts: Iterable[str], *, within: str) -> Iterator[Post | Excluded]:
    for number, tweet in enumerate(_items(iter(texts), within=within), start=1):
        yield to_post(
            tweet.get("text"),
            position=f"{within}item {number}",
            # The number `id` went through JavaScript, which rounds it.
            external_id=tweet.get("id_str"),
            created_at=tweet.get("created_at"),
            reposted=bool(tweet.get("retweeted_status")),
        )


def _items(texts: Iterator[str], *, within: str) -> Iterator[dict[str, object]]:
    """The objects of `Grailbird.data.tweets_2017_06 = [{…}, {…}]`, one at a time."""
    script = _Script(texts, within=within)
    script.take_assignment()
    if script.next_character() != "]":
        yield script.take_object()
        while script.next_character() == ",":
            script.skip_character()
            yield script.take_object()
    script.take_end()


class _Script:
    """A script that comes in pieces, as far as it has been read."""

    def __init__(self, texts: Iterator[str], *, within: str) -> None:
        self._texts = texts
        self._within = within
        self._text = ""
        self._place = 0  # what lies before it has been taken
        self._item = 0

    def take_assignment(self) -> None:
        while (match := _ASSIGNMENT.match(self._text)) is None:
            if len(self._text) > _ASSIGNMENT_LIMIT_CHARACTERS or not self._read_on():
                raise MalformedFile(
                    f"The script of tweets does not begin with “{SCRIPT_START}YYYY_MM = [” at {self._within}line 1. "
                    "Upload the archive, or a file of its folder data/js/tweets, as Twitter made it.",
                    position=f"{self._within}line 1",
                )
        self._place = match.end()

    def take_object(self) -> dict[str, object]:
        self._item += 1
        if self.next_character() != "{":
            raise self._malformed("an object is missing")
        while True:
            try:
                item, self._place = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                if _is_final(error) or not self._read_on():
                    raise self._malformed(error.msg) from error
                if len(self._text) > LINE_LIMIT_CHARACTERS:
                    raise too_long(self._position) from error
            except (ValueError, RecursionError) as error:
                raise self._malformed("a number too long, or nested too deep") from error
            else:
                return dict(item)

    def take_end(self) -> None:
        """To the very end of the file: only there is its checksum verified."""
        if self.next_character() != "]":
            raise self._malformed("a comma or the closing bracket is missing after it")
        self.skip_character()
        if self.next_character() == ";":
            self.skip_character()
        if self.next_character():
            raise self._malformed("something follows the list that it ends")

    def next_character(self) -> str:
        """The next that is no blank; empty at the end."""
        while (found := _NO_BLANK.search(self._text, self._place)) is None:
            self._place = len(self._text)
            if not self._read_on():
                return ""
        self._place = found.start()
        return found.group()

    def skip_character(self) -> None:
        self._place += 1

    def _read_on(self) -> bool:
        """Whether there was more to read."""
        text = next(self._texts, None)
        if text is None:
            return False
        self._text = self._text[self._place :] + text
        self._place = 0
        return True

    @property
    def _position(self) -> str:
        return f"{self._within}item {self._item}"

    def _malformed(self, reason: str) -> MalformedFile:
        return MalformedFile(
            f"The script of tweets is broken at {self._position}: {reason}. "
            "Upload the archive, or a file of its folder data/js/tweets, as Twitter made it.",
            position=self._position,
        )


def _is_final(error: json.JSONDecodeError) -> bool:
    """Whether no further text could mend it: it lies before the end, and is not a string that goes on to the end."""
    return error.pos + _LONGEST_TOKEN_CHARACTERS < len(error.doc) and not error.msg.startswith("Unterminated string")
