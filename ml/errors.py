"""The errors that ml raises. Each message says what happened and what to do.

MlError
├── CorpusTooSmall   too few posts, or too little in them, to learn from
├── CorpusError      a corpus file that cannot be read as posts
├── ArtifactError    a model directory that is missing, incomplete, altered or of another version
├── ConfigError      a preset or setting that does not exist or contradicts another
├── TrainingDiverged the loss is no longer a number
├── SamplingError    the controls leave no sentence to draw
│   ├── QueueFull    too many sentences wait already
│   └── OutOfTime    it was not over when its time was
└── EvaluationError  a model that gives no numbers, or too few posts to measure by
"""

from collections.abc import Mapping


class MlError(Exception):
    """Base of everything that ml raises on purpose."""


class CorpusTooSmall(MlError):
    """Too few posts, or too little in them, to learn from."""


class CorpusError(MlError):
    """A corpus file cannot be read as posts."""


class ArtifactError(MlError):
    """A model directory is missing, incomplete, altered or of another version."""


class ConfigError(MlError):
    """A preset or setting does not exist or contradicts another."""


class TrainingDiverged(MlError):
    """The loss is no longer a number."""


class SamplingError(MlError):
    """The controls leave no sentence to draw. reasons: how many attempts were given up, by reason."""

    def __init__(self, message: str, *, reasons: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.reasons = dict(reasons or {})


class QueueFull(SamplingError):
    """Too many sentences wait already. retry_after_seconds: when the queue will have emptied, at the present speed."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class OutOfTime(SamplingError):
    """A request was not over when its time was."""


class EvaluationError(MlError):
    """A model gives no numbers, or there are too few posts to measure it by."""


class Interrupted(Exception):
    """A training was asked to stop and has written its checkpoint. No error: it goes on when it is run again."""
