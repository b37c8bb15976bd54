"""BodyLimit: refuse a request body that is too large, before or while it arrives."""

# FastAPI's class and not Starlette's: only this one passes through FastAPI's reading of a body unchanged. Its own
# `max_body_size` would do the counting, but answers in plain text.
from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware. Without it a body would fill the disk before any route could look at it."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                # Raised where the route reads its body, so that it is answered as every error is.
                raise HTTPException(413, f"The limit is {self._max_bytes:,} bytes (MYNAH_MAX_UPLOAD_MB).")
            return message

        await self._app(scope, counted, send)
