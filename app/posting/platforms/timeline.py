"""The built-in timeline: a post is there as soon as its publication says sent."""


class Timeline:
    """Shows the sent publications of its accounts."""

    max_characters = 280

    async def publish(self, text: str, *, idempotency_key: str) -> str:
        """The publication is the post, and its key the post's name."""
        return idempotency_key
