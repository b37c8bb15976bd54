"""mention, address: the text would notify somebody, or gives an e-mail address away."""

import re
from collections.abc import Collection
from typing import Final

from app.sampling.filters.refusal import Filter, Reason, Refusal

EVERYBODY: Final = "*"
_AT: Final = "@＠"

# What any of the platforms would make a mention of: X and Mastodon take an @ after anything but a word, Mastodon adds
# the server (@name@host), Bluesky names have dots. After a slash it is part of a link.
_MENTION: Final = re.compile(
    rf"(?<![\w/])[{_AT}]([A-Za-z0-9_]+(?:[.-]+[A-Za-z0-9_]+)*(?:[{_AT}][A-Za-z0-9_]+(?:[.:-]+[A-Za-z0-9_]+)*)?)"
)
_ADDRESS: Final = re.compile(rf"(?<![{_AT}\w.+-])[\w.+-]+[{_AT}]\w[\w-]*(?:\.\w[\w-]*)+")


def mention(allowed: Collection[str]) -> Filter:
    """Refuse `@name`, `@name@server` and e-mail addresses that are not listed. allowed: without the @; `*` is anybody.

    An address is none of a mention, but a model that says one has it out of somebody's posts.
    """
    names = frozenset(name.lower() for name in allowed)

    def check(text: str) -> Refusal | None:
        if not any(at in text for at in _AT):
            return None
        if EVERYBODY not in names:
            for name in _MENTION.findall(text):
                if _plain(name) not in names:
                    return Refusal(Reason.MENTION, f"It mentions @{name}.")
        for address in _ADDRESS.findall(text):
            if _plain(address.rstrip(".-+")) not in names:
                return Refusal(Reason.ADDRESS, f"It gives the address {address}.")
        return None

    return check


def _plain(name: str) -> str:
    return name.replace("＠", "@").lower()
