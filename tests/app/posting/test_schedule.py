"""Due times: pure arithmetic, daylight saving included."""

from datetime import UTC, datetime, timedelta

import pytest

from app.posting import schedule
from app.posting.errors import InvalidSchedule


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def days(cron: str, zone: str, *, after: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        after = schedule.next_due(cron, zone, after=after)
        found.append(after)
    return found


def test_nine_in_berlin_is_eight_utc_in_winter_and_seven_in_summer() -> None:
    found = days("0 9 * * *", "Europe/Berlin", after=utc(2026, 3, 27, 12), count=3)
    assert found == [utc(2026, 3, 28, 8), utc(2026, 3, 29, 7), utc(2026, 3, 30, 7)]


def test_a_daily_time_that_the_clock_skips_is_not_lost() -> None:
    # 2:30 does not exist in Berlin on 29 March 2026.
    found = days("30 2 * * *", "Europe/Berlin", after=utc(2026, 3, 28, 12), count=2)
    assert [moment.date() for moment in found] == [utc(2026, 3, 29).date(), utc(2026, 3, 30).date()]


def test_a_daily_time_that_the_clock_repeats_comes_once() -> None:
    # 2:30 exists twice in Berlin on 25 October 2026.
    found = days("30 2 * * *", "Europe/Berlin", after=utc(2026, 10, 24, 12), count=2)
    assert found[1] - found[0] > timedelta(hours=20)


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "every day", "0 9 * * * x"])
def test_a_cron_expression_that_means_nothing_is_refused(cron: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        schedule.check(cron, "UTC", after=utc(2026, 1, 1))
    assert refused.value.extensions["errors"] == [{"pointer": "/cron", "detail": refused.value.detail}]


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "Europe/Berlin\0", "/etc/localtime"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(InvalidSchedule, match="time zone"):
        schedule.check("* * * * *", zone, after=utc(2026, 1, 1))


def test_a_due_time_is_given_up_after_some_minutes_only() -> None:
    due = utc(2026, 1, 1, 9)
    assert not schedule.is_too_late(due, now=due + timedelta(minutes=4))
    assert schedule.is_too_late(due, now=due + timedelta(minutes=6))
