from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coread.core import Dictation, InstanceHeader, Reader, Report, Section, Sentence, Signature, Template
from coread.errors import InputError
from coread.storage import ConflictError, Library

Header = Callable[..., InstanceHeader]
STUDY = "1.2.3"


def report(study: str = STUDY, text: str = "Küçük nodül.") -> Report:
    ann = Reader("ann")
    section = Section("findings", (Sentence(text, ann),))
    return Report(study, "tr", (section,), signature=Signature(ann, datetime(2026, 3, 1, tzinfo=UTC)))


def test_report_and_its_files_come_back(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)
    files = {"report.html": b"<html>", "sr.dcm": b"DICM" * 100}
    saved = library.reports.save(STUDY, "ann", report(), files)
    (found,) = library.reports.of(STUDY)
    assert (found.id, found.reader, found.saved_at) == (saved.id, "ann", library.now())
    assert found.load().sections == report().sections
    assert found.load().signature == report().signature
    assert [(f.name, f.size) for f in found.files] == [("report.html", 6), ("sr.dcm", 400)]
    for name, content in files.items():
        assert library.reports.file(saved.id, name) == content
    assert library.reports.file(saved.id, "other") is None
    assert library.reports.get("no such report") is None


def test_later_report_leaves_the_earlier_one(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)
    first = library.reports.save(STUDY, "ann", report(), {"a": b"1"})
    second = library.reports.save(STUDY, "ann", report(text="Ek."), {"a": b"2"})
    assert [r.id for r in library.reports.of(STUDY)] == [first.id, second.id]
    assert library.reports.file(first.id, "a") == b"1"


def test_report_belongs_to_its_study(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)
    with pytest.raises(InputError, match=r"of study 1\.9"):
        library.reports.save(STUDY, "ann", report("1.9"), {})
    with pytest.raises(ConflictError, match="not indexed"):
        library.reports.save("1.9", "ann", report("1.9"), {"a": b"1"})
    assert library.reports.of("1.9") == ()


def test_text_of_a_report_to_come_is_replaced_only_by_who_has_seen_it(
    library: Library, header: Header
) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)
    none = library.reports.text(STUDY, "ann")
    assert (none.dictation, none.version, none.saved_at) == (Dictation(""), 0, None)
    first = Dictation("Küçük nodül, İSMAİL.", "tr", (Template("chest_ct", "1"),))
    saved = library.reports.save_text(STUDY, "ann", first, expected=0)
    assert (saved.dictation, saved.version, saved.saved_at) == (first, 1, library.now())
    with pytest.raises(ConflictError, match="version 1"):
        library.reports.save_text(STUDY, "ann", Dictation("Other."), expected=0)
    assert library.reports.save_text(STUDY, "ann", Dictation("More."), expected=1).version == 2
    assert library.reports.text(STUDY, "ann").dictation.text == "More."
    assert library.reports.text(STUDY, "bob").version == 0
    with pytest.raises(ConflictError, match="not indexed"):
        library.reports.save_text("1.9", "ann", first, expected=0)
