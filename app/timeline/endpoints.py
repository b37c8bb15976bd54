"""/@handle: what a persona has posted, as a plain page that anyone may read."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.db.engine import SessionDep
from app.errors import NotFound, Problem
from app.pagination import PageRequest
from app.personas import service as personas
from app.posting.posts import page_of_posts

router = APIRouter(tags=["timeline"])

POSTS_A_PAGE = 50

# Nothing on the page runs and nothing comes from elsewhere: whatever a text holds, it stays text.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_templates = Environment(loader=PackageLoader("app.timeline"), autoescape=True, undefined=StrictUndefined)


@router.get(
    "/@{handle}",
    response_class=HTMLResponse,
    responses={404: {"description": "No such persona"}},
)
async def show_timeline(
    session: SessionDep,
    request: Request,
    handle: Annotated[str, Path()],
    before: Annotated[str | None, Query(description="Cursor of an older page.")] = None,
) -> HTMLResponse:
    """The public timeline."""
    try:
        persona = await personas.find(session, handle=handle)
        page = PageRequest.model_construct(cursor=before, limit=POSTS_A_PAGE)
        posts, older = await page_of_posts(session, persona_id=persona.id, page=page, timeline_only=True)
    except Problem as problem:
        title = "Nobody of that name speaks here" if isinstance(problem, NotFound) else problem.title
        body = _templates.get_template("problem.html").render(title=title, detail=problem.detail)
        return HTMLResponse(body, status_code=problem.status, headers=HEADERS)
    body = _templates.get_template("timeline.html").render(
        persona=persona, posts=posts, older=older, is_first_page=before is None, path=request.url.path
    )
    return HTMLResponse(body, headers=HEADERS)
