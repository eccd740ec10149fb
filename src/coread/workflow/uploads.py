"""Files that were uploaded: the job that takes them into the library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from coread.storage import Job, Library
from coread.workflow.intake import IntakeSummary, ingest_bytes
from coread.workflow.second_reading import images_arrived

JOB_KIND = "intake"


def enqueue(library: Library, files: Sequence[tuple[str, str]], *, actor: str) -> Job:
    """Ask for uploaded files to be taken in.

    Args:
        library: Whose object store has their contents.
        files: (name, digest) of each.
        actor: Who handed them in.

    Returns:
        The job; its payload keeps the contents in the store until it has ended.
    """
    listed = [{"name": name, "digest": digest} for name, digest in files]
    return library.jobs.enqueue(JOB_KIND, library.identifier(), {"actor": actor, "files": listed})


def take_in(
    library: Library, payload: Mapping[str, Any], progress: Callable[[float, str], None]
) -> IntakeSummary:
    """Take the files of an upload job in and mark readings whose study got more images.

    Args:
        library: Where to.
        payload: Of the job.
        progress: Called with the fraction done and words.
    """
    files = payload["files"]

    def contents() -> Iterator[tuple[str, bytes]]:
        for n, file in enumerate(files):
            progress(n / len(files), f"{n} / {len(files)}")
            yield file["name"], library.objects.get(file["digest"])

    summary = ingest_bytes(library, contents(), actor=payload["actor"])
    mark_late_images(library, summary)
    progress(1.0, "")
    return summary


def mark_late_images(library: Library, summary: IntakeSummary) -> None:
    """Tell every committed reading of the studies that got acquired images by an intake."""
    arrived: dict[str, list[str]] = defaultdict(list)
    for entry in summary.entries:
        if entry.role == "image" and entry.study in summary.new_images and entry.instance is not None:
            found = library.instances.find(entry.instance)
            if found is not None and found.header.acquired:
                arrived[entry.study].append(entry.instance)
    for study, instances in arrived.items():
        images_arrived(library, study, instances, library.now())
