"""Structured reports: read back by DCMTK and highdicom, without an error of dciodvfy."""

from __future__ import annotations

import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.interop import cases
from tests.interop.dicom.objects import author, plain_source, program, verify

from coread.core import Addendum, MaskRegion, Signature
from coread.errors import InputError
from coread.interop.dicom.seg import TrackedRegion, tracking_uid, write_regions
from coread.interop.dicom.sr import write_report
from coread.interop.dicom.sr_places import largest_outline
from coread.interop.dicom.writing import to_bytes
from coread.interop.report_content import ObjectReference, ReportContent, SegmentReference


@pytest.fixture(scope="module")
def segmentation() -> Dataset:
    region = cases.NODULE.region
    assert isinstance(region, MaskRegion)
    tracked = TrackedRegion(cases.NODULE.concept, region.mask, cases.NODULE.id)
    return write_regions([tracked], plain_source(cases.GRID), author(cases.LUNG_CT))


def content(segmentation: Dataset, **changes: object) -> ReportContent:
    reference = SegmentReference(
        segmentation.SOPClassUID, segmentation.SOPInstanceUID, 1, 1, cases.CT_INSTANCES
    )
    made = ObjectReference(
        segmentation.SOPClassUID, segmentation.SOPInstanceUID, segmentation.SeriesInstanceUID
    )
    return cases.content(**{"segments": {cases.NODULE.id: reference}, "objects": (made,), **changes})


