"""What can go wrong with posting."""

from app.errors import Conflict, InvalidInput, NotFound


class ScheduleNotFound(NotFound):
    """No schedule of that number."""

    type = "schedule-not-found"
    title = "There is no such schedule"


class UnknownAccount(InvalidInput):
    """An account that the persona does not have."""

    type = "unknown-account"
    title = "This persona has no such account"


class InvalidSchedule(InvalidInput):
    """A cron expression or time zone that means nothing."""

    type = "invalid-schedule"
    title = "This schedule cannot be understood"


class ScheduleLimit(Conflict):
    """More schedules than a persona may have."""

    type = "too-many-schedules"
    title = "This persona has enough schedules"
