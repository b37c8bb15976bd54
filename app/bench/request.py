"""What is asked for in every row, over HTTP and without it: sentences of one persona, cut after 20 tokens."""

import json
from typing import Final

from app.sampling.service import TEMPERATURE
from ml.sampling.controls import Controls

TOKENS: Final = 20


def path(handle: str) -> str:
    """Where a persona speaks."""
    return f"/api/v1/personas/{handle}/sentences"


def body(n: int) -> str:
    """n sentences; the rest as the service has it, the seed another from request to request."""
    return json.dumps({"n": n, "max_tokens": TOKENS})


def controls() -> Controls:
    """The same for ml.sampling."""
    return Controls(temperature=TEMPERATURE, max_tokens=TOKENS)
