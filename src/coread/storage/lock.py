"""Tells the first process that opens a library from the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: no process there counts as the only one
    fcntl = None  # type: ignore[assignment]


class FolderLock:
    """A file that every process holds a share of while it has the library open.

    The system takes the share back when a process ends, however it ends.
    """

    def __init__(self, path: Path) -> None:
        self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @contextmanager
    def alone_first(self) -> Iterator[bool]:
        """Tell whether no other process has the library open; keep others waiting meanwhile if so."""
        if fcntl is None or self._handle is None:
            yield False
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except OSError:
            alone = False
        try:
            yield alone
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_SH)

    def close(self) -> None:
        """Give the share back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
