"""Cursor pagination: newest first, a page ends with an opaque cursor for the next."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.errors import InvalidInput

Item = TypeVar("Item")
Row = TypeVar("Row")


class Page(BaseModel, Generic[Item]):
    """Some of the items and, unless they are the last, where the next ones begin."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, description="Give it as `cursor` to get the next page.")


class PageRequest(BaseModel):
    """Which page."""

    cursor: str | None = Field(default=None, max_length=100)
    limit: int = Field(default=50, ge=1, le=200)


PageQuery = Annotated[PageRequest, Query()]


async def page_of(
    session: AsyncSession, query: Select[Row], *, key: InstrumentedAttribute[int], page: PageRequest
) -> tuple[Sequence[Row], str | None]:
    """Rows of `query` by descending `key`, after the cursor, and the cursor of the next page."""
    if page.cursor is not None:
        query = query.where(key < _decode(page.cursor))
    rows = (await session.scalars(query.order_by(key.desc()).limit(page.limit + 1))).all()
    if len(rows) <= page.limit:
        return rows, None
    last: Any = rows[page.limit - 1]
    return rows[: page.limit], _encode(getattr(last, key.key))


def _encode(key: int) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def _decode(cursor: str) -> int:
    try:
        key = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    except (ValueError, binascii.Error) as error:
        raise _bad_cursor() from error
    if not 0 <= key < 2**63:
        raise _bad_cursor()
    return key


def _bad_cursor() -> InvalidInput:
    return InvalidInput.at("query/cursor", "This is no cursor of ours. Leave it out to begin with the first page.")
