"""Radiomics of files: DICOM SEG and RTSTRUCT, NIfTI, batches that resume, the report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from coread.core import Acquisition, Geometry, Mask, Volume
from coread.errors import DataError, InputError
from coread.interop import nifti
from coread.interop.authorship import uid_generator
from coread.interop.dicom.parametric_map import read_map
from coread.quant.radiomics import preset
from coread.workflow import radiomics as work
from coread.workflow import radiomics_batch as batch
from coread.workflow.radiomics_checks import run_checks, summary

_SETTINGS = replace(
    preset("ct-default"), spacing_mm=None, autocorrelation=False, aggregations=("3d_v_mrg", "3d")
)


def _case(folder: Path, name: str = "a", seed: int = 0) -> tuple[Path, Path]:
    rng = np.random.default_rng(seed)
    geometry = Geometry.axial((8, 12, 12), (2.0, 1.0, 1.0))
    values = rng.normal(40, 30, geometry.shape).astype(np.float32)
    mask = np.zeros(geometry.shape, bool)
    mask[2:6, 3:9, 3:9] = True
    nifti.write_volume(Volume(values, geometry, "HU", Acquisition("CT")), folder / f"{name}.nii.gz")
    nifti.write_volume(Mask(mask, geometry), folder / f"{name}_mask.nii.gz")
    return folder / f"{name}.nii.gz", folder / f"{name}_mask.nii.gz"


@pytest.fixture
def liver(shared: Path) -> tuple[Path, Path]:
    """CT slices and a segmentation of the liver on them (dcmqi)."""
    return shared / "dicom" / "dcmqi_ct3_seg", shared / "dicom" / "objects" / "liver_1frame.dcm"


def test_a_dicom_segmentation_is_measured_and_reported(liver: tuple[Path, Path]) -> None:
    result, image = work.extract_case(liver[0], [liver[1]], _SETTINGS)
    assert result.table.labels == ("Liver",)
    segmented = pydicom.dcmread(liver[1])
    voxels = np.count_nonzero(segmented.pixel_array)
    volume = result.table.value("morph_approx_vol")
    assert isinstance(image.volume, Volume)
    assert volume == pytest.approx(voxels * image.volume.geometry.voxel_volume_mm3)
    made = work.feature_report(
        result,
        image,
        version="0",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        new_uid=uid_generator(np.random.default_rng(0)),
    )
    numbers = {}
    segments = set()

    def walk(item: Dataset) -> None:
        for content in item.get("ContentSequence", []):
            if content.ValueType == "NUM":
                code = content.ConceptNameCodeSequence[0]
                numbers[code.CodeValue, code.CodingSchemeDesignator] = float(
                    content.MeasuredValueSequence[0].NumericValue
                )
            for reference in content.get("ReferencedSOPSequence", []):
                segments.add(str(reference.ReferencedSOPInstanceUID))
            walk(content)

    walk(made["sr"])
    assert numbers["YEKZ", "IBSI"] == pytest.approx(volume, rel=1e-6)
    assert len(numbers) > 100
    assert str(made["seg"].SOPInstanceUID) in segments
    assert made["sr"].VerificationFlag == "UNVERIFIED"


def test_a_structure_set_gives_the_region_inside_its_contours(
    liver: tuple[Path, Path], tmp_path: Path
) -> None:
    image = work.load_image(liver[0])
    assert isinstance(image.volume, Volume)
    geometry = image.volume.geometry
    corners = [(1, 99.5, 149.5), (1, 99.5, 209.5), (1, 139.5, 209.5), (1, 139.5, 149.5)]
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    dataset.StudyInstanceUID = image.instances[0].header.study
    dataset.SeriesInstanceUID, dataset.Modality = generate_uid(), "RTSTRUCT"
    roi, contour_roi, contour = Dataset(), Dataset(), Dataset()
    roi.ROINumber, roi.ROIName = 1, "GTV"
    roi.ReferencedFrameOfReferenceUID = image.volume.frame_of_reference
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
    contour.ContourData = [round(float(x), 6) for c in corners for x in geometry.to_patient(c)]
    contour_roi.ReferencedROINumber, contour_roi.ContourSequence = 1, [contour]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [roi], [contour_roi]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "rt.dcm", enforce_file_format=True)
    result, _ = work.extract_case(liver[0], [tmp_path / "rt.dcm"], _SETTINGS)
    assert len(result.table.labels) == 1
    volume = result.table.value("morph_approx_vol")
    assert volume == pytest.approx(40 * 60 * geometry.voxel_volume_mm3)


def test_maps_are_written_as_nifti_and_parametric_map(liver: tuple[Path, Path], tmp_path: Path) -> None:
    written = work.write_maps(
        liver[0],
        [liver[1]],
        _SETTINGS,
        ["stat_mean"],
        tmp_path,
        version="0",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        new_uid=uid_generator(np.random.default_rng(0)),
    )
    assert [path.name for path in written] == ["Liver.stat_mean.nii.gz", "Liver.stat_mean.dcm"]
    values = nifti.read_volume(written[0]).values
    back = read_map(pydicom.dcmread(written[1]))
    assert np.isfinite(values).any()
    assert np.array_equal(back.values, values, equal_nan=True)
    image = work.load_image(liver[0]).volume
    inside = np.argwhere(np.isfinite(values))
    place = inside[len(inside) // 2]
    k, j, i = place
    around = np.isfinite(values[k - 0 : k + 1, j - 1 : j + 2, i - 1 : i + 2])
    if around.all():
        window = np.asarray(image.values, dtype=np.float64)[k, j - 1 : j + 2, i - 1 : i + 2]
        assert values[tuple(place)] == pytest.approx(np.rint(window).mean(), rel=1e-4)


def test_provenance_notices_a_changed_voxel_and_a_changed_setting(tmp_path: Path) -> None:
    image, mask = _case(tmp_path)
    (one,) = work.extract_case(image, [mask], _SETTINGS)[0].provenance
    assert one["software"]["coread"]
    assert one["schema"] == "coread-radiomics-provenance"
    assert tmp_path.name not in str(one)
    volume = nifti.read_volume(image)
    values = np.array(volume.values)
    values[0, 0, 0] += 1
    nifti.write_volume(volume.with_values(values), image)
    (other,) = work.extract_case(image, [mask], replace(_SETTINGS, dependence_alpha=1))[0].provenance
    assert other["image"]["sha256"] != one["image"]["sha256"]
    assert other["masks"] == one["masks"]
    assert other["settings"] != one["settings"]


def test_a_batch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    lines = ["case,image,mask"]
    for n in range(3):
        image, mask = _case(tmp_path, f"p{n}", n)
        lines.append(f"p{n},{image.name},{mask.name}")
    lines.append("lost,lost.nii.gz,p0_mask.nii.gz")
    (tmp_path / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    cases = batch.read_cases(tmp_path / "cases.csv")
    parts = tmp_path / "parts"
    first = batch.extract_batch(cases[:2], _SETTINGS, parts)
    assert (first.resumed, first.refused) == (0, ())
    second = batch.extract_batch(cases, _SETTINGS, parts, resume=True)
    assert second.resumed == 2
    assert [name for name, _ in second.refused] == ["lost"]
    assert list(second.frame["case"].unique()) == ["p0", "p1", "p2"]
    assert work.wide(second.frame).shape[0] == 3
    other = replace(_SETTINGS, dependence_alpha=1)  # other settings are other work
    assert batch.extract_batch(cases[:2], other, parts, resume=True).resumed == 0
    together = batch.extract_batch(cases[:2], _SETTINGS, tmp_path / "other", jobs=2)
    assert together.frame.equals(first.frame)


@pytest.mark.parametrize(
    "text",
    [
        "case,image\na,b",
        "case,image,mask\na,x.nii,m\na,y.nii,m",
        "case,image,mask\n",
        "case,image,mask\n,x,y",
    ],
)
def test_a_bad_list_of_cases_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError):
        batch.read_cases(tmp_path / "cases.csv")


def test_what_can_not_be_measured_is_refused_with_words(tmp_path: Path, liver: tuple[Path, Path]) -> None:
    image, mask = _case(tmp_path)
    with pytest.raises(DataError, match="no image"):
        work.load_image(tmp_path)
    with pytest.raises(DataError, match="no region"):
        work.extract_case(liver[0], [], _SETTINGS)
    with pytest.raises(InputError, match="two masks"):
        work.extract_case(image, [mask, mask], _SETTINGS)
    with pytest.raises(InputError, match=r"expected \.csv"):
        work.write_table(work.extract_case(image, [mask], _SETTINGS)[0].table.frame(), tmp_path / "t.txt")
    with pytest.raises(DataError, match="IBSI"):
        run_checks(tmp_path)


def test_the_phantom_shipped_is_run_without_a_folder() -> None:
    assert summary(run_checks()) == {"digital_phantom": (482, 482)}
