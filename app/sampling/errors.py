"""What can go wrong with sampling.

Problem
├── InvalidInput
│   ├── PromptTooLong      422  a prompt beyond the limit
│   └── EmptyText          422  nothing to read
├── Conflict
│   └── NoModelYet         409  nobody to speak or to read
├── Unusable
│   ├── NoSentence         422  no sentence fits the controls
│   └── NoAuthor           422  no persona could have written it
├── Busy                   429  too much is waiting
├── HungUp                 499  the client went away
├── TookTooLong            503  a text could not be read in time
└── ModelUnavailable       503  an artifact that is missing or damaged
"""

from app.errors import Conflict, InvalidInput, Problem, Unusable


class NoModelYet(Conflict):
    """The persona has no promoted model."""

    type = "no-model-yet"
    title = "This persona cannot speak yet"


class PromptTooLong(InvalidInput):
    """A prompt beyond the limit."""

    type = "prompt-too-long"
    title = "The prompt is too long"


class EmptyText(InvalidInput):
    """A text in which there is nothing to read."""

    type = "empty-text"
    title = "The text is empty"


class NoAuthor(Unusable):
    """Every model that was asked rules the text out."""

    type = "no-author"
    title = "No persona could have written this"


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


class TookTooLong(Problem):
    """What could not be read or said in time."""

    type = "took-too-long"
    title = "This took too long"
    status = 503
    passes = True


class ModelUnavailable(Problem):
    """The artifact of the promoted version is missing or damaged."""

    type = "model-unavailable"
    title = "The model cannot be loaded"
    status = 503


class StoreUnavailable(Problem):
    """The store of artifacts does not answer, or there is no room for a copy."""

    type = "store-unavailable"
    title = "The store of models cannot be read"
    status = 503
    passes = True
