from __future__ import annotations

from datetime import timedelta
from typing import Any

from coread.core import FileEntry
from coread.storage import Library


def entry(path: str, role: Any, **changes: Any) -> FileEntry:
    reason = "" if role in ("image", "object") else "because"
    return FileEntry(path=path, role=role, reason=reason, **changes)


def test_every_file_is_listed_latest_first(library: Library, clock: Any) -> None:
    first = entry(
        "a.zip!b.dcm", "image", study="1.2", series="1.2.1", instance="1.2.1.1", marks=("no preamble",)
    )
    kept = library.intake.record(first, "a" * 64, acquired=True)
    clock.forward(1)
    library.intake.record(entry("ğ.txt", "refused"))
    page = library.intake.page()
    assert [row.entry.path for row in page.items] == ["ğ.txt", "a.zip!b.dcm"]
    assert page.items[1] == kept
    assert page.items[1].entry == first
    assert page.items[1].digest == "a" * 64
    assert page.items[1].at == clock.time - timedelta(seconds=1)


def test_roles_can_be_asked_for_in_pages(library: Library) -> None:
    for n in range(5):
        library.intake.record(entry(f"q{n}", "quarantined"))
        library.intake.record(entry(f"i{n}", "image"), acquired=True)
    first = library.intake.page(roles=("quarantined", "refused"), limit=3)
    rest = library.intake.page(roles=("quarantined", "refused"), limit=3, cursor=first.next)
    paths = [row.entry.path for row in (*first.items, *rest.items)]
    assert paths == ["q4", "q3", "q2", "q1", "q0"]
    assert (first.total, rest.next) == (5, None)


def test_scope_acquired_shows_nothing_of_objects(library: Library) -> None:
    shown = [
        library.intake.record(entry("ct.dcm", "image", study="1.2"), acquired=True),
        library.intake.record(entry("ct-other.dcm", "quarantined", study="1.2"), acquired=True),
        library.intake.record(entry("readme.txt", "refused")),
    ]
    for role in ("object", "image", "duplicate", "quarantined", "refused"):
        library.intake.record(entry(f"ai-{role}.dcm", role, study="1.2"), acquired=False)
    library.intake.record(entry("ai-cut-off.dcm", "refused", study="1.2"))
    library.intake.record(entry("ai-no-study.dcm", "refused"), acquired=False)
    page = library.intake.page(scope="acquired")
    assert list(page.items) == shown[::-1]
    assert page.total == 3
    assert library.intake.page().total == 10
    counts = library.intake.counts(scope="acquired")
    assert counts == {"image": 1, "object": 0, "duplicate": 0, "quarantined": 1, "refused": 1}


def test_counts_from_a_moment_on(library: Library, clock: Any) -> None:
    library.intake.record(entry("a", "refused"))
    clock.forward(3600)
    library.intake.record(entry("b", "refused"))
    assert library.intake.counts()["refused"] == 2
    assert library.intake.counts(since=clock.time)["refused"] == 1
