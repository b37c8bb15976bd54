"""What can go wrong with personas."""

from app.errors import Conflict, NotFound


class PersonaNotFound(NotFound):
    """No persona of that handle."""

    type = "persona-not-found"
    title = "There is no such persona"


class PersonaBusy(Conflict):
    """Something is being stored for this persona at this moment."""

    type = "persona-busy"
    title = "This persona is busy"


class HandleTaken(Conflict):
    """Another persona has this handle."""

    type = "handle-taken"
    title = "This handle is taken"
