"""What reports ask for: kept by study and reader, closed once, found again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from coread.core import InstanceHeader
from coread.storage import Asked, ConflictError, Library

Header = Callable[..., InstanceHeader]
STUDY = "1.2.3"
CT = Asked("CT chest", date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1))
MR = Asked("MRI brain", date(2026, 1, 1), None, None)


def kept(library: Library) -> list[tuple[str, str, Asked]]:
    return [(row.study, row.reader, row.asked) for row in library.follow_up.rows()]


def test_the_latest_report_of_a_reader_says_what_is_asked(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)
    library.follow_up.replace(STUDY, "ann", [CT, CT])
    library.follow_up.replace(STUDY, "bob", [MR])
    assert kept(library) == [(STUDY, "ann", CT), (STUDY, "bob", MR)]
    library.follow_up.replace(STUDY, "ann", [MR])
    assert kept(library) == [(STUDY, "bob", MR), (STUDY, "ann", MR)]
    library.follow_up.replace(STUDY, "ann", [])
    assert kept(library) == [(STUDY, "bob", MR)]


def test_what_stays_the_same_stays_closed(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)
    library.follow_up.replace(STUDY, "ann", [CT])
    (row,) = library.follow_up.rows()
    library.follow_up.close(row.id, "bob", "Done elsewhere.")
    library.follow_up.replace(STUDY, "ann", [CT, MR])
    first, second = library.follow_up.rows()
    assert (first.closed_by, first.closed_why, first.closed_at) == ("bob", "Done elsewhere.", library.now())
    assert second.closed_at is None
    with pytest.raises(ConflictError):
        library.follow_up.close(row.id, "ann", "Again.")
    with pytest.raises(ConflictError):
        library.follow_up.close("none", "ann", "Nothing.")


def test_studies_of_a_patient_are_found_together(library: Library, header: Header) -> None:
    people = {
        "1.1": ("P", date(1960, 1, 1)),
        "1.2": ("P", date(1960, 1, 1)),
        "1.3": ("P", date(1970, 1, 1)),  # another person with the same number
        "1.4": ("", date(1960, 1, 1)),
        "1.5": ("", date(1960, 1, 1)),
    }
    for uid, (patient, birth) in people.items():
        made = header(
            study=uid, series=f"{uid}.1", instance=f"{uid}.1.1", patient_id=patient, birth_date=birth
        )
        library.instances.add(made, uid.replace(".", "a").rjust(64, "0"), size=1)
    found = library.instances.of_patients(["1.1", "1.3", "1.4", "1.9"])
    assert {uid: sorted(row.uid for row in rows) for uid, rows in found.items()} == {
        "1.1": ["1.1", "1.2"],
        "1.3": ["1.3"],
        "1.4": ["1.4"],
    }
