"""What can go wrong with trainings."""

from app.errors import Conflict, InvalidInput, NotFound, Problem, Unusable


class TrainingNotFound(NotFound):
    """No training of that number."""

    type = "training-not-found"
    title = "There is no such training"


class EmptyPersona(Conflict):
    """A training was asked for a persona without posts."""

    type = "no-posts"
    title = "This persona has no posts to learn from"


class UnknownPreset(InvalidInput):
    """A preset that does not exist."""

    type = "unknown-preset"
    title = "There is no such preset"


class CorpusTooSmall(Unusable):
    """Too few posts to learn from; on a training's row, since its child process found it out."""

    type = "corpus-too-small"
    title = "The corpus is too small to learn from"


class TrainingFailed(Problem):
    """A training ended without a model; on its row."""

    type = "training-failed"
    title = "The training failed"
