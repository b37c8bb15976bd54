"""What is asked for in every row, over HTTP and without it: one persona's default sentences."""

import json

from app.sampling.service import TEMPERATURE
from ml.sampling.controls import Controls


def path(handle: str) -> str:
    """Where a persona speaks."""
    return f"/api/v1/personas/{handle}/sentences"


def body(n: int) -> str:
    """n sentences with the defaults of the service; the seed differs from request to request."""
    return json.dumps({"n": n})


def controls() -> Controls:
    """The same for ml.sampling."""
    return Controls(temperature=TEMPERATURE)
