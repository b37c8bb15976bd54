"""/api/v1/personas/{handle}/schedules and …/posts"""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import SessionDep
from app.pagination import Page, PageQuery, page_of
from app.personas.endpoints import PersonaDep
from app.posting import schedules
from app.posting.models import Account, PublicationState, Schedule
from app.posting.posts import Post, page_of_posts
from app.posting.schemas import PostOut, ScheduleCreate, ScheduleOut
from app.problem_documents import responses
from app.runtime import RuntimeDep

router = APIRouter(prefix="/personas/{handle}", tags=["posting"])

ScheduleId = Annotated[int, Path(ge=1, lt=2**63)]


@router.post("/schedules", status_code=status.HTTP_201_CREATED, responses=responses(401, 404, 409, 422))
async def create_schedule(
    session: SessionDep,
    runtime: RuntimeDep,
    request: Request,
    response: Response,
    persona: PersonaDep,
    body: ScheduleCreate,
) -> ScheduleOut:
    """Post one sentence at each due minute."""
    schedule = await schedules.create(session, persona_id=persona.id, **body.model_dump(), now=runtime.clock())
    response.headers["Location"] = str(
        request.app.url_path_for("read_schedule", handle=persona.handle, schedule_id=schedule.id)
    )
    return await _shown(session, schedule)


@router.get("/schedules", responses=responses(401, 404, 422))
async def list_schedules(session: SessionDep, persona: PersonaDep, page: PageQuery) -> Page[ScheduleOut]:
    """All schedules of a persona, newest first."""
    query = select(Schedule).where(Schedule.persona_id == persona.id)
    rows, next_cursor = await page_of(session, query, key=Schedule.id, page=page)
    return Page(items=[await _shown(session, row) for row in rows], next_cursor=next_cursor)


@router.get("/schedules/{schedule_id}", responses=responses(401, 404))
async def read_schedule(session: SessionDep, persona: PersonaDep, schedule_id: ScheduleId) -> ScheduleOut:
    """One schedule, and when it is due next."""
    return await _shown(session, await schedules.find(session, persona_id=persona.id, schedule_id=schedule_id))


@router.delete("/schedules/{schedule_id}", status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 404))
async def delete_schedule(session: SessionDep, persona: PersonaDep, schedule_id: ScheduleId) -> None:
    """Stop a schedule; what it has posted stays."""
    await schedules.delete(session, persona_id=persona.id, schedule_id=schedule_id)


@router.get("/posts", responses=responses(401, 404, 422))
async def list_posts(session: SessionDep, persona: PersonaDep, page: PageQuery) -> Page[PostOut]:
    """What was posted, what is being posted and what failed, newest first."""
    posts, next_cursor = await page_of_posts(session, persona_id=persona.id, page=page)
    return Page(items=[_post_shown(post) for post in posts], next_cursor=next_cursor)


async def _shown(session: AsyncSession, schedule: Schedule) -> ScheduleOut:
    account = await session.get_one(Account, schedule.account_id)
    return ScheduleOut(
        id=schedule.id,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        account=account.name,
        next_due_at=schedule.next_due_at,
        created_at=schedule.created_at,
    )


def _post_shown(post: Post) -> PostOut:
    return PostOut(
        id=post.publication.id,
        account=post.account.name,
        text=None if post.draft is None else post.draft.text,
        state=PublicationState(post.publication.state),
        schedule=post.publication.schedule_id,
        model=None if post.version is None else post.version.number,
        due_at=post.publication.due_at,
        sent_at=post.publication.sent_at,
        error=post.publication.error,
    )
