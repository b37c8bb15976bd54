"""/api/v1/personas"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response, status
from sqlalchemy import select

from app.db.engine import SessionDep
from app.errors import InvalidInput
from app.pagination import Page, PageQuery, page_of
from app.personas import service
from app.personas.models import Persona
from app.personas.schemas import PersonaCreate, PersonaOut, PersonaUpdate
from app.problem_documents import responses
from app.runtime import RuntimeDep

router = APIRouter(prefix="/personas", tags=["personas"])

HandlePath = Annotated[str, Path(max_length=100, examples=["trump"], description="A persona's handle.")]


async def load_persona(session: SessionDep, handle: HandlePath) -> Persona:
    """The persona that a path names."""
    return await service.find(session, handle=handle)


# scope="function", as its session: the row is loaded in the transaction that the route works in.
PersonaDep = Annotated[Persona, Depends(load_persona, scope="function")]


@router.post("", status_code=status.HTTP_201_CREATED, responses=responses(401, 409, 422))
async def create_persona(
    session: SessionDep, runtime: RuntimeDep, request: Request, response: Response, body: PersonaCreate
) -> PersonaOut:
    """Make a persona."""
    persona = await service.create(session, **body.model_dump(exclude_none=True), now=runtime.clock())
    response.headers["Location"] = str(request.app.url_path_for("read_persona", handle=persona.handle))
    return PersonaOut.model_validate(persona)


@router.get("", responses=responses(401, 422))
async def list_personas(session: SessionDep, page: PageQuery) -> Page[PersonaOut]:
    """All personas, newest first."""
    rows, next_cursor = await page_of(session, select(Persona), key=Persona.id, page=page)
    return Page(items=[PersonaOut.model_validate(row) for row in rows], next_cursor=next_cursor)


@router.get("/{handle}", responses=responses(401, 404))
async def read_persona(persona: PersonaDep) -> PersonaOut:
    """One persona."""
    return PersonaOut.model_validate(persona)


@router.patch("/{handle}", responses=responses(401, 404, 422))
async def update_persona(
    session: SessionDep, runtime: RuntimeDep, handle: HandlePath, body: PersonaUpdate
) -> PersonaOut:
    """Change a persona's name, bio, language or filters; of the filters, too, what is left out stays."""
    changes = body.model_dump(exclude_unset=True)
    for field in ("name", "bio", "filters"):
        if field in changes and changes[field] is None:
            raise InvalidInput.at(f"/{field}", "It cannot be null; leave it out to keep it.")
    filters = changes.pop("filters", None)
    persona = await service.update(session, handle=handle, changes=changes, filters=filters, now=runtime.clock())
    return PersonaOut.model_validate(persona)


@router.delete("/{handle}", status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 404, 409))
async def delete_persona(session: SessionDep, handle: HandlePath) -> None:
    """Delete a persona with its corpus, models, schedules and posts."""
    await service.delete(session, handle=handle)
