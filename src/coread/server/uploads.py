"""Uploads: kept at once, taken in by a job."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from coread.errors import InputError
from coread.workflow.uploads import enqueue
from coread.workflow.visibility import READERS, Caller, HiddenError

if TYPE_CHECKING:
    from coread.server.site import Site


def accept(site: Site, caller: Caller, files: Iterable[tuple[str, IO[bytes]]]) -> str:
    """Keep the files of an upload and return the identifier of the job that takes them in.

    Raises:
        InputError: Nothing came, or more than the site takes at once.
    """
    if caller.reader is None or caller.role not in READERS:
        raise HiddenError
    contents: list[tuple[str, str]] = []
    left = site.settings.upload_limit
    for name, file in files:
        content = file.read(left + 1)
        left -= len(content)
        if left < 0:
            raise InputError(
                f"an upload of more than {site.settings.upload_limit} bytes",
                "fewer files",
                "send them in parts",
            )
        if content:
            contents.append((name, site.library.objects.put(content)))
    if not contents:
        raise InputError("an upload without content", "DICOM files or zip archives")
    job = enqueue(site.library, contents, actor=caller.reader)
    site.wake()
    return job.id
