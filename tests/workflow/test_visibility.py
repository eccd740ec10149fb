"""Who may see what, over a library whose instances are index entries only."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coread.core import Card, Finding, InstanceHeader, Model, Need, Provenance, Reader, Result, vocabulary
from coread.core.reading import Committed, ImagesArrived, Opened, Revealed, advance, replay
from coread.errors import ReadingError
from coread.storage import Library
from coread.workflow.second_reading import SecondReading, images_arrived
from coread.workflow.visibility import Caller, HiddenError, SiteRules, View, late_since

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def header(
    study: str, number: int, *, acquired: bool = True, patient: str = "P1", **more: Any
) -> InstanceHeader:
    values: dict[str, Any] = {
        "patient_id": patient,
        "patient_name": "TEST^A",
        "birth_date": date(1960, 1, 1),
        "sex": "F",
        "study": study,
        "study_time": datetime(2026, 3, int(study[-1]), 7, 0),
        "accession": "",
        "study_description": "CT",
        "referring": "",
        "series": f"{study}.{1 if acquired else 2}",
        "series_number": 1,
        "series_description": "",
        "modality": "CT" if acquired else "SEG",
        "body_part": None,
        "instance": f"{study}.{1 if acquired else 2}.{number}",
        "sop_class": "1.2.840.10008.5.1.4.1.1.2",
        "instance_number": number,
        "rows": 4,
        "columns": 4,
        "frames": 1,
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "frame_of_reference": None,
        "role": "image" if acquired else "object",
        "acquired": acquired,
        "simulated": False,
        "lossy": False,
    }
    return InstanceHeader(**values)


def card(
    mode: str = "second-reader", shown: str = "locked", needs: tuple[Need, ...] = (Need("volumes"),)
) -> Card:
    return Card(
        name="A test",
        version="1",
        kind="detect",
        mode=mode,  # type: ignore[arg-type]
        needs=needs,
        shown=shown,  # type: ignore[arg-type]
        intended_use="A test.",
        not_for="Else.",
        evidence_level=1,
        training_data="none",
        metrics=(),
        licence="Apache-2.0",
        references=(),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def library(tmp_path: Path, clock: Clock) -> Iterator[Library]:
    with Library.open(tmp_path, clock=clock, rng=random.Random(1), durable=False) as opened:
        for study in ("1.1", "1.2"):
            for number in (1, 2):
                opened.instances.add(header(study, number), "0" * 63 + str(number), size=1)
            opened.instances.add(header(study, 3, acquired=False), "0" * 63 + "3", size=1)
        yield opened


def save(library: Library, study: str, analyzer: str = "model", found: int = 1) -> None:
    model = Model(analyzer, "1", None, "second-reader")
    findings = tuple(
        Finding(f"{analyzer}-{library.identifier()}", vocabulary.LUNG_NODULE, "present", model)
        for _ in range(found)
    )
    now = library.now()
    stamp = Provenance(analyzer, "1", None, "second-reader", {"x": str(now)}, {}, None, "t", now, now)
    library.results.save(study, stamp, Result(findings=findings))


CARDS = {"model": card()}


def act(library: Library, clock: Clock, reader: str | None, role: Any = "reader") -> SecondReading:
    return SecondReading(library, Caller(reader, role), clock=clock, cards=CARDS)


def shown(library: Library, reader: str | None, study: str = "1.1", role: Any = "reader") -> int:
    view = View(library, Caller(reader, role if reader else "client"), cards=CARDS)
    return sum(len(run.result.findings) for run in view.results(study) if run.result)


def test_a_program_waits_for_every_assigned_reader(library: Library, clock: Clock) -> None:
    save(library, "1.1")
    assert shown(library, None) == 0  # nobody has opened it: nobody has committed either
    ada, ben = act(library, clock, "ada"), act(library, clock, "ben")
    ada.open("1.1")
    ben.open("1.1")
    ada.commit("1.1", (), expected=1)
    assert (shown(library, "ada"), shown(library, "ben"), shown(library, None)) == (1, 0, 0)
    ben.commit("1.1", (), expected=1)
    assert (shown(library, "ben"), shown(library, None)) == (1, 1)


@pytest.mark.parametrize("role", ["reader", "lead", "clinician", "auditor", "admin"])
def test_nobody_sees_results_without_a_committed_read(library: Library, role: Any) -> None:
    save(library, "1.1")
    assert shown(library, "eve", role=role) == 0
    view = View(library, Caller("eve", role), cards=CARDS)
    assert view.scope("1.1") == "acquired"
    assert view.study("1.1").instances == 2
    with pytest.raises(HiddenError):
        view.instance("1.1", "1.1.2", "1.1.2.3")


@pytest.mark.parametrize("role", ["clinician", "auditor", "client"])
def test_who_does_not_read_can_not_open(library: Library, clock: Clock, role: Any) -> None:
    with pytest.raises(HiddenError):
        act(library, clock, None if role == "client" else "eve", role).open("1.1")


def test_the_lock_binds_a_lead_who_reads(library: Library, clock: Clock) -> None:
    lead = act(library, clock, "lea", "lead")
    lead.open("1.1")
    assert not lead.view.unlocked("1.1")
    with pytest.raises(HiddenError):
        lead.reveal("1.1")


def test_an_analyzer_that_is_not_installed_shows_nothing_before_the_read(library: Library) -> None:
    save(library, "1.1", "unknown")
    assert View(library, Caller("ada", "reader"), cards=CARDS).results("1.1") == ()


def test_what_is_shown_always_must_not_build_on_what_is_hidden(library: Library) -> None:
    always = {"mode": "measurement", "shown": "always"}
    cards = {
        "hidden": card(),
        "dose": card(**always),
        "fine": card(**always, needs=(Need("results", analyzers=("dose",)),)),
        "leak": card(**always, needs=(Need("results", analyzers=("hidden",)),)),
        "far": card(**always, needs=(Need("masks", analyzers=("leak",)),)),
        "any": card(**always, needs=(Need("masks"),)),
        "gone": card(**always, needs=(Need("results", analyzers=("absent",)),)),
    }
    view = View(library, Caller("ada", "reader"), cards=cards)
    assert {name for name in cards if view.always_shown(name)} == {"dose", "fine"}


def test_a_first_read_hides_results_on_the_patients_other_studies_only(
    library: Library, clock: Clock
) -> None:
    library.instances.add(header("2.1", 1, patient="P2"), "0" * 63 + "4", size=1)
    for study in ("1.1", "1.2", "2.1"):
        save(library, study)
    ada = act(library, clock, "ada")
    for study in ("1.1", "2.1"):
        ada.open(study)
        ada.commit(study, (), expected=1)
    assert (shown(library, "ada", "1.1"), shown(library, "ada", "2.1")) == (1, 1)
    ada.open("1.2")
    assert (shown(library, "ada", "1.1"), shown(library, "ada", "2.1")) == (0, 1)
    assert ada.view.study("1.1").instances == 2
    ada.commit("1.2", (), expected=1)
    assert (shown(library, "ada", "1.1"), shown(library, "ada", "1.2")) == (1, 1)


def test_images_that_arrive_mark_committed_reads_only(library: Library, clock: Clock) -> None:
    ada, ben = act(library, clock, "ada"), act(library, clock, "ben")
    ada.open("1.1")
    ada.commit("1.1", (), expected=1)
    ben.open("1.1")
    assert images_arrived(library, "1.1", (), clock()) == 0
    assert images_arrived(library, "1.1", ("1.1.1.9",), clock()) == 1
    assert ada.reading("1.1").reading.more_images
    assert not ben.reading("1.1").reading.more_images


def test_late_images_hide_what_was_saved_after_them(library: Library, clock: Clock) -> None:
    ada = act(library, clock, "ada")
    save(library, "1.1", found=1)
    ada.open("1.1")
    ada.commit("1.1", (), expected=1)
    images_arrived(library, "1.1", ("1.1.1.9",), clock())
    save(library, "1.1", found=3)
    assert shown(library, "ada") == 1  # the earlier run, though a later one took its place
    view = View(library, Caller("ada", "reader"), cards=CARDS)
    assert view.scope("1.1") == "acquired"  # objects that came with the late images wait as well
    with pytest.raises(ReadingError, match="more images"):
        act(library, clock, "ada").reveal("1.1")
    ada.commit("1.1", (), expected=3)
    assert shown(library, "ada") == 3


def test_late_since_is_the_first_arrival_after_the_last_commit() -> None:
    t = [START + timedelta(minutes=n) for n in range(7)]
    reading = replay("1", "a", (Opened(t[0]), Committed(t[1], ()), ImagesArrived(t[2]), ImagesArrived(t[3])))
    assert late_since(reading) == t[2]
    assert late_since(advance(reading, Committed(t[4], ()))) is None
    again = advance(advance(reading, Committed(t[4], ())), ImagesArrived(t[5]))
    assert late_since(again) == t[5]
    revealed = advance(replay("1", "a", (Opened(t[0]), Committed(t[1], ()))), Revealed(t[2], (), "1"))
    assert late_since(revealed) is None


def test_everything_that_is_not_there_to_see_raises_one_error(library: Library) -> None:
    view = View(library, Caller("ada", "reader"), SiteRules(), CARDS)
    calls = [
        lambda: view.study("9.9"),
        lambda: view.series("9.9"),
        lambda: view.instances("1.1", "1.1.2"),
        lambda: view.instance("1.1", "1.1.1", "1.1.2.3"),
        lambda: view.instance("1.2", "1.1.1", "1.1.1.1"),  # under another study
        lambda: view.job("none"),
        lambda: view.audit(cursor=None, limit=1, check=False),
    ]
    words = set()
    for call in calls:
        with pytest.raises(HiddenError) as caught:
            call()
        words.add(str(caught.value))
    assert len(words) == 1


steps = st.lists(
    st.sampled_from(["open", "draft", "commit", "reveal", "late", "result", "other"]),
    max_size=9,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_no_path_leads_to_results_past_the_first_read(
    library: Library, clock: Clock, path: list[str]
) -> None:
    # a study of its own in each example, of a patient of its own
    study = f"7.{library.instances.studies(limit=1).total}.1"
    patient = f"patient of {study}"
    library.instances.add(header(study, 1, patient=patient), "0" * 63 + "7", size=1)
    committed = False
    arrived_at: datetime | None = None
    own = Finding("mine", vocabulary.EMPHYSEMA, "present", Reader("ada"))
    for step in path:
        ada = act(library, clock, "ada")
        reading, version = ada.reading(study)
        try:
            match step:
                case "open":
                    ada.open(study)
                case "draft":
                    ada.save_draft(study, (own,), expected=version)
                case "commit":
                    ada.commit(study, (), expected=version)
                    committed, arrived_at = True, None
                case "reveal":
                    ada.reveal(study)
                case "late":
                    at = clock()
                    images_arrived(library, study, (f"{study}.9",), at)
                    if committed and arrived_at is None:
                        arrived_at = at
                case "result":
                    save(library, study)
                case "other":
                    act(library, clock, "ben").open(study)
        except (HiddenError, ReadingError):
            assert len(ada.reading(study).reading.events) == len(reading.events)
        runs = View(library, Caller("ada", "reader"), cards=CARDS).results(study)
        assert committed or not runs
        if arrived_at is not None:
            assert all(run.row.saved_at < arrived_at for run in runs)
        if not committed:
            assert shown(library, None, study) == 0
