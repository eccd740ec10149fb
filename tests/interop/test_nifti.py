"""NIfTI and NRRD: places in the patient, against nibabel and SimpleITK themselves."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from coread.core import Acquisition, CodedConcept, Geometry, LabelMap, Mask, Volume
from coread.errors import DataError, InputError
from coread.interop import nifti


def _oblique() -> Geometry:
    turn = np.array([[0.9848, -0.1736, 0], [0.1736, 0.9848, 0], [0, 0, 1.0]])
    turn = np.linalg.qr(turn)[0]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[0, 0, 0.7], [0, 0.8, 0], [2.5, 0, 0]])
    affine[:3, 3] = (10.0, -20.0, 30.0)
    return Geometry((4, 5, 6), affine)


def _volume() -> Volume:
    values = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    return Volume(values, _oblique(), "HU", Acquisition("CT"))


@pytest.mark.parametrize("name", ["v.nii.gz", "v.nii", "v.nrrd", "v.mha"])
def test_a_volume_comes_back_at_its_place(name: str, tmp_path: Path) -> None:
    nifti.write_volume(_volume(), tmp_path / name)
    back = nifti.read_volume(tmp_path / name, unit="HU", modality="CT")
    assert back.values.dtype == np.int16
    assert np.array_equal(back.values, _volume().values)
    assert back.geometry.almost_equal(_oblique(), tolerance_mm=1e-3)


@pytest.mark.parametrize("name", ["v.nii.gz", "v.nrrd"])
def test_a_voxel_lies_where_simpleitk_puts_it(name: str, tmp_path: Path) -> None:
    nifti.write_volume(_volume(), tmp_path / name)
    image = sitk.ReadImage(tmp_path / name)
    assert image[5, 3, 2] == _volume().values[2, 3, 5]
    place = image.TransformIndexToPhysicalPoint((5, 3, 2))
    assert place == pytest.approx(_oblique().to_patient((2, 3, 5)), abs=1e-3)


def test_a_plain_nifti_is_turned_to_lps(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(values, np.diag((1.0, 2.0, 3.0, 1.0))), tmp_path / "v.nii")
    volume = nifti.read_volume(tmp_path / "v.nii")
    assert volume.values.shape == (4, 3, 2)
    assert volume.values[3, 2, 1] == values[1, 2, 3]
    # One step to the right and front in RAS is one to minus x and minus y in LPS.
    assert volume.geometry.to_patient((1, 1, 1)).tolist() == [-1.0, -2.0, 3.0]


def test_scaled_integers_become_what_they_mean(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((2, 2, 2), 5, np.int16), np.eye(4))
    image.header.set_slope_inter(2.0, -1000.0)
    nib.save(image, tmp_path / "v.nii")
    assert np.asarray(nifti.read_volume(tmp_path / "v.nii")).dtype == np.float32
    assert (
        nifti.read_volume(tmp_path / "v.nii").values[0, 0, 0]
        == nib.load(tmp_path / "v.nii").get_fdata()[0, 0, 0]
    )


def test_labels_and_masks(tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), np.uint16)
    labels[1, 2, 3], labels[2] = 3, 7
    concepts = {3: CodedConcept("a", "99X", "a"), 7: CodedConcept("b", "99X", "b")}
    nifti.write_volume(LabelMap(labels, _oblique(), concepts), tmp_path / "l.nii.gz")
    back = nifti.read_label_map(tmp_path / "l.nii.gz", names={7: "liver"})
    assert np.array_equal(back.values, labels)
    assert {n: c.meaning for n, c in back.labels.items()} == {3: "label 3", 7: "liver"}
    nifti.write_volume(Mask(labels == 3, _oblique()), tmp_path / "m.nrrd")
    assert list(nifti.read_label_map(tmp_path / "m.nrrd").labels) == [1]


def test_what_is_no_volume_is_refused_with_words(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3)), np.eye(4)), tmp_path / "series.nii")
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\n")
    (tmp_path / "words.txt").write_text("x")
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), -0.5), np.eye(4)), tmp_path / "image.nii")
    for name in ("series.nii", "broken.nii.gz", "broken.nrrd", "words.txt", "absent.nii"):
        with pytest.raises(DataError):
            nifti.read_volume(tmp_path / name)
    with pytest.raises(DataError, match="labels"):
        nifti.read_label_map(tmp_path / "image.nii")
    with pytest.raises(InputError, match="format"):
        nifti.write_volume(_volume(), tmp_path / "v.jpg")


def test_real_files_lie_where_simpleitk_puts_them(shared: Path) -> None:
    path = shared / "radiomics" / "pyradiomics_cases" / "brain1_image.nrrd"
    volume, image = nifti.read_volume(path), sitk.ReadImage(path)
    place = image.TransformIndexToPhysicalPoint((200, 100, 20))
    assert volume.geometry.to_patient((20, 100, 200)) == pytest.approx(place, abs=1e-3)
    assert volume.values[20, 100, 200] == image[200, 100, 20]
