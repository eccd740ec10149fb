"""Files that were uploaded: the job that takes them into the library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from coread.core import FileEntry
from coread.storage import Job, Library
from coread.workflow.intake import IntakeSummary, ingest_bytes
from coread.workflow.second_reading import images_arrived

JOB_KIND = "intake"
_GROUP_BYTES = 32 << 20


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
    entries: list[FileEntry] = []
    studies: dict[str, None] = {}
    new_images: dict[str, None] = {}
    for done, group in _groups(library, payload["files"]):
        progress(done, "")
        summary = ingest_bytes(library, group, actor=payload["actor"])
        entries.extend(summary.entries)
        studies.update(dict.fromkeys(summary.studies))
        new_images.update(dict.fromkeys(summary.new_images))
    whole = IntakeSummary(tuple(entries), tuple(studies), tuple(new_images))
    mark_late_images(library, whole)
    progress(1.0, "")
    return whole


def _groups(
    library: Library, files: Sequence[Mapping[str, str]]
) -> Iterator[tuple[float, list[tuple[str, bytes]]]]:
    """Yield the part that is done and some files that fit into memory together."""
    group: list[tuple[str, bytes]] = []
    size = 0
    for n, file in enumerate(files):
        content = library.objects.get(file["digest"])
        if group and size + len(content) > _GROUP_BYTES:
            yield (n - len(group)) / len(files), group
            group, size = [], 0
        group.append((file["name"], content))
        size += len(content)
    yield (len(files) - len(group)) / len(files), group


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
