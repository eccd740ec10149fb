"""Exports of a study: every file agrees with the others, and says what it is."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from fhir.resources.R4B.bundle import Bundle
from pydicom.dataset import Dataset, FileMetaDataset
from tests.interop import cases
from tests.interop.dicom.objects import plain_source, verify

from coread.core import (
    Geometry,
    LabelMap,
    Map,
    Mask,
    MaskRegion,
    PlaneMask,
    Result,
    Segment,
    Volume,
    vocabulary,
)
from coread.errors import InputError
from coread.interop.authorship import uid_generator
from coread.interop.dicom.parametric_map import read_map
from coread.interop.dicom.regions import read_label_map, read_segmentation
from coread.interop.dicom.writing import to_bytes
from coread.storage import Library
from coread.workflow.export import (
    FORMATS,
    ResultOf,
    SignedBundle,
    StudyContext,
    check_formats,
    export_results,
    export_signed,
)
from coread.workflow.intake import ingest
from coread.workflow.process import load_study
from coread.workflow.runner import Outcome


def image_file(uid: str) -> bytes:
    """A header as the store would have it."""
    dataset = Dataset()
    dataset.update(plain_source(cases.GRID, name="YILMAZ^İSMAİL ÇAĞRI").dataset)
    dataset.SOPInstanceUID = uid
    if uid == cases.DX_INSTANCE:
        dataset.SeriesInstanceUID, dataset.Modality = cases.DX_SERIES, "DX"
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        del dataset.FrameOfReferenceUID
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return to_bytes(dataset)


def context(**changes: object) -> StudyContext:
    values: dict[str, object] = {
        "headers": cases.HEADERS,
        "parts": (cases.volume(), cases.radiograph()),
        "read": image_file,
    }
    return StudyContext(**{**values, **changes})  # type: ignore[arg-type]


def labels() -> LabelMap:
    values = np.zeros(cases.GRID.shape, dtype=np.uint16)
    values[1:6, 10:50, 5:25], values[1:6, 10:50, 35:60] = 1, 2
    return LabelMap(
        values,
        cases.GRID,
        {1: vocabulary.RIGHT_LUNG, 2: vocabulary.LEFT_LUNG},
        cases.FRAME,
        cases.CT_INSTANCES,
    )


def density() -> Map:
    values = np.random.default_rng(4).random(cases.GRID.shape).astype(np.float32)
    return Map(
        values,
        cases.GRID,
        vocabulary.LOW_ATTENUATION,
        "1",
        0.0,
        1.0,
        "Lung below -950 HU.",
        cases.FRAME,
        cases.CT_INSTANCES,
    )


def activation() -> Map:
    values = np.linspace(0, 1, 80 * 90, dtype=np.float32).reshape(80, 90)
    return Map(
        values, cases.PLANE, vocabulary.CLASS_ACTIVATION, "1", 0.0, 1.0, "Heat.", None, (cases.DX_INSTANCE,)
    )


def results() -> tuple[ResultOf, ...]:
    airways = Segment(vocabulary.AIRWAYS, cases.nodule_mask(), cases.FRAME, cases.CT_INSTANCES)
    ct = Result(
        findings=(cases.EMPHYSEMA, cases.NODULE),
        measurements=(cases.LUNG_VOLUME,),
        maps=(density(),),
        masks=(airways,),
        labels=(labels(),),
    )
    cxr = Result(findings=(cases.OPACITY, cases.REJECTED, cases.ABSTAINS), maps=(activation(),))
    stamp = replace(cases.PROVENANCE, analyzer="cxr_pneumonia", version="2.1.0", weights_digest="cd" * 32)
    return (
        ResultOf(provenance=cases.PROVENANCE, result=ct, card=cases.card(cases.LUNG_CT)),
        ResultOf(provenance=stamp, result=cxr, card=cases.card(cases.CXR)),
    )


def bundle(**changes: object) -> SignedBundle:
    values: dict[str, object] = {
        "study": context(),
        "report": cases.REPORT,
        "results": results(),
        "decisions": tuple(d for _, d in cases.DECISIONS),
        "new_uid": uid_generator(np.random.default_rng(9)),
        "at": cases.AT,
        "silence": (("Chest radiograph", "not like its training films"),),
    }
    return SignedBundle(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(export_signed(bundle()))


def dataset(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def listed(files: dict[str, bytes]) -> dict[str, object]:
    document: dict[str, object] = json.loads(files["exports.json"])
    return document


def test_every_format_gives_its_files(files: dict[str, bytes]) -> None:
    assert set(files) == {
        "seg-lung_ct-findings-1.dcm",
        "seg-lung_ct-masks-1.dcm",
        "seg-lung_ct-labels-1.dcm",
        "map-lung_ct-1.dcm",
        "map-cxr_pneumonia-1.dcm",
        "report.sr.dcm",
        "report.text.sr.dcm",
        "report.html",
        "report.pdf",
        "report.txt",
        "report.fhir.json",
        "exports.json",
    }
    document = listed(files)
    assert document["problems"] == []
    assert {f["name"] for f in document["files"]} == set(files) - {"exports.json"}  # type: ignore[attr-defined]
    assert (document["status"], document["simulated"]) == ("final", True)


def test_no_object_has_an_error(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        if name.endswith(".dcm"):
            (tmp_path / name).write_bytes(content)
            assert verify(tmp_path / name) == [], name


def test_objects_hold_what_the_models_found(files: dict[str, bytes]) -> None:
    back = read_label_map(dataset(files["seg-lung_ct-labels-1.dcm"]), grid=cases.GRID)
    assert np.array_equal(back.values, labels().values)
    (nodule,) = read_segmentation(dataset(files["seg-lung_ct-findings-1.dcm"]), grid=cases.GRID)
    assert isinstance(nodule.mask, Mask)
    assert np.array_equal(nodule.mask.voxels, cases.nodule_mask().voxels)
    assert np.array_equal(read_map(dataset(files["map-lung_ct-1.dcm"])).values, density().values)
    heat = read_map(dataset(files["map-cxr_pneumonia-1.dcm"]))
    assert np.abs(heat.values - activation().values).max() <= 0.5 / 255 + 1e-6
    assert heat.source_instances == (cases.DX_INSTANCE,)


def test_report_and_objects_refer_to_each_other(files: dict[str, bytes]) -> None:
    report = dataset(files["report.sr.dcm"])
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    made = {dataset(c).SOPInstanceUID for n, c in files.items() if n.endswith(".dcm")}
    assert made - {report.SOPInstanceUID} <= evidence
    assert set(cases.CT_INSTANCES) <= evidence
    segmentation = dataset(files["seg-lung_ct-findings-1.dcm"])
    assert segmentation.SOPInstanceUID in str(report)
    assert segmentation.SegmentSequence[0].TrackingUID in str(report)
    patients = {
        (str(dataset(c).PatientName), dataset(c).PatientID) for n, c in files.items() if n.endswith(".dcm")
    }
    assert patients == {("YILMAZ^İSMAİL ÇAĞRI", "P1")}


def test_uids_are_new_and_from_the_generator(files: dict[str, bytes]) -> None:
    objects = [dataset(c) for n, c in files.items() if n.endswith(".dcm")]
    uids = [d.SOPInstanceUID for d in objects] + [d.SeriesInstanceUID for d in objects]
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("2.25.") for uid in uids)
    again = dict(export_signed(bundle()))
    assert again == files, "the same generator and clock give the same bytes"
    other = export_signed(bundle(new_uid=uid_generator(np.random.default_rng(10))))
    assert dataset(other["report.sr.dcm"]).SOPInstanceUID not in uids


def test_signed_files_say_who_signed_and_stated_numbers_keep_their_model(files: dict[str, bytes]) -> None:
    report = dataset(files["report.sr.dcm"])
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "VERIFIED")
    document = json.loads(files["report.fhir.json"])
    Bundle.model_validate(document)
    observations = [
        e["resource"] for e in document["entry"] if e["resource"]["resourceType"] == "Observation"
    ]
    (volume,) = (o for o in observations if o["code"]["coding"][0]["code"] == "118565006")
    assert volume["valueQuantity"]["value"] == 2750.125
    assert "device" in volume
    (diagnostic,) = (
        e["resource"] for e in document["entry"] if e["resource"]["resourceType"] == "DiagnosticReport"
    )
    assert diagnostic["presentedForm"][0]["title"] == "report.pdf"
    page = files["report.html"].decode()
    assert "Pulmoner amfizem" in page  # in the words of the catalogue
    assert page.count("<img ") == 6


def test_only_the_formats_asked_for() -> None:
    files = export_signed(bundle(), ("html", "sr"))
    assert set(files) == {"report.html", "report.sr.dcm", "report.text.sr.dcm", "exports.json"}
    with pytest.raises(InputError, match="no format docx"):
        export_signed(bundle(), ("docx",))
    check_formats(FORMATS)


def test_regions_as_structures_and_surfaces(tmp_path: Path) -> None:
    """RT Structure Sets without an error, surfaces that hold the volume of their masks."""
    files = export_signed(bundle(), ("rtstruct", "stl", "glb"))
    assert listed(dict(files))["problems"] == []
    sets = sorted(name for name in files if name.startswith("rtstruct-"))
    assert sets == [f"rtstruct-lung_ct-{what}-1.dcm" for what in ("findings", "labels", "masks")]
    for name in sets:
        (tmp_path / name).write_bytes(files[name])
        assert verify(tmp_path / name) == []
        assert dataset(files[name]).Modality == "RTSTRUCT"
    both = dataset(files["rtstruct-lung_ct-labels-1.dcm"])
    assert [s.ROIName for s in both.StructureSetROISequence] == ["Right lung", "Left lung"]
    assert len([name for name in files if name.endswith(".glb")]) == 3
    stl = sorted(name for name in files if name.endswith(".stl"))
    assert len(stl) == 4
    for number, name in enumerate(n for n in stl if "-labels-" in n):
        triangles = np.frombuffer(
            files[name], np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]), offset=84
        )["v"].astype(np.float64)
        signed = np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum() / 6
        edges = triangles[:, 1:] - triangles[:, :1]
        area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1).sum() / 2
        true = labels().mask(number + 1).voxels.sum() * cases.GRID.voxel_volume_mm3
        assert abs(signed - true) < area * min(cases.GRID.spacing_mm) / 4  # a quarter of a voxel all around


def test_an_unsigned_report_is_refused() -> None:
    unsigned = replace(cases.REPORT, signature=None)
    with pytest.raises(InputError, match="not signed"):
        export_signed(bundle(report=unsigned))


def test_an_object_that_cannot_be_made_is_named_and_costs_no_other() -> None:
    short = replace(cases.volume(), source_instances=cases.CT_INSTANCES[:3])
    files = export_signed(bundle(study=context(parts=(short, cases.radiograph()))))
    problems = {p["name"]: p["words"] for p in listed(dict(files))["problems"]}  # type: ignore[attr-defined]
    assert set(problems) == {"seg-lung_ct-findings-1.dcm"}
    assert "3 source instances for 8 slices" in problems["seg-lung_ct-findings-1.dcm"]
    assert {"report.sr.dcm", "map-lung_ct-1.dcm", "report.pdf", "report.fhir.json"} <= set(files)


def test_words_of_other_libraries_stay_out_of_the_list(caplog: pytest.LogCaptureFixture) -> None:
    def broken(uid: str) -> bytes:
        raise ValueError("no such file for YILMAZ")

    files = export_signed(bundle(study=context(read=broken)), ("seg", "map"))
    assert set(files) == {"exports.json"}
    assert "YILMAZ" not in files["exports.json"].decode()
    assert "YILMAZ" not in caplog.text
    assert len(listed(dict(files))["problems"]) == 5  # type: ignore[arg-type]


def test_a_map_on_a_grid_of_its_own_keeps_its_places(tmp_path: Path) -> None:
    coarse = Geometry.axial((4, 16, 16), (5.0, 2.8, 2.8), (-18.95, -28.95, 101.25))
    values = np.random.default_rng(1).random(coarse.shape).astype(np.float32)
    own = Map(values, coarse, vocabulary.PROBABILITY_MAP, "1", 0.0, 1.0, "Coarse.", cases.FRAME)
    result = ResultOf(provenance=cases.PROVENANCE, result=Result(maps=(own,)))
    files = export_signed(bundle(results=(result,), decisions=()), ("map",))
    assert listed(dict(files))["problems"] == []
    path = tmp_path / "map.dcm"
    path.write_bytes(files["map-lung_ct-1.dcm"])
    assert verify(path) == []
    back = read_map(pydicom.dcmread(path))
    assert isinstance(back.grid, Geometry)
    assert back.grid.almost_equal(coarse)
    assert np.array_equal(back.values, values)


def test_masks_of_readers_and_films(tmp_path: Path) -> None:
    opacity = replace(cases.OPACITY, id="own-9", origin=cases.DOCTOR)
    report = replace(cases.REPORT, findings=(opacity, cases.NODULE))
    files = export_signed(bundle(report=report, decisions=()), ("seg", "sr"))
    assert listed(dict(files))["problems"] == []
    planar = highdicom.sr.srread(
        io.BytesIO(files["report.sr.dcm"])
    ).content.get_planar_roi_measurement_groups()
    (group,) = (g for g in planar if g.referenced_segmentation_frame is not None)
    assert group.tracking_identifier == "own-9"
    film = dataset(files["seg-reader-findings-1.dcm"])
    assert film.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert np.array_equal(film.pixel_array.reshape(80, 90) != 0, cases.opacity_mask().pixels)
    for name, content in files.items():
        if name.endswith(".dcm"):
            (tmp_path / name).write_bytes(content)
            assert verify(tmp_path / name) == []


def test_overlapping_regions_on_a_film(tmp_path: Path) -> None:
    """A suspicion within the region of an abnormality: both in one SEG, each with its own pixels."""
    whole = replace(cases.OPACITY, id="own-1", origin=cases.DOCTOR)
    assert isinstance(whole.region, MaskRegion)
    mask = cases.opacity_mask()
    part = mask.pixels.copy()
    part[: int(np.flatnonzero(part.any(axis=1)).mean())] = False
    inner = replace(whole, id="own-2", region=MaskRegion(PlaneMask(part, mask.plane), whole.region.space))
    report = replace(cases.REPORT, findings=(whole, inner))
    files = export_signed(bundle(report=report, decisions=()), ("seg",))
    assert listed(dict(files))["problems"] == []
    path = tmp_path / "seg.dcm"
    path.write_bytes(files["seg-reader-findings-1.dcm"])
    assert verify(path) == []
    film = pydicom.dcmread(path)
    assert len(film.SegmentSequence) == 2
    numbers = [
        f.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for f in film.PerFrameFunctionalGroupsSequence
    ]
    frames = dict(zip(numbers, film.pixel_array != 0, strict=True))
    assert np.array_equal(frames[1], mask.pixels)
    assert np.array_equal(frames[2], part)


def test_results_of_a_library_are_exported_as_unread(shared: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", durable=False) as library:
        summary = ingest(library, [shared / "dicom" / "ct_ge_gantrytilt_18.5"])
        (study,) = summary.studies
        row = library.instances.study(study)
        assert row is not None
        loaded = load_study(library, row, None)
        part = max(
            (p for p in loaded.parts.values() if isinstance(p, Volume)), key=lambda p: p.geometry.shape[0]
        )
        voxels = np.zeros(part.geometry.shape, dtype=bool)
        voxels[2:5, 200:260, 180:260] = True
        segment = Segment(
            vocabulary.BRAIN, Mask(voxels, part.geometry), part.frame_of_reference, part.source_instances
        )
        outcome = Outcome(
            "lung_ct",
            cases.card(cases.LUNG_CT),
            cases.PROVENANCE,
            result=Result(findings=(cases.EMPHYSEMA,), masks=(segment,)),
        )
        failed = Outcome("other", cases.card(cases.CXR), cases.PROVENANCE, failure="no answer")
        files = export_results(library, study, (outcome, failed))
    document = listed(files)
    assert (document["status"], document["simulated"], document["problems"]) == ("preliminary", False, [])
    report = dataset(files["report.sr.dcm"])
    assert (report.CompletionFlag, report.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    (back,) = read_segmentation(dataset(files["seg-lung_ct-masks-1.dcm"]), grid=part.geometry)
    assert isinstance(back.mask, Mask)
    assert np.array_equal(back.mask.voxels, voxels)
    assert "not read by a person" in files["report.html"].decode()
    assert "no answer" in files["report.html"].decode()
    for name, content in files.items():
        if name.endswith(".dcm"):
            (tmp_path / name).write_bytes(content)
            assert verify(tmp_path / name) == []
