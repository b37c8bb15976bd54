"""/api/v1/personas/{handle}/sources"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Form, Request, Response, UploadFile, status
from fastapi import Path as PathParameter
from sqlalchemy import select

from app.corpora import service
from app.corpora.importers import Format
from app.corpora.models import Source
from app.corpora.schemas import SourceOut
from app.db.engine import SessionDep
from app.pagination import Page, PageQuery, page_of
from app.personas.endpoints import HandlePath, PersonaDep
from app.problem_documents import responses
from app.runtime import RuntimeDep

router = APIRouter(prefix="/personas/{handle}/sources", tags=["corpora"])

RowId = Annotated[int, PathParameter(ge=1, lt=2**63)]


@router.post("", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 404, 413, 415, 422))
async def upload_source(
    runtime: RuntimeDep,
    request: Request,
    response: Response,
    handle: HandlePath,
    file: UploadFile,
    format: Annotated[Format | None, Form(description="Found from the content when left out.")] = None,  # noqa: A002
) -> SourceOut:
    """Upload posts: plain text, JSON Lines, CSV, or a Twitter archive of 2012-2018. The import runs as a job."""
    # No session dependency here: storing the file may wait for a network.
    with tempfile.TemporaryDirectory(prefix="mynah-upload-") as folder:
        path = Path(folder) / "upload"
        await asyncio.to_thread(_save, file.file, path)
        source = await service.receive_upload(
            runtime, handle=handle, file=path, filename=_shown(file.filename), file_format=format
        )
    response.headers["Location"] = str(
        request.app.url_path_for("read_source", handle=handle.lower(), source_id=source.id)
    )
    return SourceOut.of(source)


@router.get("", responses=responses(401, 404, 422))
async def list_sources(session: SessionDep, persona: PersonaDep, page: PageQuery) -> Page[SourceOut]:
    """All sources of a persona, newest first."""
    query = select(Source).where(Source.persona_id == persona.id)
    rows, next_cursor = await page_of(session, query, key=Source.id, page=page)
    return Page(items=[SourceOut.of(row) for row in rows], next_cursor=next_cursor)


@router.get("/{source_id}", responses=responses(401, 404))
async def read_source(session: SessionDep, persona: PersonaDep, source_id: RowId) -> SourceOut:
    """How far an import is, and what it found."""
    return SourceOut.of(await service.find_source(session, persona_id=persona.id, source_id=source_id))


def _save(upload: BinaryIO, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(upload, target)


def _shown(filename: str | None) -> str:
    """A name to show, never a path to open."""
    return "".join(character for character in filename or "upload" if character.isprintable())[:200] or "upload"
