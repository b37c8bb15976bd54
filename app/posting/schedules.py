"""Make, find and delete schedules; turn what is due into publications."""

import secrets
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.jobs import enqueue
from app.personas.errors import PersonaNotFound
from app.personas.models import Persona
from app.posting import schedule as due_times
from app.posting.errors import ScheduleLimit, ScheduleNotFound, UnknownAccount
from app.posting.models import Account, AccountKind, Publication, PublicationState, Schedule

log = structlog.get_logger()

MOST_SCHEDULES = 100
BATCH = 500


async def create(
    session: AsyncSession, *, persona_id: int, cron: str, time_zone: str, account: str, now: datetime
) -> Schedule:
    """A new schedule. Raises InvalidSchedule, UnknownAccount, ScheduleLimit."""
    first_due_at = due_times.check(cron, time_zone, after=now)
    # The lock: of requests that come together, each counts what the one before it has added.
    if await session.get(Persona, persona_id, with_for_update={"key_share": True}) is None:
        raise PersonaNotFound("This persona has just been deleted.")
    count = await session.scalar(select(func.count()).select_from(Schedule).where(Schedule.persona_id == persona_id))
    if (count or 0) >= MOST_SCHEDULES:
        raise ScheduleLimit(f"A persona has at most {MOST_SCHEDULES} schedules; delete one first.")
    schedule = Schedule(
        persona_id=persona_id,
        account_id=(await _account(session, persona_id=persona_id, name=account, now=now)).id,
        cron=cron,
        time_zone=time_zone,
        next_due_at=first_due_at,
        created_at=now,
    )
    session.add(schedule)
    await session.flush()
    return schedule


async def _account(session: AsyncSession, *, persona_id: int, name: str, now: datetime) -> Account:
    """The account of that name; every persona has `timeline`, made when it is first wanted."""
    if name == AccountKind.TIMELINE:
        timeline = {"persona_id": persona_id, "kind": AccountKind.TIMELINE, "name": name, "created_at": now}
        await session.execute(insert(Account).values(timeline).on_conflict_do_nothing())
    account = await session.scalar(select(Account).where(Account.persona_id == persona_id, Account.name == name))
    if account is None:
        raise UnknownAccount.at("/account", f"There is no account {name!r}; every persona has 'timeline'.")
    return account


async def find(session: AsyncSession, *, persona_id: int, schedule_id: int) -> Schedule:
    """One schedule of a persona. Raises ScheduleNotFound."""
    schedule = await session.scalar(
        select(Schedule).where(Schedule.id == schedule_id, Schedule.persona_id == persona_id)
    )
    if schedule is None:
        raise ScheduleNotFound(f"This persona has no schedule {schedule_id}.")
    return schedule


async def delete(session: AsyncSession, *, persona_id: int, schedule_id: int) -> None:
    """Delete a schedule; what it has posted stays. Raises ScheduleNotFound."""
    await session.delete(await find(session, persona_id=persona_id, schedule_id=schedule_id))
    await session.flush()


async def publish_due(session: AsyncSession, *, now: datetime) -> int:
    """Make a publication and its job for each schedule that is due; returns how many schedules were looked at.

    Any number of workers may do this at once: a schedule is taken by one of them (a row that is locked is passed over),
    and a due time that is there already is not made again.
    """
    due = (
        select(Schedule)
        .where(Schedule.next_due_at <= now)
        .order_by(Schedule.next_due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    schedules = (await session.scalars(due)).all()
    for schedule in schedules:
        due_at = schedule.next_due_at
        schedule.next_due_at = due_times.next_due(schedule.cron, schedule.time_zone, after=now)
        if due_times.is_too_late(due_at, now=now):
            log.warning("schedule.missed", schedule_id=schedule.id, due_at=due_at.isoformat())
            continue
        await _add_publication(session, schedule, due_at=due_at)
    await session.flush()
    return len(schedules)


async def _add_publication(session: AsyncSession, schedule: Schedule, *, due_at: datetime) -> None:
    row = insert(Publication).values(
        persona_id=schedule.persona_id,
        account_id=schedule.account_id,
        schedule_id=schedule.id,
        state=PublicationState.DUE,
        idempotency_key=secrets.token_hex(16),
        due_at=due_at,
    )
    publication_id = await session.scalar(row.on_conflict_do_nothing().returning(Publication.id))
    if publication_id is not None:
        await enqueue(session, "posting.deliver", publication_id=publication_id)
