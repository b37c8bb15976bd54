"""Every error answer as application/problem+json (RFC 9457): three handlers, found by class."""

from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException

from app.errors import TYPE_PREFIX, Conflict, InvalidInput, Problem

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One field at fault."""

    pointer: str = Field(examples=["/handle"])
    detail: str


class ProblemDocument(BaseModel):
    """What every error answer looks like."""

    type: str = Field(examples=[TYPE_PREFIX + "persona-not-found"])
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[FieldError] | None = None


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the error answers of a route."""
    return {
        status: {
            "model": ProblemDocument,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(IntegrityError, _on_lost_race)
    app.add_exception_handler(StaleDataError, _on_lost_race)
    app.add_exception_handler(Exception, _on_bug)


def _answer(request: Request, document: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    body = {**document, "instance": request.url.path}
    return JSONResponse(body, status_code=document["status"], media_type=MEDIA_TYPE, headers=headers)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    problem = cast("Problem", error)
    return _answer(request, problem.document(), {**problem.headers})


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, invalid_input(cast("RequestValidationError", error)).document())


def invalid_input(error: RequestValidationError) -> InvalidInput:
    """What FastAPI found wrong with a request, as a problem."""
    errors = [{"pointer": _pointer(item["loc"]), "detail": item["msg"]} for item in error.errors()]
    detail = "; ".join(f"{item['pointer']}: {item['detail']}" for item in errors)
    return InvalidInput(detail, errors=cast("Any", errors))


def _pointer(location: tuple[str | int, ...]) -> str:
    """A JSON pointer for a place in the body; parameters keep their kind in front (`query/limit`)."""
    parts = [str(part) for part in location]
    if parts and parts[0] == "body":
        return "/" + "/".join(parts[1:])
    return "/".join(parts)


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    http = cast("HTTPException", error)
    phrase = HTTPStatus(http.status_code).phrase
    document = {
        "type": TYPE_PREFIX + phrase.lower().replace(" ", "-").replace("'", ""),
        "title": phrase,
        "status": http.status_code,
        "detail": str(http.detail),
    }
    return _answer(request, document, dict(http.headers or {}))


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    request_id = getattr(request.state, "request_id", "unknown")
    # Named here: this handler runs outside the middleware that binds it.
    log.error("request.crashed", exc_info=error, request_id=request_id)
    problem = Problem(f"This is a bug or a broken machine; the log tells more under request id {request_id}.")
    return _answer(request, {**problem.document(), "request_id": request_id}, {"X-Request-Id": request_id})


async def _on_lost_race(request: Request, _error: Exception) -> JSONResponse:
    """A row that this one belongs to was deleted between two statements: a constraint keeps them apart, not a check."""
    return _answer(request, Conflict("What this belongs to was changed or deleted meanwhile; look again.").document())
