"""Read publications with what is shown beside them, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.pagination import PageRequest, page_of
from app.posting.models import Account, AccountKind, Draft, Publication, PublicationState
from app.training.models import ModelVersion


@dataclass(frozen=True, kw_only=True)
class Post:
    """A publication with its account, draft and model version."""

    publication: Publication
    account: Account
    draft: Draft | None
    version: ModelVersion | None


async def page_of_posts(
    session: AsyncSession, *, persona_id: int, page: PageRequest, timeline_only: bool = False
) -> tuple[list[Post], str | None]:
    """Some of a persona's posts; with `timeline_only`, those that the public timeline shows."""
    query: Select[Publication] = select(Publication).where(Publication.persona_id == persona_id)
    if timeline_only:
        query = query.join(Account).where(
            Account.kind == AccountKind.TIMELINE, Publication.state == PublicationState.SENT
        )
    rows, next_cursor = await page_of(session, query, key=Publication.id, page=page)
    return await _with_details(session, rows), next_cursor


async def _with_details(session: AsyncSession, rows: Sequence[Publication]) -> list[Post]:
    account_ids = {row.account_id for row in rows}
    draft_ids = {row.draft_id for row in rows if row.draft_id is not None}
    accounts = {row.id: row for row in await session.scalars(select(Account).where(Account.id.in_(account_ids)))}
    drafts = {row.id: row for row in await session.scalars(select(Draft).where(Draft.id.in_(draft_ids)))}
    version_ids = {draft.model_version_id for draft in drafts.values()}
    found = await session.scalars(select(ModelVersion).where(ModelVersion.id.in_(version_ids)))
    versions = {row.id: row for row in found}
    posts = []
    for row in rows:
        draft = None if row.draft_id is None else drafts[row.draft_id]
        version = None if draft is None or draft.model_version_id is None else versions[draft.model_version_id]
        posts.append(Post(publication=row, account=accounts[row.account_id], draft=draft, version=version))
    return posts
