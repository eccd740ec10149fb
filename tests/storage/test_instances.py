from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coread.core import InstanceHeader
from coread.core.reading import Committed, Opened, Revealed, Signed
from coread.errors import InputError
from coread.storage import Arrival, ConflictError, Library, content_digest

Header = Callable[..., InstanceHeader]


def arrival(header: InstanceHeader) -> Arrival:
    return Arrival(header, content_digest(header.instance.encode()), 10)


def test_instance_comes_back_as_it_was_added(library: Library, header: Header) -> None:
    entry = header(patient_name="Yıldız^Gökçe", instance_number=None, birth_date=None)
    assert library.instances.add(entry, "a" * 64, size=123456789012)
    stored = library.instances.find(entry.instance)
    assert stored is not None
    assert stored.header == entry
    assert (stored.digest, stored.size) == ("a" * 64, 123456789012)
    assert library.instances.series_parent(entry.series) == entry.study
    assert library.instances.study_patient(entry.study) == (entry.patient_id, None)
    assert library.instances.find("1.9") is None
    assert library.instances.series_parent("1.9") is None
    assert library.instances.study_patient("1.9") is None


def test_adding_twice_is_adding_once(library: Library, header: Header, clock: Any) -> None:
    arrivals = [arrival(header(number=n)) for n in range(3)]
    assert library.instances.add_many(arrivals) == (True, True, True)
    before = library.instances.study("1.2.3")
    clock.forward(60)
    assert library.instances.add_many([*arrivals, arrivals[0]]) == (False,) * 4
    assert library.instances.study("1.2.3") == before
    assert before is not None
    assert before.instances == 3


@pytest.mark.parametrize(
    ("changes", "digest", "words"),
    [
        ({}, "f" * 64, "other bytes"),
        ({"study": "1.2.4", "series": "1.2.3.1"}, "e" * 64, "series 1.2.3.1 came under study 1.2.4"),
        ({"series": "1.2.3.2", "instance": "1.2.3.1.1"}, None, "under another series"),
        ({"number": 2, "patient_id": "P-18"}, None, "another patient"),
        ({"number": 2, "birth_date": date(1960, 3, 1)}, None, "another patient"),
    ],
)
def test_contradiction_is_refused_and_changes_nothing(
    library: Library, header: Header, changes: dict[str, Any], digest: str | None, words: str
) -> None:
    first = arrival(header())
    library.instances.add_many([first])
    before = library.instances.studies()
    other = header(**changes)
    bad = Arrival(other, digest or content_digest(other.instance.encode()), 10)
    with library.transaction():  # the transaction around it goes on
        with pytest.raises(ConflictError, match=words):
            library.instances.add_many([arrival(header(study="1.7")), bad])
        library.audit.append("system", "intake.quarantined", other.study)
    assert library.instances.studies() == before
    assert library.instances.study("1.7") is None
    assert library.instances.find("1.7.1.1") is None
    assert library.audit.page().total == 1


def test_transaction_that_fails_leaves_nothing(library: Library, header: Header) -> None:
    def fail() -> None:
        with library.transaction():
            library.instances.add_many([arrival(header())])
            library.audit.append("system", "intake.added", "1.2.3")
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        fail()
    assert library.instances.studies().total == 0
    assert library.audit.page().total == 0
    assert library.audit.verify().intact


def _mixture(header: Header, rng: random.Random) -> list[InstanceHeader]:
    """Return acquired images and objects of some studies, in a random order."""
    entries = []
    for study in range(4):
        for series in range(rng.randint(1, 3)):
            for number in range(rng.randint(1, 4)):
                acquired = rng.random() < 0.5
                entries.append(
                    header(
                        study=f"1.{study}",
                        series=f"1.{study}.{series}",
                        number=number,
                        patient_id=f"P{study}",
                        acquired=acquired,
                        role="image" if acquired or rng.random() < 0.5 else "object",
                        frames=rng.randint(0, 3),
                        modality="CT" if acquired else "SR",
                        body_part="CHEST" if acquired else "BREAST",
                        study_description="CT" if acquired else "AI found something",
                        series_description="axial" if acquired else "AI result",
                        simulated=not acquired,
                        lossy=not acquired,
                        derived_uids=not acquired,
                        accession="A1" if acquired else "AI",
                    )
                )
    rng.shuffle(entries)
    return entries


