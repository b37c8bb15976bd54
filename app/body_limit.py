"""BodyLimit: refuse a request body that is too large, before or while it arrives."""

# FastAPI's class and not Starlette's: only this one passes through FastAPI's reading of a body unchanged. Its own
# `max_body_size` would do the counting, but answers in plain text.
from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# JSON that is parsed takes many times its size; nobody sends this much of it on purpose.
JSON_BYTES = 1 << 20
# A form adds its boundaries and headers to the file.
FORM_BYTES = 64 * 1024
# Who has no key is answered 401; there is nothing to read before that.
KEYLESS_BYTES = 64 * 1024
UPLOAD_PATH = "/sources"


class BodyLimit:
    """ASGI middleware. Without it a body would fill memory or disk before any route could look at it.

    FastAPI reads a body before it asks for a key, so a request without one is bounded here, too.
    """

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self._app = app
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._limit(scope, headers)
        announced = headers.get("content-length", "")
        received = int(announced) if announced.isdecimal() and len(announced) < 20 and int(announced) > most else 0

        async def counted() -> Message:
            nonlocal received
            if received > most:
                raise _too_large(most)
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
            return message

        await self._app(scope, counted, send)

    def _limit(self, scope: Scope, headers: Headers) -> int:
        if "authorization" not in headers:
            return KEYLESS_BYTES
        # By route, not by what the client calls its body: every other route reads the whole of it into memory.
        is_upload = scope["method"] == "POST" and scope["path"].endswith(UPLOAD_PATH)
        if is_upload and headers.get("content-type", "").startswith("multipart/form-data"):
            return self._max_upload_bytes + FORM_BYTES
        return JSON_BYTES


def _has_body(scope: Scope) -> bool:
    """HTTP announces every body by one of these."""
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])


def _too_large(most: int) -> HTTPException:
    """Raised where the route reads its body, so that it is answered as every error is."""
    return HTTPException(413, f"The limit for this request is {most:,} bytes (for uploads: MYNAH_MAX_UPLOAD_MB).")
