"""BodyLimit: refuse a request body that is too large, before or while it arrives."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A form adds its boundaries and headers to the file.
FORM_BYTES = 64 * 1024


class BodyLimit:
    """ASGI middleware. Without it a body would fill the disk before any route could look at it."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes + FORM_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                # Raised where the route reads its body, so that it is answered as every error is.
                raise HTTPException(413, f"The limit is {self._max_bytes - FORM_BYTES} bytes (MYNAH_MAX_UPLOAD_MB).")
            return message

        await self._app(scope, counted, send)
