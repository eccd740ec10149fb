"""Lists in pages: a cursor that stays right while rows are added, and a total."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from coread.errors import InputError

Row_co = TypeVar("Row_co", covariant=True)
Scope = Literal["all", "acquired"]
MAXIMUM_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[Row_co]):
    """A part of a list.

    Attributes:
        items: The rows of this page.
        total: Rows of the whole list.
        next: Cursor of the page after this one, or None at the end.
    """

    items: tuple[Row_co, ...]
    total: int
    next: str | None


def checked_limit(limit: int) -> int:
    """Return a page length that may be asked for.

    Raises:
        InputError: It is not between 1 and `MAXIMUM_LIMIT`.
    """
    if not 1 <= limit <= MAXIMUM_LIMIT:
        raise InputError(f"a page of {limit} rows", f"1 to {MAXIMUM_LIMIT}")
    return limit


def to_cursor(values: Sequence[Any]) -> str:
    """Return the sort key of a page's last row as an opaque word.

    Examples:
        >>> from_cursor(to_cursor([2, "1.2.3"]), 2)
        [2, '1.2.3']
    """
    plain = [{"time": v.isoformat()} if isinstance(v, datetime) else v for v in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def from_cursor(cursor: str, length: int) -> list[Any]:
    """Return the sort key of a cursor.

    Raises:
        InputError: It is not a cursor of this list.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        plain = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        values = [datetime.fromisoformat(v["time"]) if isinstance(v, dict) else v for v in plain]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise InputError(
            "the cursor can't be read", "a `next` of this list", "start at the first page"
        ) from error
    if len(values) != length:
        raise InputError("the cursor is of another list", "a `next` of this list", "start at the first page")
    return values


def after(columns: Sequence[Any], cursor: str, *, descending: bool) -> ColumnElement[bool]:
    """Return the condition for rows behind a cursor, in the order of the columns."""
    key = from_cursor(cursor, len(columns))
    values = sa.tuple_(*(sa.literal(v, c.type) for v, c in zip(key, columns, strict=True)))
    row = sa.tuple_(*columns)
    return row < values if descending else row > values


def batched(values: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """Yield values in runs that one statement can name.

    Examples:
        >>> [list(run) for run in batched(["a", "b", "c"], 2)]
        [['a', 'b'], ['c']]
    """
    for start in range(0, len(values), size):
        yield values[start : start + size]
