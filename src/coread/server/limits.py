"""Requests that may be only so long."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

MOST_BYTES = 512 * 1024


class BoundedRoute(APIRoute):
    """A route that stops reading a body of more than `MOST_BYTES`, whatever its header says of the length."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, behind a body that is counted as it comes."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            came = 0

            async def receive() -> Message:
                nonlocal came
                message = await request.receive()
                came += len(message.get("body", b""))
                if came > MOST_BYTES:
                    raise HTTPException(413, f"a body of more than {MOST_BYTES} bytes")
                return message

            return await handler(Request(request.scope, receive))

        return bounded
