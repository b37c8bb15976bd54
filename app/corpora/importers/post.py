"""Post and Excluded: what every importer yields, and the rules that all of them share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from ml.text.cleaning import clean, decode_entities, is_repost

TWITTER_TIME = "%a %b %d %H:%M:%S %z %Y"
LONGEST_ID = 200
# Far beyond any platform's longest post.
LONGEST_POST = 50_000


class ExclusionReason(StrEnum):
    """Why an entry is no post to learn from; the values are what the counts say."""

    EMPTY = "empty"
    REPOST = "repost"
    ONLY_LINKS = "only_links"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Post:
    """One post as it was posted, with entities decoded; links stay until a training cleans them."""

    text: str
    external_id: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Excluded:
    """An entry that was left out."""

    reason: ExclusionReason


def post_of(
    text: str, *, external_id: str | None = None, created_at: datetime | None = None, reposted: bool = False
) -> Post | Excluded:
    """The post of a raw text, or why it is none. `reposted`: the export itself says so."""
    # NUL has no place in a database's text, and half a surrogate pair none in UTF-8.
    text = text.replace("\0", "").encode("utf-8", "replace").decode()
    text = _entities_decoded(text).strip()
    if not text:
        return Excluded(ExclusionReason.EMPTY)
    if reposted or is_repost(text):
        return Excluded(ExclusionReason.REPOST)
    if len(text) > LONGEST_POST:
        return Excluded(ExclusionReason.TOO_LONG)
    if not clean(text):
        return Excluded(ExclusionReason.ONLY_LINKS)
    return Post(text=text, external_id=external_id, created_at=created_at)


def _entities_decoded(text: str) -> str:
    """Some exports encode twice: `&amp;lt;`."""
    return decode_entities(decode_entities(text))


def external_id_of(value: object) -> str | None:
    """An id as text; None where there is none that could be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    name = str(value).replace("\0", "").strip()
    return name if 0 < len(name) <= LONGEST_ID else None


def time_of(value: object) -> datetime | None:
    """An instant in UTC from ISO 8601, Twitter's form, RFC 2822 or unix seconds; None where it is none of them.

    A time is beside the point of a corpus: one that cannot be read costs nobody the post.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if not isinstance(value, str) or not value.strip():
            return None
        moment = _parsed(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _parsed(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        pass
    for form in (TWITTER_TIME, "%Y-%m-%d %H:%M:%S %z"):
        try:
            return datetime.strptime(value, form)  # noqa: DTZ007  both forms hold an offset
        except ValueError:
            continue
    return parsedate_to_datetime(value)
