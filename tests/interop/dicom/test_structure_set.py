"""Structure sets come back as the masks they were, and name the images they lie on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.interop.dicom.objects import author, plain_source, series, verify

from coread.core import Acquisition, Geometry, ImagePlane, Mask, PlaneMask, Reader, Volume, vocabulary
from coread.errors import GeometryError, InputError
from coread.interop.dicom.regions import read_structures
from coread.interop.dicom.seg import TrackedRegion
from coread.interop.dicom.structure_set import mask_contours, write_structures
from coread.interop.dicom.writing import to_bytes


def tracked(mask: Mask, concept=vocabulary.LEFT_LUNG) -> TrackedRegion:
    return TrackedRegion(concept, mask, "a")


def volume_on(grid: Geometry, source) -> Volume:
    return Volume(np.zeros(grid.shape, np.float32), grid, "HU", Acquisition("CT"), source.frame_of_reference)


def ring(shape: tuple[int, int, int], outer: float, inner: float) -> np.ndarray:
    _, j, i = np.indices(shape)
    distance = np.hypot(j - shape[1] / 2, i - shape[2] / 2 + 0.3)
    return (distance <= outer) & (distance >= inner)


@pytest.mark.parametrize("name", ["straight", "sheared", "oblique"])
def test_masks_come_back_exactly_on_every_kind_of_stack(shared: Path, name: str) -> None:
    _, grid, source = series(shared, name)
    hollow = ring(grid.shape, 30.2, 11.7)
    speckled = np.random.default_rng(0).random(grid.shape) < 0.02
    speckled[:, 40:, :] = False
    regions = [tracked(Mask(hollow, grid)), tracked(Mask(speckled, grid), vocabulary.LUNG_NODULE)]
    content = to_bytes(write_structures(regions, source, author()))
    back = read_structures(pydicom.dcmread(io.BytesIO(content)), volume_on(grid, source))
    assert [s.concept for s in back] == [vocabulary.LEFT_LUNG, vocabulary.LUNG_NODULE]
    for region, segment in zip(regions, back, strict=True):
        np.testing.assert_array_equal(segment.mask.voxels, region.mask.voxels)


def test_contours_lie_within_half_a_pixel_of_the_circle_drawn() -> None:
    """A disc of known radius, sampled at pixel centres: no point is half a pixel off its circle."""
    grid = Geometry.axial((1, 64, 64), spacing_mm=(3.0, 0.7, 0.7))
    places = grid.to_patient(np.moveaxis(np.indices(grid.shape), 0, -1))
    centre = np.array([22.1, 21.8])
    disc = np.linalg.norm(places[..., :2] - centre, axis=-1) <= 15.0
    ((_, points),) = mask_contours(Mask(disc, grid))
    off = np.abs(np.linalg.norm(points[:, :2] - centre, axis=1) - 15.0)
    assert off.max() <= 0.35 * np.sqrt(2)
    assert np.median(off) < 0.35


def test_every_contour_names_its_image(shared: Path) -> None:
    _, grid, source = series(shared, "straight")
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[3, 10:20, 10:30] = True
    dataset = write_structures([tracked(Mask(voxels, grid))], source, author(Reader("r1")))
    (line,) = dataset.ROIContourSequence[0].ContourSequence
    assert line.ContourImageSequence[0].ReferencedSOPInstanceUID == source.instances[3]
    assert line.NumberOfContourPoints == 8
    assert {float(z) for z in line.ContourData[2::3]} == {float(grid.to_patient((3, 0, 0))[2])}
    assert dataset.StructureSetROISequence[0].ROIGenerationAlgorithm == "MANUAL"
    assert dataset.RTROIObservationsSequence[0].ROIInterpreter == "r1^"


def test_the_object_is_what_the_standard_asks(tmp_path: Path) -> None:
    grid = Geometry.axial((4, 20, 20), spacing_mm=(2.0, 1.0, 1.0))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[1:3, 5:12, 6:14] = True
    empty = Mask(np.zeros(grid.shape, dtype=bool), grid)
    regions = [tracked(Mask(voxels, grid)), tracked(empty, vocabulary.RIGHT_LUNG)]
    path = tmp_path / "rt.dcm"
    path.write_bytes(to_bytes(write_structures(regions, plain_source(grid), author())))
    assert verify(path) == []
    dataset = pydicom.dcmread(path)
    assert dataset.SeriesDescription.startswith("SIMULATED")
    assert dataset.ApprovalStatus == "UNAPPROVED"


def test_what_cannot_be_a_structure_set_is_refused() -> None:
    grid = Geometry.axial((4, 20, 20))
    source = plain_source(grid)
    full = Mask(np.ones(grid.shape, dtype=bool), grid)
    with pytest.raises(InputError, match="got none"):
        write_structures([], source, author())
    plane = TrackedRegion(vocabulary.LUNG, PlaneMask(np.ones((4, 4), bool), ImagePlane((4, 4))), "a")
    with pytest.raises(GeometryError, match="projection"):
        write_structures([plane], source, author())
    other = Geometry.axial((4, 20, 20), spacing_mm=(2.0, 2.0, 2.0))
    with pytest.raises(GeometryError, match="different grids"):
        write_structures([tracked(full), tracked(Mask(full.voxels, other))], source, author())
    with pytest.raises(InputError, match="source instances"):
        write_structures([tracked(full)], plain_source(Geometry.axial((3, 20, 20))), author())
    del source.dataset.FrameOfReferenceUID
    with pytest.raises(InputError, match="frame of reference"):
        write_structures([tracked(full)], source, author())
