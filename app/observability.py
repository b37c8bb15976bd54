"""Structured logs: an event is a dotted fact in the past tense, everything else a field."""

import logging
import secrets
import sys
from collections.abc import Awaitable, Callable

import structlog
from fastapi import Request, Response

from app.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Send structlog and the libraries' logging to stderr in one form. Called once, by an entry point."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatting: list[structlog.typing.Processor] = [structlog.processors.format_exc_info] if as_json else []
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *formatting, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # These tell every job and request at level info; our own events say the same once.
    for chatty in ("procrastinate", "alembic", "uvicorn.access", "httpx", "psycopg.pool"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


async def bind_request_id(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Middleware: a fresh request id on every log line of a request and in its answer."""
    request_id = secrets.token_hex(8)
    request.state.request_id = request_id
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        response = await call_next(request)
    response.headers["X-Request-Id"] = request_id
    return response