@pytest.mark.parametrize("seed", range(6))
def test_scope_acquired_shows_nothing_of_objects(
    tmp_path: Path, header: Header, clock: Any, seed: int
) -> None:
    """The same as in a library that never got them: counts, words, times, order, totals, cursors."""
    entries = _mixture(header, random.Random(seed))
    start = clock.time
    seen = []
    for name, kept in (("all", entries), ("acquired", [e for e in entries if e.acquired])):
        with Library.open(tmp_path / name, clock=clock, durable=False) as library:
            for entry in kept:
                clock.time = start + timedelta(minutes=entries.index(entry))
                library.instances.add_many([arrival(entry)])
            index = library.instances
            pages = [index.studies(scope="acquired", limit=2, order=o) for o in ("urgency", "newest")]
            searched = [index.studies(query=q, scope="acquired") for q in ("ai", "ct", "a1")]
            by_kind = [index.studies(modality=m, scope="acquired") for m in ("SR", "CT")]
            series = [index.series(f"1.{n}", scope="acquired") for n in range(4)]
            single = [index.study(f"1.{n}", scope="acquired") for n in range(4)]
            instances = [index.instances(f"1.{n}.{s}", scope="acquired") for n in range(4) for s in range(3)]
            counts = index.state_counts(scope="acquired")
            seen.append((pages, searched, by_kind, series, single, instances, counts))
            if name == "all":
                assert index.studies().total == 4  # the objects are there
                assert sum(row.instances for row in index.studies().items) == len(entries)
    assert seen[0] == seen[1]


def test_counts_do_not_depend_on_order_or_grouping(
    library: Library, header: Header, tmp_path: Path, clock: Any
) -> None:
    entries = _mixture(header, random.Random(7))
    for entry in entries:
        library.instances.add_many([arrival(entry)])
    with Library.open(tmp_path / "other", clock=clock, durable=False) as other:
        other.instances.add_many([arrival(entry) for entry in reversed(entries)])
        for study in {entry.study for entry in entries}:
            rows = [index.study(study) for index in (library.instances, other.instances)]
            assert rows[0] is not None
            mine = [e for e in entries if e.study == study]
            assert rows[0].instances == len(mine)
            assert rows[0].frames == sum(e.frames for e in mine)
            assert rows[0].images == sum(e.role == "image" for e in mine)
            assert rows[0].series == len({e.series for e in mine})
            assert rows[1] is not None
            assert replace(rows[0], description="", accession="") == replace(
                rows[1], description="", accession=""
            )


def test_pages_hold_every_study_once_while_others_arrive(
    library: Library, header: Header, clock: Any
) -> None:
    for n in range(25):
        clock.forward(1)
        library.instances.add_many([arrival(header(study=f"1.{n}", patient_id=f"P{n}"))])
    library.instances.set_priority("1.20", "critical", "suspected bleeding")
    library.instances.set_priority("1.10", "urgent")
    expected = ["1.20", "1.10", *(f"1.{n}" for n in range(25) if n not in (10, 20))]
    found: list[str] = []
    cursor = None
    while True:
        page = library.instances.studies(cursor=cursor, limit=10)
        found.extend(row.uid for row in page.items)
        cursor = page.next
        if cursor is None:
            break
        clock.forward(1)
        new = f"2.{len(found)}"
        library.instances.add_many([arrival(header(study=new, patient_id=new))])
        expected.append(new)
    assert found == expected
    assert page.total == 27
    first = library.instances.studies(limit=1).items[0]
    assert (first.priority, first.priority_reason) == ("critical", "suspected bleeding")


def test_newest_first_goes_by_the_time_of_the_study(library: Library, header: Header) -> None:
    days = [3, 1, 2, None]
    for n, day in enumerate(days):
        time = None if day is None else datetime(2020, 1, day)
        library.instances.add_many([arrival(header(study=f"1.{n}", patient_id=f"P{n}", study_time=time))])
    order: list[str] = []
    cursor = None
    for _ in days:
        page = library.instances.studies(order="newest", limit=1, cursor=cursor)
        order.append(page.items[0].uid)
        cursor = page.next
    assert order == ["1.3", "1.0", "1.2", "1.1"]  # one without a time counts as of now
    assert cursor is None


@pytest.mark.parametrize("cursor", ["", "!", "bm90IGpzb24", "WzFd", "e30"])
def test_cursor_of_something_else_is_refused(library: Library, cursor: str) -> None:
    with pytest.raises(InputError, match="cursor"):
        library.instances.studies(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_page_length_has_limits(library: Library, limit: int) -> None:
    with pytest.raises(InputError, match="1 to 1000"):
        library.instances.studies(limit=limit)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", True),
        ("yildiz", True),
        ("YILDIZ gökçe", True),
        ("Yıldız^Gökçe", True),
        ("GOKCE İÇ", True),
        ("p_17", False),
        ("P-17", True),
        ("acc%", False),
        ("acc1 ct", True),
        ("gökçe roe", False),
    ],
)
def test_search_ignores_case_and_accents(library: Library, header: Header, query: str, found: bool) -> None:
    name = "Yıldız^Gökçe"
    library.instances.add_many([arrival(header(patient_name=name, study_description="İç CT"))])
    assert library.instances.studies(query=query).total == int(found)


