from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from coread.core import Finding, InstanceHeader, Mask, MaskRegion, Point, Reader
from coread.core.codes import CodedConcept
from coread.core.geometry import Geometry
from coread.core.reading import (
    AddendumAdded,
    Committed,
    Decided,
    Decision,
    DraftSaved,
    Event,
    ImagesArrived,
    Opened,
    Revealed,
    Signed,
    State,
    replay,
)
from coread.core.region import PatientSpace
from coread.errors import ReadingError
from coread.storage import ConflictError, Library

Header = Callable[..., InstanceHeader]
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
STUDY = "1.2.3"
NODULE = CodedConcept("427359005", "SCT", "Solitary nodule of lung")


@pytest.fixture(autouse=True)
def indexed(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def finding(identifier: str = "f1") -> Finding:
    point = Point((1.5, -2.0, 30.25), PatientSpace("1.2.3.99"))
    return Finding(identifier, NODULE, "present", Reader("ann"), region=point, comment="küçük")


WHOLE: tuple[Event, ...] = (
    Opened(at(0)),
    DraftSaved(at(1), (finding(),)),
    Committed(at(2), (finding(),)),
    Revealed(at(3), ("m1",), "1.0"),
    Decided(at(4), Decision("m1", "reject", at(4), "other", "motion")),
    Signed(at(5)),
    AddendumAdded(at(6), "Phoned."),
)


def append_all(library: Library, events: tuple[Event, ...], reader: str = "ann") -> int:
    version = library.readings.get(STUDY, reader)[1]
    for event in events:
        version = library.readings.append(STUDY, reader, event, expected=version)
    return version


def test_reading_is_the_replay_of_its_events(library: Library) -> None:
    assert append_all(library, WHOLE) == len(WHOLE)
    reading, version = library.readings.get(STUDY, "ann")
    expected = replay(STUDY, "ann", WHOLE)
    assert version == len(WHOLE)
    assert reading.state is State.ADDENDUM
    assert [type(e) for e in reading.events] == [type(e) for e in expected.events]
    assert [e.at for e in reading.events] == [e.at for e in expected.events]
    assert reading.decisions == expected.decisions
    assert reading.addenda == ((at(6), "Phoned."),)
    kept = reading.committed_findings[0]
    assert (kept.id, kept.concept, kept.region, kept.comment) == (
        "f1",
        NODULE,
        finding().region,
        "küçük",
    )
    (head,) = library.readings.heads(STUDY)
    assert (head.version, head.state) == (version, State.ADDENDUM)
    assert (head.opened_at, head.committed_at, head.signed_at) == (at(0), at(2), at(5))
    assert head.updated_at == at(6)
    assert not head.locked


def test_drawn_region_comes_back(library: Library) -> None:
    grid = Geometry.axial(shape=(3, 4, 5), spacing_mm=(5.0, 0.7, 0.7))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[1, 2, 1:4] = True
    region = MaskRegion(Mask(voxels, grid), PatientSpace("1.2.3.99"))
    drawn = Finding("f1", NODULE, "present", Reader("ann"), region=region)
    append_all(library, (Opened(at(0)), DraftSaved(at(1), (drawn,))))
    found = library.readings.get(STUDY, "ann")[0].draft[0].region
    assert isinstance(found, MaskRegion)
    np.testing.assert_array_equal(found.mask.voxels, voxels)


def test_nothing_stored_is_an_unread_reading(library: Library) -> None:
    reading, version = library.readings.get(STUDY, "bob")
    assert (reading.state, version) == (State.UNREAD, 0)
    assert library.readings.heads(STUDY) == ()


def test_step_on_an_old_version_is_refused_and_leaves_no_trace(library: Library) -> None:
    append_all(library, WHOLE[:2])
    audited = library.audit.page().total
    with pytest.raises(ConflictError, match="version 2 by now"):
        library.readings.append(STUDY, "ann", Committed(at(9), ()), expected=1)
    with pytest.raises(ReadingError):
        library.readings.append(STUDY, "ann", Signed(at(9)), expected=2)
    assert library.readings.get(STUDY, "ann")[1] == 2
    assert library.audit.page().total == audited


def test_study_that_is_not_indexed_has_no_reading(library: Library) -> None:
    with pytest.raises(ConflictError, match="not indexed"):
        library.readings.append("1.9", "ann", Opened(at(0)), expected=0)
    assert library.audit.page().total == 0


def test_of_two_commits_at_the_same_time_one_is_kept(library: Library) -> None:
    append_all(library, WHOLE[:1])
    gate = threading.Barrier(4)
    outcomes: list[str] = []

    def commit(name: str) -> None:
        gate.wait()
        try:
            library.readings.append(STUDY, "ann", Committed(at(1), (finding(name),)), expected=1)
            outcomes.append(name)
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=commit, args=(f"f{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes).count("refused") == 3
    (kept,) = [name for name in outcomes if name != "refused"]
    reading, version = library.readings.get(STUDY, "ann")
    assert version == 2
    assert [f.id for f in reading.committed_findings] == [kept]
    assert library.audit.verify().intact


def test_every_step_is_in_the_audit_log(library: Library) -> None:
    append_all(library, WHOLE)
    entries = library.audit.page(subject=STUDY).items[::-1]
    assert [e.action for e in entries] == [
        "reading.opened",
        "reading.draft_saved",
        "reading.committed",
        "reading.revealed",
        "reading.decided",
        "reading.signed",
        "reading.addendum_added",
    ]
    assert {e.actor for e in entries} == {"ann"}
    assert [e.detail["version"] for e in entries] == [str(n + 1) for n in range(len(WHOLE))]


def test_arriving_images_are_the_systems_act(library: Library) -> None:
    append_all(library, WHOLE[:3])
    event = ImagesArrived(at(3), ("1.2.3.1.9",))
    library.readings.append(STUDY, "ann", event, expected=3, actor="system")
    (entry,) = library.audit.page(actor="system").items
    assert (entry.action, entry.detail["reader"]) == ("reading.images_arrived", "ann")
    assert library.readings.heads(STUDY)[0].more_images


def test_readers_are_those_who_opened_it(library: Library) -> None:
    append_all(library, WHOLE[:3], "bob")
    append_all(library, WHOLE[:1], "ann")
    library.readings.append(STUDY, "cem", ImagesArrived(at(0)), expected=0, actor="system")
    assert library.readings.readers(STUDY) == ("ann", "bob")
    assert [h.locked for h in library.readings.heads(STUDY)] == [True, False, True]
    assert [h.reader for h in library.readings.heads(STUDY)] == ["ann", "bob", "cem"]
    mine = library.readings.heads_of("bob", [STUDY, "1.9"])
    assert list(mine) == [STUDY]
    assert mine[STUDY].state is State.READ_ALONE
