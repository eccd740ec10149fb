"""Files into a library: every file that is handed in gets one role, and nothing is lost.

An acknowledged file is on the disk and in the index; what conflicts with the library is kept aside, and a
refused file claims no UID, so that a broken copy can't push a good one out.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from coread.core import FileEntry, FileRole, InstanceHeader
from coread.errors import CancelledError, DataError, InputError
from coread.interop.dicom.elements import Limits
from coread.interop.dicom.equality import difference
from coread.interop.dicom.header import Instance, read_instance
from coread.interop.dicom.pixels import damaged_frames
from coread.interop.dicom.source import ArchiveLimits, SourceFile, find_files
from coread.storage import Arrival, ConflictError, Library, Scope, content_digest

Progress = Callable[[float, str], None]
logger = logging.getLogger(__name__)

ROLES: tuple[FileRole, ...] = ("image", "object", "duplicate", "quarantined", "refused")
_AGAIN = "the same file again"
_GROUP_FILES = 128
_GROUP_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """How files are taken in.

    Attributes:
        offline: Whether missing UIDs are derived from the content; files from the network are refused.
        limits: What one file may ask for.
        archives: What an archive may ask for.
    """

    offline: bool = True
    limits: Limits = field(default_factory=Limits)
    archives: ArchiveLimits = field(default_factory=ArchiveLimits)


@dataclass(frozen=True, slots=True)
class IntakeSummary:
    """What became of the files.

    Attributes:
        entries: One a file, in the order in which they were taken.
        studies: Studies that got something new, in the order of their first new file.
        new_images: Studies that got acquired images or dose reports.
    """

    entries: tuple[FileEntry, ...]
    studies: tuple[str, ...]
    new_images: tuple[str, ...]

    @property
    def counts(self) -> Mapping[FileRole, int]:
        """How many files got each role."""
        found = Counter(entry.role for entry in self.entries)
        return {role: found[role] for role in ROLES}

    def document(self) -> dict[str, Any]:
        """Return the part of ``summary.json`` that accounts for the files."""
        return {
            "counts": dict(self.counts),
            "studies": list(self.studies),
            "files": [
                {
                    "path": entry.path,
                    "role": entry.role,
                    "study": entry.study,
                    "series": entry.series,
                    "instance": entry.instance,
                    "reason": entry.reason,
                    "marks": list(entry.marks),
                }
                for entry in self.entries
            ],
        }


def ingest(
    library: Library,
    paths: Sequence[Path | str],
    *,
    actor: str = "system",
    settings: IntakeSettings | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> IntakeSummary:
    """Take files, folders and zip archives into a library.

    Args:
        library: Where to keep them.
        paths: Taken in this order, sorted within each folder and archive.
        actor: Who hands them in, for the audit log.
        settings: How to take them.
        progress: Called with the fraction done and words.
        cancelled: Asked before every file; what is taken in by then stays.

    Returns:
        One entry a file.

    Raises:
        InputError: A path does not exist, or there is no file at all.
        CancelledError: It was cancelled; taking the same paths again goes on, nothing is kept twice.
        TransportError: The disk or the database does not take it.
    """
    settings = settings or IntakeSettings()
    files = tuple(find_files(paths, settings.archives))
    if not files:
        raise InputError(
            f"there is no file in {', '.join(map(str, paths))}",
            "files, or folders with files",
            "check the path",
        )
    return _ingest(library, files, actor, settings, progress, cancelled)


def ingest_bytes(
    library: Library,
    files: Iterable[tuple[str, bytes]],
    *,
    actor: str = "system",
    settings: IntakeSettings | None = None,
) -> IntakeSummary:
    """Take files that are in memory, such as uploads, into a library; archives are opened.

    Args:
        library: Where to keep them.
        files: Names and contents.
        actor: Who hands them in, for the audit log.
        settings: How to take them.
    """
    settings = settings or IntakeSettings()
    with tempfile.TemporaryDirectory(prefix="coread-intake-") as folder:
        found: list[SourceFile] = []
        for number, (name, content) in enumerate(files):
            if content[:4] != b"PK\x03\x04":
                found.append(SourceFile(name, lambda kept=content: kept))  # type: ignore[misc]
                continue
            archive = Path(folder) / f"{number}.zip"
            archive.write_bytes(content)
            found += [
                SourceFile(member.path.replace(str(archive), name, 1), member.open)
                for member in find_files([archive], settings.archives)
            ]
        return _ingest(library, found, actor, settings, None, None)


@contextmanager
def temporary_library() -> Iterator[Library]:
    """Give a library that is thrown away afterwards, for reading a folder once."""
    with (
        tempfile.TemporaryDirectory(prefix="coread-") as folder,
        Library.open(Path(folder), durable=False) as library,
    ):
        yield library


def series_instances(
    library: Library, series: str, *, scope: Scope = "all", pixels: bool = True
) -> tuple[Instance, ...]:
    """Return the instances of a series out of a library, read from their bytes.

    Args:
        library: Where they are kept.
        series: Series instance UID.
        scope: ``acquired`` leaves out what is hidden before the first read.
        pixels: Whether to keep the undecoded pixels; headers alone take little memory.
    """
    rows = library.instances.instances(series, scope=scope)
    return tuple(read_instance(library.objects.get(row.digest), pixels=pixels) for row in rows)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What becomes of a file, before it is written down."""

    entry: FileEntry
    content: bytes | None = None  # kept: taken in or quarantined
    header: InstanceHeader | None = None

    @property
    def is_new(self) -> bool:
        return self.entry.role in ("image", "object")


