"""What can go wrong with sampling."""

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
    """More sentences wait than can be drawn in some seconds."""

    type = "busy"
    title = "The service is busy"
    status = 429
    passes = True

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class HungUp(Problem):
    """The client closed its connection; nobody reads this."""

    type = "hung-up"
    title = "The client went away"
    status = 499


class ModelUnavailable(Problem):
    """The artifact of the promoted version is missing or damaged."""

    type = "model-unavailable"
    title = "The model cannot be loaded"
    status = 503
