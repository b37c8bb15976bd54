"""What can go wrong with sampling."""

from typing import ClassVar

from app.errors import Conflict, InvalidInput, Problem, Unusable


class NoModelYet(Conflict):
    """The persona has no promoted model."""

    type = "no-model-yet"
    title = "This persona cannot speak yet"


class PromptTooLong(InvalidInput):
    """A prompt beyond the limit."""

    type = "prompt-too-long"
    title = "The prompt is too long"


class NoSentence(Unusable):
    """Under these controls no sentence came out."""

    type = "no-sentence"
    title = "No sentence fits these controls"


class Busy(Problem):
    """No core was free to sample on for a while."""

    type = "busy"
    title = "The service is busy"
    status = 503
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}
    passes = True


class ModelUnavailable(Problem):
    """The artifact of the promoted version is missing or damaged."""

    type = "model-unavailable"
    title = "The model cannot be loaded"
    status = 503
