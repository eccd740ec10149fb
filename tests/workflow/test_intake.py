"""Every file gets exactly one role, in any order, through a crash, and nothing is lost."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import SecondaryCaptureImageStorage
from tests.interop.dicom.files import ROOT, as_bytes, element, plain

from coread.core import FileEntry
from coread.errors import CancelledError, InputError
from coread.storage import Library
from coread.workflow.intake import (
    IntakeSettings,
    ingest,
    ingest_bytes,
    series_instances,
    temporary_library,
)

UNIQUE = itertools.count(1)


@pytest.fixture
def library() -> Iterator[Library]:
    with temporary_library() as opened:
        yield opened


def roles(entries: tuple[FileEntry, ...]) -> list[str]:
    return [entry.role for entry in entries]


def ct(**attributes: Any) -> bytes:
    return as_bytes(plain(np.arange(24, dtype=np.int16).reshape(4, 6), **attributes))


# The data given


@pytest.fixture(scope="module")
def given_data(shared: Path) -> Iterator[tuple[Library, dict[str, FileEntry]]]:
    with temporary_library() as library:
        summary = ingest(library, [shared / "dicom"])
        yield library, {str(Path(e.path).relative_to(shared / "dicom")): e for e in summary.entries}


CONFLICTING = ("broken", "objects", "transfer_syntax")
Given = tuple[Library, dict[str, FileEntry]]


def test_every_file_is_accounted_for(shared: Path, given_data: Given) -> None:
    files = [p for p in (shared / "dicom").rglob("*") if p.is_file()]
    assert sorted(given_data[1]) == sorted(str(p.relative_to(shared / "dicom")) for p in files)
    assert len(files) == 196


def test_what_is_quarantined_is_what_the_data_hold(given_data: Given) -> None:
    _, entries = given_data
    quarantined = {path for path, e in entries.items() if e.role == "quarantined"}
    assert quarantined == {
        "transfer_syntax/JPEGProcess1.dcm",
        "transfer_syntax/RLELossless.dcm",
        "transfer_syntax/OBXXXX1A_rle_2frame.dcm",
        "transfer_syntax/examples_palette.dcm",
        "objects/rtdose_1frame.dcm",
    }
    assert entries["transfer_syntax/JPEG2000Lossy.dcm"].role == "image"
    assert entries["transfer_syntax/OBXXXX1A_rle.dcm"].role == "image"
    assert all(entries[path].reason for path in quarantined)


def test_broken_copies_push_no_good_file_aside(given_data: Given) -> None:
    _, entries = given_data
    for broken, good, role in (
        ("broken/MR_truncated.dcm", "transfer_syntax/MR_small_RLE.dcm", "image"),
        ("broken/rtplan_truncated.dcm", "objects/rtplan.dcm", "object"),
        ("broken/badVR.dcm", "objects/rtdose.dcm", "object"),
    ):
        assert entries[broken].role == "refused"
        assert entries[broken].instance is None
        assert entries[good].role == role


def test_one_image_in_six_encodings_is_one_image(given_data: Given) -> None:
    of_syntaxes = [e for path, e in given_data[1].items() if path.startswith("ct_same_image")]
    assert sorted(roles(tuple(of_syntaxes))) == ["duplicate"] * 5 + ["image"] * 2
    duplicates = [path for path, e in given_data[1].items() if e.role == "duplicate"]
    assert len(duplicates) == 10  # 5 here, 3 of MR_small, 693_UNCR, CT_small


def test_the_rest_is_refused_for_a_reason_or_kept(given_data: Given) -> None:
    _, entries = given_data
    for name in ("README.md", "MANIFEST.tsv", "fhir/imagingstudy_siim_andy.json", "broken/zipMR.gz"):
        assert entries[name].role == "refused"
        assert "not DICOM" in entries[name].reason
    assert "truncated" in entries["transfer_syntax/RG1_J2KI.dcm"].reason
    for path, entry in entries.items():
        if path.split("/")[0] in ("ct_philips_notilt", "mr_uih_dti", "enhanced_mr", "ct_ge_gantrytilt_18.5"):
            assert entry.role == "image"
        if path.startswith("objects/seg_"):
            assert entry.role == "object"
    derived = {path for path, e in entries.items() if "UIDs derived from the content" in e.marks}
    assert derived == {
        f"transfer_syntax/{name}.dcm"
        for name in ("HTJ2K_08_RGB", "JLSL_RGB_ILV2", "JLSN_RGB_ILV0", "JPEGLSNearLossless_08")
    }


def test_what_is_kept_can_be_read_again(shared: Path, given_data: Given) -> None:
    library, entries = given_data
    kept = [e for e in entries.values() if e.role in ("image", "object")]
    for entry in kept:
        assert entry.instance is not None
        stored = library.instances.find(entry.instance)
        assert stored is not None
        assert library.objects.get(stored.digest) == (shared / "dicom" / entry.path).read_bytes()
    entry = entries["ct_philips_notilt/I10.dcm"]
    assert entry.series is not None
    assert len(series_instances(library, entry.series)) == 28
    assert library.check().orphans == ()
    assert library.audit.verify().intact


def test_quarantined_bytes_are_kept_and_not_indexed(shared: Path, given_data: Given) -> None:
    library, _ = given_data
    rows = library.intake.page(roles=("quarantined",), limit=100).items
    assert len(rows) == 5
    indexed = library.instances.digests()
    for row in rows:
        assert row.digest is not None
        assert row.digest not in indexed
        assert library.objects.get(row.digest) == Path(row.entry.path).read_bytes()


def test_handing_all_of_it_in_again_changes_nothing(shared: Path, given_data: Given) -> None:
    library, entries = given_data
    studies = library.instances.studies(limit=1000).items
    counts = ingest(library, [shared / "dicom" / name for name in CONFLICTING]).counts
    first = [e.role for path, e in entries.items() if path.split("/")[0] in CONFLICTING]
    kept = first.count("image") + first.count("object") + first.count("duplicate")
    assert (counts["image"], counts["object"], counts["duplicate"]) == (0, 0, kept)
    assert (counts["quarantined"], counts["refused"]) == (5, first.count("refused"))
    assert library.instances.studies(limit=1000).items == studies


def test_a_zip_gives_the_same_roles_as_its_folder(
    shared: Path, tmp_path: Path, library: Library, given_data: Given
) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (f for name in CONFLICTING for f in (shared / "dicom" / name).iterdir()):
            archive.write(file, file.relative_to(shared / "dicom"))
    summary = ingest(library, [path])
    found = {entry.path.removeprefix(f"{path}!"): entry.role for entry in summary.entries}
    expected = {n: e.role for n, e in given_data[1].items() if n.split("/")[0] in CONFLICTING}
    assert found == expected | {"transfer_syntax/CT_small.dcm": "duplicate"}


def test_the_summary_has_one_entry_a_file(library: Library, shared: Path) -> None:
    summary = ingest(library, [shared / "dicom" / "broken", shared / "dicom" / "ct_localizer"])
    document = json.loads(json.dumps(summary.document()))
    assert len(document["files"]) == 13 == sum(document["counts"].values())
    for file in document["files"]:
        assert set(file) >= {"path", "role", "study", "series", "reason"}
        assert file["reason"] or file["role"] in ("image", "object")
    image = next(f for f in document["files"] if f["path"].endswith("I10.dcm"))
    assert image["role"] == "image"
    assert image["study"] in document["studies"]


# Conflicts


def test_the_same_bytes_again_are_a_duplicate(library: Library) -> None:
    summary = ingest_bytes(library, [("a", ct()), ("b", ct())])
    assert roles(summary.entries) == ["image", "duplicate"]
    assert library.instances.studies().total == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PixelData": bytes(48)}, "pixels"),
        ({"ImagePositionPatient": [0, 0, 1]}, "geometries"),
        ({"RescaleSlope": 2, "RescaleIntercept": 0}, "meanings"),
        ({"PixelSpacing": [0.4, 0.5]}, "geometries"),
        ({"PatientID": "P2"}, "patients"),
        ({"PatientBirthDate": "19700101"}, "patients"),
        ({"StudyInstanceUID": f"{ROOT}.77"}, "studies"),
        ({"SeriesInstanceUID": f"{ROOT}.1.77"}, "series"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "pixels"),
    ],
)
def test_another_content_under_one_uid_is_quarantined(
    library: Library, change: dict[str, Any], words: str
) -> None:
    for separately in (False, True):  # within one group of writes and across two
        files = [("first", ct()), ("second", ct(**change))]
        if separately:
            entries = tuple(e for f in files for e in ingest_bytes(library, [f]).entries)
            assert roles(entries) == ["duplicate", "quarantined"]
        else:
            entries = ingest_bytes(library, files).entries
            assert roles(entries) == ["image", "quarantined"]
        assert words in entries[1].reason
        assert "ask the sender" in entries[1].reason


@pytest.mark.parametrize(
    "change",
    [
        {"InstitutionName": "Elsewhere"},
        {"RescaleSlope": 1, "RescaleIntercept": 0},
        {"StudyDescription": "Other words"},
    ],
)
def test_other_words_around_the_same_image_are_a_duplicate(library: Library, change: dict[str, Any]) -> None:
    summary = ingest_bytes(library, [("first", ct()), ("second", ct(**change))])
    assert roles(summary.entries) == ["image", "duplicate"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"StudyInstanceUID": f"{ROOT}.77"}, "series UID is known under another study"),
        ({"SeriesInstanceUID": f"{ROOT}.1.9", "PatientID": "P2"}, "another patient"),
        ({"SeriesInstanceUID": f"{ROOT}.1.9", "PatientBirthDate": "19700101"}, "another patient"),
    ],
)
def test_a_uid_under_two_parents_is_quarantined(library: Library, change: dict[str, Any], words: str) -> None:
    other = ct(SOPInstanceUID=f"{ROOT}.1.1.2", **change)
    for files in ([("a", ct()), ("b", other)], [("b", other)]):
        entry = ingest_bytes(library, files).entries[-1]
        assert entry.role == "quarantined"
        assert words in entry.reason


def test_a_refused_copy_that_comes_first_claims_nothing(library: Library) -> None:
    summary = ingest_bytes(library, [("a", ct()[:-10]), ("b", ct())])
    assert roles(summary.entries) == ["refused", "image"]
    assert summary.entries[0].study is None


def test_damaged_frames_are_told_when_they_come(library: Library) -> None:
    dataset = plain(np.zeros((2, 4, 6), np.uint8), ImagePositionPatient=None)
    dataset["PixelData"].is_undefined_length = True
    rle = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\xe9\x07"  # 24 times 7
    dataset.PixelData = encapsulate([rle, rle[:64] + b"\x7f\x01"])
    one_bad = as_bytes(dataset, "1.2.840.10008.1.2.5")
    dataset.PixelData = encapsulate([rle[:64] + b"\x7f\x01", b"\1\0"])
    all_bad = as_bytes(dataset, "1.2.840.10008.1.2.5")
    summary = ingest_bytes(library, [("all", all_bad), ("one", one_bad)])
    assert roles(summary.entries) == ["refused", "image"]
    assert "damaged" in summary.entries[0].reason
    assert "1 of 2 frames are damaged" in summary.entries[1].marks


def test_from_the_network_missing_uids_are_refused(library: Library) -> None:
    nameless = ct(StudyInstanceUID=None)
    online = ingest_bytes(library, [("a", nameless)], settings=IntakeSettings(offline=False))
    assert roles(online.entries) == ["refused"]
    assert roles(ingest_bytes(library, [("a", nameless)]).entries) == ["image"]


# Ways in


def test_uploads_may_be_archives(library: Library, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/1.dcm", ct())
        archive.writestr("x/readme.txt", "words")
    summary = ingest_bytes(library, [("study.zip", (tmp_path / "a.zip").read_bytes()), ("2", b"")])
    assert [(e.path, e.role) for e in summary.entries] == [
        ("study.zip!x/1.dcm", "image"),
        ("study.zip!x/readme.txt", "refused"),
        ("2", "refused"),
    ]


def test_a_missing_path_is_an_input_error(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ingest(library, [tmp_path / "nothing"])


def test_objects_are_written_down_as_hidden(library: Library) -> None:
    capture = as_bytes(
        plain(SOPClassUID=SecondaryCaptureImageStorage, ImageType=["DERIVED", "SECONDARY"], Modality="OT")
    )
    ingest_bytes(library, [("a", ct()), ("b", capture.replace(b".1.1.1", b".1.1.2"))])
    summary = ingest_bytes(library, [("c", ct(SOPInstanceUID=f"{ROOT}.1.1.3"))])
    assert summary.new_images == summary.studies
    (study,) = library.instances.studies(scope="acquired").items
    assert study.instances == 2
    assert library.intake.page(scope="acquired").total == 2
    actions = {entry.action for entry in library.audit.page(actor="system").items}
    assert actions == {"images.received", "objects.received"}


def test_progress_rises_and_cancelling_keeps_what_is_in(library: Library, tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"{n}.dcm").write_bytes(ct(SOPInstanceUID=f"{ROOT}.1.1.{n + 1}"))
    seen: list[float] = []
    with pytest.raises(CancelledError):
        ingest(library, [tmp_path], progress=lambda f, _: seen.append(f), cancelled=lambda: len(seen) >= 3)
    assert seen == pytest.approx([0.2, 0.4, 0.6])
    assert library.instances.studies().items[0].instances == 3
    assert roles(ingest(library, [tmp_path]).entries) == ["duplicate"] * 3 + ["image"] * 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)))
def test_in_any_order_the_first_good_one_is_kept(library: Library, order: list[int]) -> None:
    uid = {"SOPInstanceUID": f"{ROOT}.5.{next(UNIQUE)}"}
    swapped = np.arange(24, dtype=">i2").tobytes()
    files = [
        ("plain", ct(**uid)),
        ("truncated", ct(**uid)[:-10]),
        ("big endian", as_bytes(plain(PixelData=swapped, **uid), "1.2.840.10008.1.2.2")),
        ("other pixels", ct(PixelData=bytes(48), **uid)),
        ("other pixels again", ct(PixelData=bytes(48), InstitutionName="X", **uid)),
        ("text", b"words"),
    ]
    summary = ingest_bytes(library, [files[n] for n in order])
    by_name = {entry.path: entry.role for entry in summary.entries}
    same, others = {"plain", "big endian"}, {"other pixels", "other pixels again"}
    first = next(files[n][0] for n in order if files[n][0] in same | others)
    winners = same if first in same else others
    for name, role in by_name.items():
        if name in ("truncated", "text"):
            assert role == "refused"
        elif name == first:
            assert role == "image"
        else:
            assert role == ("duplicate" if name in winners else "quarantined")


# Crashes


def _take_in(folder: Path, files: Path, started: Any) -> None:
    with Library.open(folder) as library:
        ingest(library, [files], progress=lambda *_: started.set())


@pytest.mark.slow
def test_a_kill_loses_nothing_and_the_rest_is_taken_up_again(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for n in range(1, 251):
        (files / f"{n:03d}.dcm").write_bytes(
            ct(SOPInstanceUID=f"{ROOT}.1.1.{n}", ImagePositionPatient=[0, 0, n])
        )
    context = multiprocessing.get_context("spawn")
    for round_ in range(2):
        started = context.Event()
        process = context.Process(target=_take_in, args=(tmp_path / "library", files, started))
        process.start()
        assert started.wait(60)
        time.sleep(random.Random(round_).uniform(0, 0.5))  # the point of the kill is what varies
        process.kill()
        process.join()
    with Library.open(tmp_path / "library") as library:
        assert library.start_check is not None
        assert library.start_check.missing == ()
        kept = {row.digest for row in library.intake.page(roles=("image",), limit=1000).items}
        assert kept == library.instances.digests()  # acknowledged means written down, indexed and on the disk
        assert all(digest in library.objects for digest in kept)
        ingest(library, [files])
        assert library.instances.studies().items[0].instances == 250
        assert library.audit.verify().intact


def test_three_at_once_take_every_file_in_once(shared: Path, tmp_path: Path) -> None:
    folders = [shared / "dicom" / name for name in (*CONFLICTING, "dcmqi_ct3_seg")]
    with ExitStack() as stack:
        libraries = [stack.enter_context(Library.open(tmp_path, durable=False)) for _ in range(3)]
        pool = stack.enter_context(ThreadPoolExecutor(3))
        summaries = list(pool.map(lambda library: ingest(library, folders), libraries))
        first = libraries[0]
        kept = [e for s in summaries for e in s.entries if e.role in ("image", "object")]
        assert len({e.instance for e in kept}) == len(kept) == len(first.instances.digests())
        assert all(s.counts["refused"] == summaries[0].counts["refused"] for s in summaries)
        assert first.audit.verify().intact


def test_names_in_odd_character_sets_are_indexed(library: Library) -> None:
    name = "Çağlar^Şükrü"
    ingest_bytes(library, [("a", ct(SpecificCharacterSet="ISO_IR 148", PatientName=name))])
    assert library.instances.studies(query="caglar").items[0].patient_name == name


def test_values_that_no_database_takes_do_not_stop_the_intake(library: Library) -> None:
    parts = (
        (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.88.11"),
        (0x00080020, "DA", b"99999999"),
        (0x00080060, "CS", b"M" * 200),
        (0x00081030, "LO", b"a\0b\x01c\xff\xfed"),
        (0x00100010, "PN", b"X\0Y^" + b"Z" * 60_000),
        (0x00200011, "IS", b"99999999999999999999"),
        (0x00200013, "IS", b"-9999999999"),
    )
    content = b"".join(element(*part) for part in parts)
    (entry,) = ingest_bytes(library, [("a", content)]).entries
    assert entry.role == "object"
    (study,) = library.instances.studies().items
    assert study.patient_name.startswith("XY^ZZZ")
    assert study.modalities == ("M" * 16,)
    assert study.time is None


def test_a_file_with_class_only_is_an_object_with_derived_uids(library: Library) -> None:
    bare = element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.88.11") + element(0x00080060, "CS", b"SR")
    (entry,) = ingest_bytes(library, [("a", bare)]).entries
    assert entry.role == "object"
    assert entry.instance is not None
    assert entry.instance.startswith("2.25.")
