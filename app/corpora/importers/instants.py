"""A date as exports write it → an instant in UTC: ISO 8601, Twitter's two formats, unix seconds or milliseconds."""

import re
from datetime import UTC, datetime
from typing import Final

# 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973.
_LEAST_MILLISECONDS: Final = 100_000_000_000

_UNIX: Final = re.compile(r"[0-9]{9,14}(?:\.[0-9]{1,9})?")

# "Wed Feb 08 12:00:00 +0000 2023". Not strptime, whose names of months follow the locale.
_TWITTER: Final = re.compile(
    r"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[0-9]{2}) (?P<time>[0-9:]{8}) (?P<offset>[+-][0-9]{4}) "
    r"(?P<year>[0-9]{4})"
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}

# "2018-09-27 22:02:22 +0000": ISO 8601 but for the blank.
_BLANK_BEFORE_OFFSET: Final = re.compile(r" (?=[+-][0-9]{2}:?[0-9]{2}$)")


def parse(value: object) -> datetime | None:
    """The instant; None where there is none, or none that is certain: 10/11/12 could be three days.

    A time without a zone is taken as UTC.
    """
    try:
        if isinstance(value, str):
            return _parse_text(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _parse_unix(value)
    except (ValueError, OverflowError, OSError):
        # Nothing is lost but the date; what comes here is in no format that we know, or outside the calendar.
        return None
    return None


def _parse_text(text: str) -> datetime | None:
    if _UNIX.fullmatch(text):
        return _parse_unix(float(text))
    if match := _TWITTER.fullmatch(text):
        month = _MONTHS.get(match["month"], 0)
        text = f"{match['year']}-{month:02}-{match['day']}T{match['time']}{match['offset']}"
    text = _BLANK_BEFORE_OFFSET.sub("", text.removesuffix(" UTC"))
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def _parse_unix(seconds: float) -> datetime:
    if abs(seconds) >= _LEAST_MILLISECONDS:
        seconds /= 1000
    return datetime.fromtimestamp(seconds, tz=UTC)