@pytest.fixture(scope="module")
def written(segmentation: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("sr") / "report.dcm"
    source = plain_source(cases.GRID, name="YILMAZ^İSMAİL ÇAĞRI")
    path.write_bytes(to_bytes(write_report(content(segmentation), source, author(cases.DOCTOR))))
    return path


def report_of(path: Path) -> highdicom.sr.MeasurementReport:
    found = highdicom.sr.srread(path).content
    assert isinstance(found, highdicom.sr.MeasurementReport)
    return found


def groups(path: Path) -> dict[str, list[Dataset]]:
    """Measurement groups by tracking identifier, found by concept code as a plain reader does."""
    root = pydicom.dcmread(path)
    (imaging,) = (i for i in root.ContentSequence if _name(i) == "126010")
    found: dict[str, list[Dataset]] = {}
    for group in imaging.ContentSequence:
        tracking = next(i.TextValue for i in group.ContentSequence if _name(i) == "112039")
        found.setdefault(tracking, []).append(group)
    return found


def _name(item: Dataset) -> str:
    name = item.ConceptNameCodeSequence[0]
    return str(name.get("CodeValue") or name.LongCodeValue)


def child(item: Dataset, code: str) -> Dataset:
    return next(i for i in item.ContentSequence if _name(i) == code)


def codes(item: Dataset) -> dict[str, str]:
    return {
        _name(i): i.ConceptCodeSequence[0].CodeValue for i in item.ContentSequence if i.ValueType == "CODE"
    }


def test_no_error(written: Path) -> None:
    assert verify(written) == []


def test_dcmtk_reads_it_in_turkish_letters(written: Path) -> None:
    done = subprocess.run([program("dsrdump"), str(written)], capture_output=True, text=True, check=True)
    for text in (
        "YILMAZ^İSMAİL ÇAĞRI",
        "Completion Flag     : COMPLETE",
        "Verification Flag   : VERIFIED",
        "Preliminary Flag    : FINAL",
        "2026-03-04 09:30:15 +00:00, dr.şahin^, Şehir Hastanesi",
        '"Eski sıvı, değişmemiş"',
        '"Volume")="2750.125" (mL,UCUM,"mL")',
        "SIMULATED",
        "Research use only",
    ):
        assert text in done.stdout, text
    assert not [line for line in done.stderr.splitlines() if line.startswith("E:")]


def test_dsr2xml_reads_every_number_with_its_unit(written: Path) -> None:
    done = subprocess.run([program("dsr2xml"), str(written)], capture_output=True, check=True)
    found = set()
    for number in ET.fromstring(done.stdout).iter("num"):
        name, value, unit = number.find("concept"), number.find("value"), number.find("unit")
        assert name is not None
        assert unit is not None
        found.add((name.findtext("value"), float(str(value.text)), unit.findtext("value")))  # type: ignore[union-attr]
    for expected in (
        ("lung-density", -861.5, "[hnsf'U]"),
        ("81827009", 7.25, "mm"),
        ("118565006", 2750.125, "mL"),
        ("111012", 87.0, "%"),
        ("threshold", 29.0, "%"),
        ("111012", 31.0, "%"),  # of the rejected one
    ):
        assert expected in found
    laa = next(value for name, value, _ in found if name == "laa-950")
    assert laa == pytest.approx(12.345678901234567, abs=1e-12)


def test_highdicom_finds_the_groups_and_exact_values(written: Path) -> None:
    report = report_of(written)
    everything = [
        *report.get_image_measurement_groups(),
        *report.get_planar_roi_measurement_groups(),
        *report.get_volumetric_roi_measurement_groups(),
    ]
    by_id = {g.tracking_identifier: g for g in everything if g.get_measurements() or g.finding_type}
    assert set(by_id) == {*(f.id for f in cases.FINDINGS), "lung_ct/118565006/1"}
    emphysema = by_id["lung_ct-1"]
    assert emphysema.finding_type.value == "87433001"
    values = {m.name.value: m.value for m in emphysema.get_measurements()}
    assert values["laa-950"] == 12.345678901234567  # exact: the floating point value is written, too
    assert values["lung-density"] == -861.5
    (site,) = emphysema.finding_sites
    assert site.value.value == cases.EMPHYSEMA.place.value  # type: ignore[union-attr]
    assert site.laterality is not None
    assert emphysema.tracking_uid == tracking_uid(cases.STUDY, "lung_ct-1")


def test_people_and_models_are_told_apart_in_every_group(written: Path) -> None:
    for identifier, found in groups(written).items():
        for group in found:
            by_model = identifier.startswith("lung_ct")
            assert codes(group)["121005"] == ("121007" if by_model else "121006")
            names = {_name(i) for i in group.ContentSequence}
            assert ("111001" in names) == by_model  # algorithm name
            assert "122405" not in names  # no algorithm manufacturer: TID 4019 has none
            if by_model:
                assert child(group, "111001").TextValue == "lung_ct"
                assert child(group, "111003").TextValue == "1.0.0"
                assert child(group, "121012").UID.startswith("2.25.")
            else:
                assert str(child(group, "121008").PersonName) == "dr.şahin^"


def test_each_algorithm_is_contributing_equipment(written: Path) -> None:
    dataset = pydicom.dcmread(written)
    items = [
        item
        for item in dataset.ContributingEquipmentSequence
        if item.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Algorithm"
    ]
    assert {(i.ManufacturerModelName, i.SoftwareVersions) for i in items} == {
        ("lung_ct", "1.0.0"),
        ("cxr_pneumonia", "2.1.0"),
    }
    assert len({i.DeviceUID for i in items}) == 2
    in_group = child(groups(written)["lung_ct-1"][0], "121012").UID
    assert in_group in {i.DeviceUID for i in items}


def test_status_change_side_and_probability(written: Path) -> None:
    found = groups(written)
    presence = {identifier: codes(found[identifier][0]).get("121052") for identifier in found}
    assert presence["own-5"] == "121054"
    assert presence["own-1"] == "121059"
    assert presence["own-3"] == "historical"
    assert presence["lung_ct-1"] == "121053"
    box = codes(found["own-2"][0])
    assert (box["change"], box["272741003"]) == ("15454001", "7771000")
    certainty = child(found["lung_ct-1"][0], "111012")
    assert certainty.MeasuredValueSequence[0].FloatingPointValue == 87.0
    inside = {_name(i): i for i in certainty.ContentSequence}
    upper = inside["371886008"].MeasuredValueSequence[0].NumericValue
    lower = inside["371885007"].MeasuredValueSequence[0].NumericValue
    assert (float(upper), float(lower)) == pytest.approx((5.0, 6.0))
    assert inside["interval"].TextValue == "95 %; bootstrap over patients"
    assert inside["calibrated"].ConceptCodeSequence[0].CodeValue == "373066001"


def test_decisions_are_recorded_with_their_reasons(written: Path) -> None:
    found = groups(written)
    assert codes(found["lung_ct-1"][0])["reader-decision"] == "accepted"
    modified = found["cxr-1"][0]
    assert codes(modified)["reader-decision"] == "modified"
    assert codes(modified)["121071"] == "consolidation"
    assert "Lung opacity" in child(modified, "modified-from").TextValue
    assert "cxr-2" not in found, "a rejected finding is no measurement group"
    root = pydicom.dcmread(written)
    apart = child(root, "not-accepted")
    (rejected,) = apart.ContentSequence
    stated = codes(rejected)
    assert (stated["121071"], stated["reader-decision"]) == ("36118008", "rejected")
    assert stated["reject-reason"] == "rej-artefact"
    assert child(rejected, "121106").TextValue == "skin fold"
    assert child(rejected, "111001").TextValue == "cxr_pneumonia"


def test_places_in_the_patient_come_back_as_written(written: Path) -> None:
    report = report_of(written)
    planar = {
        g.tracking_identifier: g for g in report.get_planar_roi_measurement_groups() if g.roi is not None
    }
    point = planar["own-1"].roi
    assert point.graphic_type.value == "POINT"
    assert point.value.tolist() == [[-10.25, -5.5, 110.0]]
    assert point.frame_of_reference_uid == cases.FRAME
    contour = planar["own-3"].roi
    assert contour.graphic_type.value == "POLYGON"
    assert contour.value.tolist() == [[-10, -10, 105], [0, -10, 105], [0, 2, 105], [-10, -10, 105]]
    volumetric = {g.tracking_identifier: g for g in report.get_volumetric_roi_measurement_groups()}
    surface = volumetric["own-2"].roi
    corners = np.concatenate([item.value for item in surface if item.ValueType == "SCOORD3D"])
    assert corners.min(axis=0).tolist() == [-15, -20, 102.5]
    assert corners.max(axis=0).tolist() == [5, 4, 112.5]


def test_places_on_a_film_are_columns_and_rows_from_the_corner(written: Path) -> None:
    # PS3.3 C.18.6.1.1: the corner of the first pixel is 0, so the centre of pixel (12, 33) is 33.5 \ 12.5
    found = groups(written)
    point = child(found["own-4"][0], "111030")
    assert point.GraphicType == "POINT"
    assert list(point.GraphicData) == [33.5, 12.5]
    image = point.ContentSequence[0].ReferencedSOPSequence[0]
    assert image.ReferencedSOPInstanceUID == cases.DX_INSTANCE
    box = child(found["cxr-1"][0], "111030")
    points = np.array(box.GraphicData).reshape(-1, 2)
    assert points.min(axis=0).tolist() == [30.5, 10.5]
    assert points.max(axis=0).tolist() == [49.5, 19.5]
    assert points[0].tolist() == points[-1].tolist()


def test_mask_refers_to_its_segment_and_has_an_outline_of_the_same_tracking(
    written: Path, segmentation: Dataset
) -> None:
    by_segment, by_outline = groups(written)["lung_ct-2"]
    item = child(by_segment, "121191").ReferencedSOPSequence[0]
    assert item.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
    assert item.ReferencedSegmentNumber == 1
    assert segmentation.SegmentSequence[0].TrackingUID == child(by_segment, "112040").UID
    assert child(by_outline, "112040").UID == child(by_segment, "112040").UID
    outline = child(by_outline, "111030")
    image = outline.ContentSequence[0].ReferencedSOPSequence[0]
    assert image.ReferencedSOPInstanceUID == cases.CT_INSTANCES[3]
    points = np.array(outline.GraphicData).reshape(-1, 2)
    # pixels 35 to 44 and 20 to 29: edges at 35, 45 and 20, 30
    assert points.min(axis=0).tolist() == [35, 20]
    assert points.max(axis=0).tolist() == [45, 30]
    assert not [i for i in by_outline.ContentSequence if i.ValueType == "NUM"], "no number twice"


def test_without_a_segmentation_the_outline_lies_in_the_patient(segmentation: Dataset) -> None:
    report = content(segmentation, segments={}, objects=())
    dataset = write_report(report, plain_source(cases.GRID), author(cases.DOCTOR))
    (imaging,) = (i for i in dataset.ContentSequence if _name(i) == "126010")
    nodule = next(g for g in imaging.ContentSequence if child(g, "112039").TextValue == cases.NODULE.id)
    points = np.array(child(nodule, "111030").GraphicData).reshape(-1, 3)
    expected = cases.GRID.to_patient([[3, 19.5, 34.5], [3, 29.5, 44.5]])
    assert points.min(axis=0) == pytest.approx(expected[0], abs=1e-4)
    assert points.max(axis=0) == pytest.approx(expected[1], abs=1e-4)


def test_text_says_whose_each_sentence_is(written: Path) -> None:
    root = pydicom.dcmread(written)
    section = child(root, "18782-3")
    by_reader, by_model = section.ContentSequence
    assert by_reader.TextValue == "Sağ üst lobda nodül."
    assert codes(by_reader)["121005"] == "121006"
    assert codes(by_model)["121005"] == "121007"
    assert str(child(by_model, "accepted-by").PersonName) == "dr.şahin^"
    language = child(root, "121049").ConceptCodeSequence[0]
    assert (language.CodeValue, language.CodingSchemeDesignator) == ("tr", "RFC5646")


def test_evidence_names_every_image_and_object(written: Path, segmentation: Dataset) -> None:
    uids = {uid for *_, uid, _ in highdicom.sr.srread(written).get_evidence()}
    assert uids == {*cases.CT_INSTANCES, cases.DX_INSTANCE, segmentation.SOPInstanceUID}


def test_unread_results_are_partial_unverified_and_preliminary(segmentation: Dataset, tmp_path: Path) -> None:
    report = content(
        segmentation,
        signature=None,
        decisions=(),
        sections=(),
        findings=(cases.EMPHYSEMA, cases.NODULE, cases.ABSTAINS),
    )
    path = tmp_path / "unread.dcm"
    path.write_bytes(to_bytes(write_report(report, plain_source(cases.GRID), author())))
    assert verify(path) == []
    dataset = pydicom.dcmread(path)
    assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert dataset.PreliminaryFlag == "PRELIMINARY"
    assert "VerifyingObserverSequence" not in dataset
    observers = [i.ConceptCodeSequence[0].CodeValue for i in dataset.ContentSequence if _name(i) == "121005"]
    assert observers == ["121007"], "no person"
    assert "not read by a person" in dataset.SeriesDescription
    assert codes(groups(path)["cxr-3"][0])["121052"] == "no-opinion"


def test_a_read_without_findings_and_one_with_an_addendum(segmentation: Dataset, tmp_path: Path) -> None:
    empty = ReportContent(headers=cases.HEADERS, signature=cases.REPORT.signature)
    path = tmp_path / "empty.dcm"
    path.write_bytes(to_bytes(write_report(empty, plain_source(cases.GRID), author(cases.DOCTOR))))
    assert verify(path) == []
    assert codes(groups(path)["no finding"][0])["121071"] == "no-finding"
    words = Addendum("Ek: şüpheli değil.", Signature(cases.DOCTOR, cases.SIGNED_AT))
    dataset = write_report(
        content(segmentation, addenda=(words,)), plain_source(cases.GRID), author(cases.DOCTOR)
    )
    path.write_bytes(to_bytes(dataset))
    assert verify(path) == []
    assert child(child(dataset, "121078"), "121078").TextValue == "Ek: şüpheli değil."


def test_a_place_outside_the_study_is_refused(segmentation: Dataset) -> None:
    only_ct = tuple(h for h in cases.HEADERS if h.modality == "CT")
    with pytest.raises(InputError, match="an image of the study"):
        write_report(content(segmentation, headers=only_ct), plain_source(cases.GRID), author())


def test_it_is_written_in_time(segmentation: Dataset) -> None:
    start = time.process_time()
    to_bytes(write_report(content(segmentation), plain_source(cases.GRID), author(cases.DOCTOR)))
    assert time.process_time() - start < 0.5


def test_outline_of_two_parts_is_the_longer_one() -> None:
    region = np.zeros((20, 20), dtype=bool)
    region[2:4, 2:4] = region[10:18, 5:15] = True
    outline = largest_outline(region)
    assert outline is not None
    assert outline.min(axis=0).tolist() == [9.5, 4.5]
    assert largest_outline(np.zeros((4, 4), dtype=bool)) is None
