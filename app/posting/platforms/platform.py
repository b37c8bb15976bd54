"""The Platform protocol: what delivery asks of a place that takes posts."""

from typing import Protocol


class Platform(Protocol):
    """A kind of place. Called without an open transaction, since it may wait for a network."""

    max_characters: int

    async def publish(self, text: str, *, idempotency_key: str) -> str:
        """Put a post there; returns the place's own name for it. The same key twice is the same post."""
        ...
