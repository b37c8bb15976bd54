"""Refusal: why a text is not said. Filter: what looks at a finished text and lets it pass or refuses it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Reason(StrEnum):
    """Which filter refused; counted by day, named in answers, and never renamed."""

    COPIED = "copied"
    REPEATED = "repeated"
    UNBALANCED = "unbalanced"
    BLOCKED = "blocked"
    MENTION = "mention"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A text is not to be said.

    detail: what is wrong with this text, for whoever looks into it. It may quote the text, so it belongs in no log.
    """

    reason: Reason
    detail: str


Filter: TypeAlias = Callable[[str], Refusal | None]
"""None lets the text pass. It never raises, whatever the text, and is called in any thread for every candidate."""
