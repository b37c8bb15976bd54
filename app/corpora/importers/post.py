"""A post as an importer hands it on, and what was left out instead, with the reason and the place."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.corpora.errors import MalformedFile
from app.corpora.importers import instants
from ml.text.cleaning import clean, decode_entities, is_repost

# The longest post that any large platform takes (X, long posts).
TEXT_LIMIT_CHARACTERS: Final = 25_000

ID_LIMIT_CHARACTERS: Final = 200

_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

# What a spreadsheet makes of a long number: 9.20062E+17. Many posts share the rounded id, so it is none.
_ROUNDED_ID: Final = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+")


class ExclusionReason(StrEnum):
    """Why an entry of a file is no post to learn from; the values are what the API says."""

    REPOST = "repost"
    EMPTY = "empty"
    NOTHING_LEFT_AFTER_CLEANING = "nothing_left_after_cleaning"
    NO_TEXT_FIELD = "no_text_field"
    TOO_LONG = "too_long"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Post:
    """One post as it was posted, with entities decoded; links and line breaks are kept.

    created_at: in UTC. position: the place in the file, for people ("line 12").
    """

    text: str
    external_id: str | None
    created_at: datetime | None
    position: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """An entry of the file that does not become a post."""

    reason: ExclusionReason
    position: str


def to_post(
    text: object, *, position: str, external_id: object = None, created_at: object = None, reposted: bool = False
) -> Post | Excluded:
    """The post in the fields of an entry, as the file has them, or why there is none.

    reposted: the file itself says that the post is somebody else's. Raises MalformedFile.
    """
    if not isinstance(text, str):
        return Excluded(ExclusionReason.NO_TEXT_FIELD, position)
    # Twice, as some exports encode twice. Blanks around a post are the file's: no platform keeps them.
    text = storable(decode_entities(decode_entities(text))).strip()
    reason = _exclusion(text, reposted=reposted)
    if reason is not None:
        return Excluded(reason, position)
    return Post(text, _to_id(external_id, position), instants.parse(created_at), position)


def storable(text: str) -> str:
    """Text that a database and UTF-8 take: no NUL, and no half of a surrogate pair."""
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", ""))


def _exclusion(text: str, *, reposted: bool) -> ExclusionReason | None:
    if reposted or is_repost(text):
        return ExclusionReason.REPOST
    if not text:
        return ExclusionReason.EMPTY
    if len(text) > TEXT_LIMIT_CHARACTERS:
        return ExclusionReason.TOO_LONG
    if not clean(text):
        return ExclusionReason.NOTHING_LEFT_AFTER_CLEANING
    return None


def _to_id(value: object, position: str) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedFile(
            f"The id at {position} is neither text nor a whole number. Write it as text, or leave it out.",
            position=position,
        )
    external_id = storable(value).strip()
    if len(external_id) > ID_LIMIT_CHARACTERS:
        raise MalformedFile(
            f"The id at {position} has {len(external_id)} characters; an id has at most {ID_LIMIT_CHARACTERS}. "
            "Check which field holds the id, or leave it out.",
            position=position,
        )
    return None if _ROUNDED_ID.fullmatch(external_id) else external_id or None
