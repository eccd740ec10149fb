"""Sources, external programs and graders that the tests of written DICOM objects share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from coread.core import Geometry, Model, Origin
from coread.interop.authorship import Author, Equipment, uid_generator
from coread.interop.dicom.writing import Source

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LUNG_CT = Model("lung_ct", "1.0.0", "ab" * 32, "second-reader")
PACKAGES = {
    "dciodvfy": "dicom3tools",
    "dsrdump": "dcmtk",
    "dsr2xml": "dcmtk",
    "dcmdump": "dcmtk",
}


def author(origin: Origin = LUNG_CT, seed: int = 1) -> Author:
    random = np.random.default_rng(seed)
    return Author(origin=origin, at=AT, equipment=Equipment(version="0.1.0"), new_uid=uid_generator(random))


def program(name: str) -> str:
    """The path of a program; the test is skipped where it is absent."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} of the Debian package {PACKAGES[name]}")
    return found


def verify(path: Path) -> list[str]:
    """The errors that dciodvfy finds in a file."""
    done = subprocess.run(
        [program("dciodvfy"), "-new", str(path)], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def headers(files: Sequence[Path]) -> list[Dataset]:
    """Headers in slice order."""
    found = [pydicom.dcmread(path, stop_before_pixels=True) for path in files]
    normal = _normal(found[0])
    return sorted(found, key=lambda d: float(normal @ np.array(d.ImagePositionPatient, dtype=float)))


def _normal(dataset: Dataset) -> np.ndarray:
    along = np.array(dataset.ImageOrientationPatient, dtype=float)
    return np.cross(along[:3], along[3:])


def stack(found: Sequence[Dataset]) -> tuple[Geometry, Source]:
    """The grid of a stack of slices of one step, written down from PS3.3 C.7.6.2.1.1, and its source."""
    first = found[0]
    along = np.array(first.ImageOrientationPatient, dtype=float)
    positions = np.array([d.ImagePositionPatient for d in found], dtype=float)
    row_mm, column_mm = (float(x) for x in first.PixelSpacing)
    affine = np.eye(4)
    thick = float(first.SliceThickness)
    affine[:3, 0] = positions[1] - positions[0] if len(found) > 1 else _normal(first) * thick
    affine[:3, 1], affine[:3, 2], affine[:3, 3] = along[3:] * row_mm, along[:3] * column_mm, positions[0]
    grid = Geometry((len(found), first.Rows, first.Columns), affine)
    return grid, Source(dataset=first, instances=tuple(str(d.SOPInstanceUID) for d in found))


def series(shared: Path, name: str) -> tuple[list[Dataset], Geometry, Source]:
    """A stack of the test data: straight, sheared by gantry tilt, or one of three MR orientations."""
    folder = shared / "dicom"
    match name:
        case "straight":
            found = headers(sorted((folder / "ct_philips_notilt").glob("*.dcm")))[:12]
        case "sheared":
            found = headers(sorted((folder / "ct_ge_gantrytilt_18.5").glob("*.dcm")))[:12]
        case _:
            files = sorted((folder / "mr_orientations").glob("*.dcm"))
            found = headers([files[("coronal", "sagittal", "oblique").index(name)]])
    grid, source = stack(found)
    return found, grid, source


def plain_source(grid: Geometry, *, name: str = "Test^Phantom", simulated: bool = True) -> Source:
    """A source made here: an axial CT series of a simulated patient."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = name, "P1"
    dataset.PatientBirthDate, dataset.PatientSex = "19600102", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    dataset.FrameOfReferenceUID = "1.2.3.4.6"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260304", "040000", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A1", ""
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.2", "CT"
    dataset.SeriesNumber, dataset.SliceThickness = 2, grid.spacing_mm[0]
    instances = tuple(f"1.2.3.4.5.{k + 1}" for k in range(grid.shape[0]))
    dataset.SOPInstanceUID = instances[0]
    return Source(dataset=dataset, instances=instances, simulated=simulated)
