"""NIfTI and NRRD in and out: RAS and file axes become LPS and (slice, row, column) here only.

NIfTI is read by nibabel; NRRD and MetaImage by SimpleITK.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from coread.core import Acquisition, CodedConcept, Geometry, LabelMap, Map, Mask, Volume
from coread.errors import DataError, GeometryError, InputError

_nib: Any = nibabel  # its functions carry no types
NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_TO_LPS = np.diag((-1.0, -1.0, 1.0, 1.0))


def _itk() -> Any:
    import SimpleITK  # takes a while, and only these formats need it

    return SimpleITK


def is_image_file(path: Path | str) -> bool:
    """Return whether a file's name is that of a format read here."""
    return str(path).lower().endswith((*NIFTI, *ITK))


def read_volume(path: Path | str, *, unit: str = "stored", modality: str = "OT") -> Volume:
    """Return the volume of a NIfTI, NRRD or MetaImage file.

    Args:
        path: The file; a gzipped one too.
        unit: What the values are: ``HU``, ``SUVbw``, ...; such files don't say.
        modality: DICOM modality, which they don't say either.

    Returns:
        Values as stored (integers) or as float32, on a grid in LPS millimetres.

    Raises:
        DataError: The file can't be read, or is no single volume.
    """
    values, geometry = _read(Path(path))
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.kind not in "iu":
        values = values.astype(np.float32)
    return Volume(values, geometry, unit, Acquisition(modality))


def read_label_map(path: Path | str, *, names: Mapping[int, str] | None = None) -> LabelMap:
    """Return the label map of a NIfTI, NRRD or MetaImage file.

    Args:
        path: The file.
        names: What each label is called; ``label 3`` where it is not said.

    Raises:
        DataError: The file can't be read, or its values are no labels (whole numbers to 65535).
    """
    values, geometry = _read(Path(path))
    low, high = values.min(), values.max()
    if low < 0 or high > 65535 or (values.dtype.kind == "f" and not np.array_equal(values, np.rint(values))):
        raise DataError(
            f"{Path(path).name} holds values from {low:g} to {high:g}",
            "expected labels: whole numbers from 0 to 65535",
            "give the mask, not the image",
        )
    labels = np.ascontiguousarray(values, dtype=np.uint16)
    named = names or {}
    found = [int(n) for n in np.flatnonzero(np.bincount(labels.ravel())) if n]
    concepts = {n: CodedConcept(f"label-{n}", "99COREAD", named.get(n, f"label {n}")) for n in found}
    return LabelMap(labels, geometry, concepts)


def write_volume(value: Volume | Map | Mask | LabelMap, path: Path | str) -> None:
    """Write a volume, a map, a mask or a label map as NIfTI (``.nii``, ``.nii.gz``), NRRD or MetaImage.

    Raises:
        InputError: The name of the file is of none of these, or the value lies on a projection.
    """
    path = Path(path)
    if path.name.lower().endswith(NIFTI):
        _nib.save(to_nibabel(value), path)
    elif path.suffix.lower() in ITK:
        _itk().WriteImage(to_sitk(value), path, True)
    else:
        raise InputError(
            f"{path.name} names no format written here",
            f"expected a name in {', '.join((*NIFTI, *ITK))}",
        )


def to_nibabel(value: Volume | Map | Mask | LabelMap) -> Any:
    """Return a located value as a NIfTI image: axes turned to (column, row, slice), RAS."""
    array, geometry = _located(value)
    affine = _TO_LPS @ geometry.affine[:, [2, 1, 0, 3]]
    image = _nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    return image


def from_nibabel(image: Any) -> tuple[NDArray[Any], Geometry]:
    """Return the values (slice, row, column) and the grid of a nibabel image.

    Raises:
        DataError: It has no three dimensions.
    """
    data = image.dataobj
    slope, inter = getattr(data, "slope", 1), getattr(data, "inter", 0)
    values = np.asarray(data) if (slope, inter) == (1, 0) else np.asarray(data, dtype=np.float32)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise DataError(
            f"an image of shape {values.shape}", "expected one volume of three dimensions", "split it first"
        )
    affine = _TO_LPS @ np.asarray(image.affine, dtype=np.float64)
    array = np.ascontiguousarray(values.transpose(2, 1, 0))
    return array, Geometry(array.shape, affine[:, [2, 1, 0, 3]])


def to_sitk(value: Volume | Map | Mask | LabelMap) -> Any:
    """Return a located value as a SimpleITK image."""
    array, geometry = _located(value)
    image = _itk().GetImageFromArray(array)
    directions = geometry.directions[:, ::-1]
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetOrigin(geometry.origin_mm)
    if not np.allclose(directions.T @ directions, np.eye(3), atol=1e-4):
        raise GeometryError(
            "a sheared stack of slices", "expected perpendicular axes", "resample it to a plain grid first"
        )
    image.SetDirection(directions.ravel().tolist())
    return image


def from_sitk(image: Any) -> tuple[NDArray[Any], Geometry]:
    """Return the values (slice, row, column) and the grid of a SimpleITK image.

    Raises:
        DataError: It has no three dimensions or several channels.
    """
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(
            f"an image of {image.GetDimension()} dimensions and "
            f"{image.GetNumberOfComponentsPerPixel()} channels",
            "expected one volume of three dimensions and one value a voxel",
        )
    array: NDArray[Any] = _itk().GetArrayFromImage(image)
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = directions[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return array, Geometry(array.shape, affine)


def _located(value: Volume | Map | Mask | LabelMap) -> tuple[NDArray[Any], Geometry]:
    grid = value.grid
    array = value.voxels.astype(np.uint8) if isinstance(value, Mask) else value.values
    if not isinstance(grid, Geometry) or array.ndim != 3:
        raise InputError(
            f"an array of shape {array.shape} on {type(grid).__name__}",
            "expected one value a voxel on a grid in the patient",
        )
    return array, grid


def _read(path: Path) -> tuple[NDArray[Any], Geometry]:
    if not path.is_file():
        raise DataError(f"{path.name} is not there", "expected a NIfTI, NRRD or MetaImage file")
    name = path.name.lower()
    try:
        if name.endswith(NIFTI):
            return from_nibabel(_nib.load(path))
        if name.endswith(ITK):
            return from_sitk(_itk().ReadImage(path))
    except GeometryError as error:
        raise DataError(f"{path.name}: {error.came}", "expected a grid in millimetres") from error
    except (_nib.filebasedimages.ImageFileError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise DataError(
            f"{path.name} can't be read: {str(error).splitlines()[-1][:200]}",
            "expected a whole NIfTI, NRRD or MetaImage file",
        ) from error
    raise DataError(
        f"{path.name} is of no format read here", f"expected a name in {', '.join((*NIFTI, *ITK))}"
    )