def test_series_and_instances_come_by_number(library: Library, header: Header) -> None:
    numbers = {"1.2.3.30": None, "1.2.3.10": 2, "1.2.3.20": 1}
    for uid, number in numbers.items():
        library.instances.add_many([arrival(header(series=uid, series_number=number))])
    assert [s.uid for s in library.instances.series("1.2.3")] == ["1.2.3.20", "1.2.3.10", "1.2.3.30"]
    for n in (None, 10, 9):
        library.instances.add_many(
            [arrival(header(series="1.2.3.20", instance=f"1.9.{n or 0}", instance_number=n))]
        )
    kept = library.instances.instances("1.2.3.20")
    assert [i.header.instance_number for i in kept] == [1, 9, 10, None]
    assert library.instances.series("1.9") == ()
    assert library.instances.instances("1.9") == ()


@pytest.mark.parametrize(
    ("other", "is_prior"),
    [
        ({}, True),
        ({"patient_name": "Doe^J"}, True),
        ({"study_time": datetime(2027, 1, 1)}, False),
        ({"study_time": None}, False),
        ({"patient_id": "P-18"}, False),
        ({"birth_date": date(1961, 2, 28)}, False),
        ({"birth_date": None}, False),
        ({"acquired": False}, False),
    ],
)
def test_prior_is_an_earlier_study_of_surely_the_same_patient(
    library: Library, header: Header, other: dict[str, Any], is_prior: bool
) -> None:
    before = {"study_time": datetime(2025, 1, 1)} | other
    library.instances.add_many([arrival(header()), arrival(header(study="1.8", **before))])
    found = [row.uid for row in library.instances.priors("1.2.3", scope="acquired")]
    assert found == (["1.8"] if is_prior else [])


@pytest.mark.parametrize(
    ("patient_id", "name", "is_prior"),
    [("ANON", "Doe^Jane", True), ("ANON", "Roe^Jo", False), ("", "Doe^Jane", False)],
)
def test_without_a_birth_date_the_name_must_agree(
    library: Library, header: Header, patient_id: str, name: str, is_prior: bool
) -> None:
    unknown = {"birth_date": None, "patient_id": patient_id}
    earlier = header(study="1.8", study_time=datetime(2025, 1, 1), patient_name=name, **unknown)
    library.instances.add_many([arrival(header(**unknown)), arrival(earlier)])
    assert bool(library.instances.priors("1.2.3")) == is_prior


def test_priors_come_latest_first(library: Library, header: Header) -> None:
    times = {"1.5": datetime(2024, 5, 1), "1.6": datetime(2025, 5, 1, 9), "1.7": datetime(2025, 5, 1)}
    entries = [header(), *(header(study=uid, study_time=time) for uid, time in times.items())]
    library.instances.add_many([arrival(entry) for entry in entries])
    assert [row.uid for row in library.instances.priors("1.2.3")] == ["1.6", "1.7", "1.5"]


def test_states_are_anybodys_or_one_readers_own(library: Library, header: Header) -> None:
    for n in range(3):
        library.instances.add_many([arrival(header(study=f"1.{n}", patient_id=f"P{n}"))])
    at = datetime(2026, 3, 1, tzinfo=UTC)
    library.readings.append("1.0", "ann", Opened(at), expected=0)
    version = 0
    for event in (Opened(at), Committed(at, ()), Revealed(at, (), "1"), Signed(at)):
        version = library.readings.append("1.1", "ann", event, expected=version)
    library.readings.append("1.1", "bob", Opened(at), expected=0)

    def states(reader: str | None) -> dict[str, list[str]]:
        names = ("to_read", "being_read", "signed")
        counts = library.instances.state_counts(reader=reader)
        lists = {
            name: sorted(r.uid for r in library.instances.studies(state=name, reader=reader).items)
            for name in names
        }
        assert {name: len(found) for name, found in lists.items()} == counts
        return lists

    assert states(None) == {"to_read": ["1.2"], "being_read": ["1.0"], "signed": ["1.1"]}
    assert states("ann") == {"to_read": ["1.2"], "being_read": ["1.0"], "signed": ["1.1"]}
    assert states("bob") == {"to_read": ["1.0", "1.2"], "being_read": ["1.1"], "signed": []}


def test_priority_of_an_unknown_study_is_refused(library: Library) -> None:
    with pytest.raises(InputError, match="not indexed"):
        library.instances.set_priority("1.9", "urgent")
    with pytest.raises(InputError, match="priority"):
        library.instances.set_priority("1.9", "soon")  # type: ignore[arg-type]
