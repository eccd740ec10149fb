"""Values out of a data set whatever state it is in: a broken one is a missing one, never an exception."""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue


class _Quiet(logging.Filter):
    """Keeps what pydicom quotes from files out of warnings and logs: values are patient data.

    pydicom warns and logs on the level of the process, so several threads share one state here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._depth = 0
        self._filters = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module="pydicom")
                warnings.filterwarnings("ignore", message="The DICOM readers are highly experimental")
            self._depth += 1

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._filters.__exit__(None, None, None)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = "a DICOM file is not as the standard asks", ()
        return self._depth == 0


_QUIET = _Quiet()
logging.getLogger("pydicom").addFilter(_QUIET)


@contextmanager
def quiet() -> Iterator[None]:
    """Read without pydicom's warnings and log lines; elsewhere its log lines come without their words."""
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()


def text(dataset: Dataset, keyword: str) -> str:
    """Return a value as text without padding; values joined by a backslash; empty where there is none.

    Control characters and halves of surrogate pairs are left out: no database takes all of them.
    """
    value = raw(dataset, keyword)
    if value is None:
        return ""
    several = isinstance(value, (MultiValue, list, tuple))
    joined = "\\".join(str(item) for item in value) if several else str(value)
    if not joined.isprintable():
        joined = "".join(c for c in joined if unicodedata.category(c) not in ("Cc", "Cs"))
    return joined.strip()


def words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of a coded string as upper-case words, in their places."""
    joined = text(dataset, keyword)
    return tuple(part.strip(" \0").upper() for part in joined.split("\\")) if joined else ()


def raw(dataset: Dataset, keyword: str) -> Any:
    """Return a value as pydicom gives it, or None where it is missing, empty or not of its kind."""
    try:
        return dataset.get(keyword)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except Exception:  # a broken value makes pydicom raise almost anything
        return None


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value as a finite number, or None."""
    values = numbers(dataset, keyword)
    return values[0] if values else None


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return all values as finite numbers; empty where one of them is not."""
    value = raw(dataset, keyword)
    if value is None or value == "":
        return ()
    items = value if isinstance(value, (MultiValue, list, tuple)) else (value,)
    try:
        found = tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        return ()
    return found if all(abs(x) < float("inf") for x in found) else ()


def integer(dataset: Dataset, keyword: str) -> int | None:
    """Return the first value as a whole number of 32 bits, or None."""
    found = number(dataset, keyword)
    if found is None or abs(found) >= 1 << 32 or found != int(found):
        return None
    return int(found)


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence; empty where it is missing or broken."""
    value = raw(dataset, keyword)
    try:
        return tuple(item for item in value if isinstance(item, Dataset)) if value else ()
    except TypeError:
        return ()


def date_of(digits: str) -> date | None:
    """Return a DICOM date (``YYYYMMDD``, or the old ``YYYY.MM.DD``), or None."""
    try:
        return datetime.strptime(digits.replace(".", "")[:8], "%Y%m%d").date()
    except ValueError:
        return None


def time_of(digits: str) -> time | None:
    """Return a DICOM time (``HHMMSS.FFFFFF`` and shorter), or None."""
    found = re.fullmatch(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d{1,6})?.*", digits.strip())
    if not found:
        return None
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    micro = int((found[4] or ".0")[1:].ljust(6, "0"))
    try:
        return time(hour, minute, min(second, 59), micro)
    except ValueError:
        return None
