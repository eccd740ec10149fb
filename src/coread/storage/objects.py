"""Bytes kept as files under the SHA-256 of their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from coread.errors import DataError, InputError, TransportError

_DIGEST = re.compile(r"[0-9a-f]{64}")


def content_digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


class ObjectStore:
    """A folder of files named by their content.

    A file is written aside, forced to the disk, renamed, and its folder forced to the disk: what `put` has
    returned survives the end of the process and of the power, and no half-written file has a valid name.

    Args:
        folder: Made where it is missing.
        durable: Whether to force to the disk; off for throw-away libraries only.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self._aside = folder / "tmp"
        self._durable = durable
        self._aside.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Keep bytes and return their digest; keeping them twice is keeping them once.

        Raises:
            TransportError: The disk does not take them.
        """
        return self.put_many((content,))[0]

    def put_many(self, contents: Iterable[bytes]) -> tuple[str, ...]:
        """Keep several contents as `put` does, with one forced write a folder instead of one a file."""
        digests = []
        folders: set[Path] = set()
        try:
            for content in contents:
                digest = content_digest(content)
                target = self.path(digest)
                self._write(target, content)
                folders.add(target.parent)
                digests.append(digest)
            if self._durable:
                for folder in sorted(folders):
                    _sync_folder(folder)
        except OSError as error:
            raise TransportError(
                f"the disk did not take a file: {error.strerror}",
                f"room and write permission in {self.folder}",
                "make room or mend the permission, then try again",
            ) from error
        return tuple(digests)

    def _write(self, target: Path, content: bytes) -> None:
        if _size(target) == len(content):
            return
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._durable:
                _sync_folder(target.parent.parent)
        aside = self._aside / f"{target.name}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            with aside.open("xb") as file:
                file.write(content)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            aside.replace(target)
        except OSError:
            aside.unlink(missing_ok=True)
            raise

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest, compared with it.

        Raises:
            DataError: There is no such object, or the file has changed.
        """
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise DataError(
                f"object {digest} is missing", "a file in `objects`", "restore it from a backup"
            ) from error
        if content_digest(content) != digest:
            raise DataError(f"object {digest} has changed on the disk", "", "restore it from a backup")
        return content

    def path(self, digest: str) -> Path:
        """Return where the file of a digest lies or would lie.

        Raises:
            InputError: It is no digest: nothing else ever becomes a path.
        """
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"{digest!r} as a digest", "64 hexadecimal digits")
        return self.folder / digest[:2] / digest

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def digests(self) -> Iterator[str]:
        """Yield the digest of every file that is kept."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for entry in os.scandir(folder):
                if _DIGEST.fullmatch(entry.name):
                    yield entry.name

    def remove(self, digest: str) -> None:
        """Remove a file that nothing refers to."""
        self.path(digest).unlink(missing_ok=True)

    def half_written(self) -> int:
        """Return how many files are being written or were left unfinished."""
        return sum(1 for _ in self._aside.iterdir())

    def clear_aside(self) -> None:
        """Remove what was half written when a process ended; only while nobody else writes."""
        for path in self._aside.iterdir():
            path.unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no such call; a rename there is written through
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
