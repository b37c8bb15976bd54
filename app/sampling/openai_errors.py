"""Errors below /v1 as OpenAI's API tells them, so that client libraries raise their own exceptions."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.errors import InvalidInput, NotFound, Problem, Unauthenticated, Unusable
from app.problem_documents import invalid_input
from app.sampling.errors import Busy, NoModelYet


class ErrorBody(BaseModel):
    """One error."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["prompt"], description="The field at fault.")
    code: str | None = Field(examples=["model_not_found"])


class ErrorDocument(BaseModel):
    """What every error answer looks like."""

    error: ErrorBody


# By the class of the problem, the first that fits: status, type and code. Clients try a 409 again, which would be in
# vain: a persona without a model is no model to them.
_TOLD: Final[tuple[tuple[type[Problem], int, str, str | None], ...]] = (
    (Unauthenticated, 401, "invalid_request_error", "invalid_api_key"),
    (NotFound, 404, "invalid_request_error", "model_not_found"),
    (NoModelYet, 404, "invalid_request_error", "model_not_found"),
    (InvalidInput, 400, "invalid_request_error", None),
    (Unusable, 400, "invalid_request_error", "no_completion"),
    (Busy, 429, "rate_limit_error", "rate_limit_exceeded"),
    (Problem, 503, "server_error", None),
)


class OpenAIRoute(APIRoute):
    """A route whose errors go out in OpenAI's form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as problem:
                return _answer(problem)
            except RequestValidationError as error:
                return _answer(invalid_input(error))
            except HTTPException as error:
                body = ErrorBody(message=str(error.detail), type="invalid_request_error", param=None, code=None)
                return JSONResponse(ErrorDocument(error=body).model_dump(), status_code=error.status_code)

        return answer


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the error answers of a route."""
    return {status: {"model": ErrorDocument} for status in statuses}


def error_document(problem: Problem) -> dict[str, Any]:
    """The body of an error answer."""
    _, kind, code = _told(problem)
    body = ErrorBody(message=problem.detail, type=kind, param=_param(problem, code), code=code)
    return ErrorDocument(error=body).model_dump()


def _answer(problem: Problem) -> JSONResponse:
    status, _, _ = _told(problem)
    return JSONResponse(error_document(problem), status_code=status, headers={**problem.headers})


def _told(problem: Problem) -> tuple[int, str, str | None]:
    return next((status, kind, code) for cls, status, kind, code in _TOLD if isinstance(problem, cls))


def _param(problem: Problem, code: str | None) -> str | None:
    if code == "model_not_found":
        return "model"
    errors = cast("list[dict[str, str]]", problem.extensions.get("errors", []))
    return errors[0]["pointer"].removeprefix("/").split("/")[0] or None if errors else None
