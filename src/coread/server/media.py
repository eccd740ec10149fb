"""What a client can take, and bodies of several parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from coread.errors import InputError
from coread.server.problems import NotAcceptableError

BOUNDARY = "coread-part-9d1f0c6be5f24f2f8a3b"


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One entry of an Accept header: its type, and its parameters in lower-case names."""

    type: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def inner(self) -> str:
        """The type of the parts for ``multipart/related``, else the type itself."""
        return self.parameters.get("type", "*/*").lower() if self.type == "multipart/related" else self.type

    @property
    def transfer_syntax(self) -> str | None:
        """The transfer syntax asked for, or None."""
        return self.parameters.get("transfer-syntax")


def accepted(header: str | None) -> list[MediaRange]:
    """Return the entries of an Accept header, the preferred ones first; everything where there is none.

    Examples:
        >>> accepted('multipart/related; type="application/dicom"; transfer-syntax=*')[0].inner
        'application/dicom'
    """
    ranges: list[tuple[float, MediaRange]] = []
    for entry in _split(header or "*/*", ","):
        kind, *rest = _split(entry, ";")
        pairs = (parameter.partition("=") for parameter in rest)
        parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError as error:
            raise InputError(f"Accept {header!r}", "a number after q=") from error
        if quality > 0:
            ranges.append((quality, MediaRange(kind.strip().lower(), parameters)))
    return [entry for _, entry in sorted(ranges, key=lambda pair: -pair[0])]


def _split(text: str, separator: str) -> list[str]:
    return re.findall(rf'(?:[^{separator}"]|"[^"]*")+', text)


def require(header: str | None, *offered: str) -> str:
    """Return the first type on offer that the client takes.

    Raises:
        NotAcceptableError: None of them.
    """
    for wanted in accepted(header):
        for kind in offered:
            group = f"{kind.split('/')[0]}/*"
            if wanted.type in (kind, group, "*/*"):
                return kind
    raise NotAcceptableError(f"Accept {header!r}", f"one of {', '.join(offered)}")


def parts(contents: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield a body of parts with their content types, for ``multipart/related`` with `BOUNDARY`."""
    for kind, content in contents:
        yield f"--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        yield content
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def multipart_type(inner: str) -> str:
    """Return the content type of a body of `parts`."""
    return f'multipart/related; type="{inner}"; boundary={BOUNDARY}'


def read_parts(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Return the parts of a ``multipart/related`` body: content type and content of each.

    Raises:
        InputError: It is no such body, or it ends before its last boundary.
    """
    outer = accepted(content_type)[0]
    boundary = outer.parameters.get("boundary")
    if outer.type != "multipart/related" or not boundary:
        raise InputError(f"content of type {content_type!r}", "multipart/related with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise InputError("a multipart body without its last boundary", "the whole body")
    found = []
    for piece in pieces[1:-1]:
        head, gap, content = piece.partition(b"\r\n\r\n")
        if not gap:
            raise InputError("a part without an empty line after its header", "a part as MIME says")
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n"))
        headers = {name.strip().lower(): value.strip() for name, _, value in lines}
        found.append((headers.get("content-type", "application/dicom"), content))
    return found