@dataclass(slots=True)
class _Group:
    """Files that are decided and not yet written; later files are compared with them too."""

    decisions: list[_Decision] = field(default_factory=list)
    instances: dict[str, _Decision] = field(default_factory=dict)
    series: dict[str, str] = field(default_factory=dict)
    studies: dict[str, tuple[str, date | None]] = field(default_factory=dict)
    size: int = 0

    def add(self, decision: _Decision) -> None:
        self.decisions.append(decision)
        self.size += len(decision.content or b"")
        header = decision.header
        if header is not None and decision.is_new:
            self.instances[header.instance] = decision
            self.series[header.series] = header.study
            self.studies[header.study] = header.patient_id, header.birth_date

    @property
    def is_full(self) -> bool:
        return len(self.decisions) >= _GROUP_FILES or self.size >= _GROUP_BYTES


def _ingest(
    library: Library,
    files: Sequence[SourceFile],
    actor: str,
    settings: IntakeSettings,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> IntakeSummary:
    written: list[_Decision] = []
    group = _Group()
    for number, file in enumerate(files):
        if cancelled is not None and cancelled():
            _write(library, group, actor, settings)
            raise CancelledError(
                f"cancelled after {number} of {len(files)} files", "", "hand the same files in again to go on"
            )
        group.add(_decide(library, group, file, settings))
        if group.is_full:
            written += _write(library, group, actor, settings)
            group = _Group()
        if progress is not None:
            progress((number + 1) / len(files), f"{number + 1} of {len(files)} files")
    written += _write(library, group, actor, settings)
    new = [d.header for d in written if d.is_new and d.header is not None]
    return IntakeSummary(
        tuple(d.entry for d in written),
        tuple(dict.fromkeys(header.study for header in new)),
        tuple(dict.fromkeys(header.study for header in new if header.acquired)),
    )


def _decide(library: Library, group: _Group, file: SourceFile, settings: IntakeSettings) -> _Decision:
    try:
        content = file.open()
        instance = read_instance(content, offline=settings.offline, limits=settings.limits)
        header, marks = instance.header, instance.marks
        damaged, why = damaged_frames(instance.dataset) if header.role == "image" else (0, None)
        if why is not None and damaged >= header.frames:
            raise why
    except DataError as error:
        reason = "; ".join(part for part in (error.came, error.todo) if part)
        return _Decision(FileEntry(path=file.path, role="refused", reason=reason))
    if damaged:
        marks = (*marks, f"{damaged} of {header.frames} frames are damaged")

    def decision(role: FileRole, reason: str = "") -> _Decision:
        entry = FileEntry(
            path=file.path,
            role=role,
            reason=reason,
            study=header.study,
            series=header.series,
            instance=header.instance,
            marks=marks,
        )
        return _Decision(entry, None if role == "duplicate" else content, header)

    known = _known(library, group, header.instance)
    if known is not None:
        if content == known:
            return decision("duplicate", _AGAIN)
        unequal = difference(instance, read_instance(known))
        if unequal is None:
            return decision("duplicate", "the same instance in another encoding; the first is kept")
        return decision(
            "quarantined",
            f"another instance with this SOP instance UID is kept, and {unequal} differ; "
            "ask the sender which of the two is right",
        )
    conflict = _conflict(library, group, header)
    return decision("quarantined", conflict) if conflict else decision(header.role)


def _known(library: Library, group: _Group, instance: str) -> bytes | None:
    """Return the bytes that are kept for a SOP instance UID, written or about to be."""
    pending = group.instances.get(instance)
    if pending is not None:
        return pending.content
    stored = library.instances.find(instance)
    return None if stored is None else library.objects.get(stored.digest)


def _conflict(library: Library, group: _Group, header: InstanceHeader) -> str | None:
    """Return why a new instance does not fit what is known of its parents, or None."""
    study = group.series.get(header.series) or library.instances.series_parent(header.series)
    if study is not None and study != header.study:
        return "its series UID is known under another study; ask the sender which of the two is right"
    patient = group.studies.get(header.study) or library.instances.study_patient(header.study)
    if patient is not None and patient != (header.patient_id, header.birth_date):
        return (
            "its study is known with another patient identifier or birth date; "
            "a person must decide whether they are one patient"
        )
    return None


def _write(library: Library, group: _Group, actor: str, settings: IntakeSettings) -> list[_Decision]:
    """Keep a group: bytes first, then index, intake log and audit log in one transaction."""
    if not group.decisions:
        return []
    contents = [d.content for d in group.decisions if d.content is not None]
    digests = iter(library.objects.put_many(contents))
    kept = [(d, next(digests) if d.content is not None else None) for d in group.decisions]
    try:
        return _write_rows(library, kept, actor)
    except ConflictError:
        # Another process was faster with one of them: decide and write one by one.
        if len(group.decisions) == 1:
            return _quarantine(library, group.decisions[0], actor)
        written: list[_Decision] = []
        for decision in group.decisions:
            single = _Group()
            content = decision.content
            if content is None:
                single.add(decision)
            else:
                source = SourceFile(decision.entry.path, lambda kept=content: kept)  # type: ignore[misc]
                single.add(_decide(library, _Group(), source, settings))
            written += _write(library, single, actor, settings)
        return written


def _quarantine(library: Library, decision: _Decision, actor: str) -> list[_Decision]:
    """Keep aside what another process has come before with."""
    entry = decision.entry
    aside = replace(
        entry,
        role="quarantined",
        reason="the same UIDs came from elsewhere at the same time; hand the file in again",
    )
    changed = _Decision(aside, decision.content, decision.header)
    return _write_rows(library, [(changed, content_digest(decision.content or b""))], actor)


def _write_rows(
    library: Library, kept: Sequence[tuple[_Decision, str | None]], actor: str
) -> list[_Decision]:
    """Write index, intake log and audit log; what another process brought meanwhile becomes a duplicate."""
    written: list[_Decision] = []
    received: Counter[tuple[str, str]] = Counter()
    with library.transaction():
        at = library.now()
        arrivals = [
            Arrival(decision.header, digest, len(decision.content or b""))
            for decision, digest in kept
            if decision.is_new and decision.header is not None and digest is not None
        ]
        is_new = iter(library.instances.add_many(arrivals))
        for decided, digest in kept:
            decision, header = decided, decided.header
            if decided.is_new and header is not None:
                if next(is_new):
                    action = "images.received" if header.acquired else "objects.received"
                    received[action, header.study] += 1
                else:
                    entry = replace(decided.entry, role="duplicate", reason=_AGAIN)
                    decision = _Decision(entry, None, header)
            library.intake.record(
                decision.entry,
                None if decision.content is None else digest,
                at,
                acquired=None if header is None else header.acquired,
            )
            written.append(decision)
        for (action, study), number in received.items():
            library.audit.append(actor, action, study, {"instances": str(number)})
    for decision in written:
        logger.info("%s %s", decision.entry.role, decision.entry.instance or "without UID")
    return written
