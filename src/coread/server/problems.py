"""Errors as problem documents (RFC 9457), in one place."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from coread.errors import (
    CoreadError,
    DataError,
    InputError,
    MissingExtraError,
    NotReadyError,
    ReadingError,
    TransportError,
)
from coread.storage.database import ConflictError
from coread.workflow.visibility import HiddenError

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)


class UnknownCallerError(CoreadError):
    """The server does not know who asks."""


class PreconditionRequiredError(InputError):
    """A change came without the version that it changes."""


class NotAcceptableError(InputError):
    """The answer does not exist in any form that was asked for."""


_STATUS: tuple[tuple[type[CoreadError], int], ...] = (
    (HiddenError, 403),
    (UnknownCallerError, 401),
    (ConflictError, 412),
    (NotReadyError, 503),
    (ReadingError, 409),
    (PreconditionRequiredError, 428),
    (NotAcceptableError, 406),
    (InputError, 422),
    (DataError, 422),
    (TransportError, 503),
    (MissingExtraError, 501),
)


def problem(status: int, error: CoreadError) -> Response:
    """Return an error as a problem document."""
    title = HTTPStatus(status).phrase
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": str(error),
        "came": error.came,
        "expected": error.expected,
        "todo": error.todo,
    }
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status_code=status, media_type=MEDIA_TYPE)


def of_error(error: CoreadError) -> Response:
    """Return the problem document of one of our errors."""
    return problem(next((status for kind, status in _STATUS if isinstance(error, kind)), 500), error)


async def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, CoreadError)
    return of_error(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
    return problem(
        422, InputError(where, "a request as the OpenAPI document says", "see /api/v1/openapi.json")
    )


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem(error.status_code, InputError(str(error.detail)))
    response.headers.update(error.headers or {})
    return response


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s failed on %s", request.scope.get("route"), type(error).__name__, exc_info=error)
    return problem(500, CoreadError("the server failed", "", "the log of the server has the details"))


def install(app: FastAPI) -> None:
    """Let an application answer errors as problem documents."""
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        CoreadError: _ours,
        RequestValidationError: _invalid,
        HTTPException: _http,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
