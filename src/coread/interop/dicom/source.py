"""Files to read: single files, folders and zip archives, in sorted order, none left out.

References:
    Archives are opened as the zip format describes them; sizes are counted while inflating, not believed.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coread.errors import DataError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How much an archive and a file may ask for.

    Attributes:
        members: Members of one archive.
        member_bytes: Size of one file or member once inflated.
        total_bytes: Size of all members of one archive once inflated.
        ratio: How many times larger than the archive all members may be together; small archives
            (under 10 MB inflated) are let through.
    """

    members: int = 200_000
    member_bytes: int = 2 << 30
    total_bytes: int = 200 << 30
    ratio: float = 200.0


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was handed in.

    Attributes:
        path: As given; a member of an archive as ``archive.zip!member``.
        open: Returns the content; raises `DataError` with the reason where it can't be had.
    """

    path: str
    open: Callable[[], bytes]


def find_files(paths: Sequence[Path | str], limits: ArchiveLimits | None = None) -> Iterator[SourceFile]:
    """Yield every file of the paths, folders and archives, sorted by path within each.

    Args:
        paths: Files, folders or zip archives, in the order in which they are taken.
        limits: What archives may ask for.

    Yields:
        Each file once. What cannot be opened is yielded too and says so when it is opened.

    Raises:
        InputError: A path does not exist.
    """
    limits = limits or ArchiveLimits()
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"{path} does not exist", "a file, a folder or a zip archive", "check the path")
    for path in map(Path, paths):
        if path.is_dir():
            for file in sorted(_walk(path), key=lambda p: p.relative_to(path).as_posix()):
                yield from _file(file, limits)
        else:
            yield from _file(path, limits)


def _walk(folder: Path) -> Iterator[Path]:
    open_ = [folder]
    while open_:
        here = open_.pop()
        try:
            entries = list(here.iterdir())
        except OSError:
            yield here  # a folder that can't be listed: opening it says so
            continue
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                open_.append(entry)
            else:
                yield entry


def _file(path: Path, limits: ArchiveLimits) -> Iterator[SourceFile]:
    try:
        mode = path.stat().st_mode
        size = path.stat().st_size
    except OSError as error:
        yield _closed(str(path), f"cannot be opened ({error.strerror})", "check the file and its rights")
        return
    if stat.S_ISDIR(mode):
        what = "a link to a folder is not followed" if path.is_symlink() else "the folder cannot be listed"
        yield _closed(str(path), what, "hand in the folder itself, or change its rights")
    elif not stat.S_ISREG(mode):
        yield _closed(str(path), "not a regular file", "hand in files only")
    elif _is_zip(path):
        yield from _members(path, size, limits)
    elif size > limits.member_bytes:
        yield _closed(
            str(path), f"{size} bytes, more than {limits.member_bytes}", "raise the limit if it is genuine"
        )
    else:
        yield SourceFile(str(path), partial(_read, path))


def _closed(path: str, came: str, todo: str) -> SourceFile:
    def refuse() -> bytes:
        raise DataError(came, "a file that can be read", todo)

    return SourceFile(path, refuse)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror})", "a file that can be read", "check the file and its rights"
        ) from None


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def _members(path: Path, size: int, limits: ArchiveLimits) -> Iterator[SourceFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        yield _closed(str(path), "not DICOM: a damaged zip archive", "make the archive again")
        return
    members = sorted((m for m in archive.infolist() if not m.is_dir()), key=lambda m: m.filename)
    said = sum(member.file_size for member in members)
    allowed = min(limits.total_bytes, max(int(size * limits.ratio), 10 << 20))
    if len(members) > limits.members or said > allowed:
        yield _closed(
            str(path),
            f"a zip archive of {len(members)} members and {said} bytes inflated, more than is allowed "
            f"({limits.members} and {allowed})",
            "unpack it yourself if you trust it, and hand in the folder",
        )
        return
    for member in members:
        name = f"{path}!{member.filename}"
        if member.flag_bits & 0x1:
            yield _closed(name, "encrypted", "unpack it and hand in the folder")
        elif member.file_size > limits.member_bytes:
            came = f"{member.file_size} bytes, more than {limits.member_bytes}"
            yield _closed(name, came, "raise the limit if it is genuine")
        else:
            yield SourceFile(name, partial(_inflated, archive, member))


def _inflated(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member; no more is ever inflated than the size that the directory names."""
    try:
        with archive.open(member) as stream:
            return stream.read(max(member.file_size, 1))  # without a size it would inflate all at once
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        raise DataError(
            "a damaged member of an archive", "a member that can be read", "make the archive again"
        ) from None
