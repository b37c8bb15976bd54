"""When a schedule is due: pure functions of rule, zone and a moment. Daylight saving skips nothing, repeats nothing."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from app.posting.errors import InvalidSchedule

# A post that is later than this is not made: after a night's downtime nobody wants ten posts at once.
GRACE = timedelta(minutes=5)


def check(cron: str, time_zone: str, *, after: datetime) -> datetime:
    """The first due time of a new schedule, in UTC. Raises InvalidSchedule."""
    if len(cron.split()) != 5:
        raise InvalidSchedule.at(
            "/cron", f"{cron!r} does not have the five fields minute, hour, day, month, weekday ('0 9 * * *': at nine)."
        )
    # `localtime` would be whatever the machine of a worker is set to.
    if time_zone not in available_timezones() or time_zone == "localtime":
        raise InvalidSchedule.at(
            "/time_zone", f"{time_zone!r} is no time zone; give a name such as 'Europe/Berlin' or 'UTC'."
        )
    zone = ZoneInfo(time_zone)
    try:
        return _first_after(cron, zone, after)
    except (CronSimError, StopIteration) as error:
        raise InvalidSchedule.at("/cron", f"{cron!r} is no cron expression that is ever due.") from error


def next_due(cron: str, time_zone: str, *, after: datetime) -> datetime:
    """The first due time after a moment, in UTC, of a schedule that was checked."""
    return _first_after(cron, ZoneInfo(time_zone), after)


def is_too_late(due_at: datetime, *, now: datetime) -> bool:
    """Whether a due time has been missed for good."""
    return now - due_at > GRACE


def _first_after(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    moment: datetime = next(CronSim(cron, after.astimezone(zone)))
    return moment.astimezone(UTC)
