import numpy as np
import pytest

from coread.core import Geometry, Mask
from coread.errors import GeometryError, InputError
from coread.evaluation.segmentation import lesion_detection, mask_surfaces, overlap, surface_distances


def ball(radius, spacing=(1.0, 1.0, 1.0), extent=30.0, centre=(0.0, 0.0, 0.0)):
    axes = [np.arange(-extent, extent + s / 2, s) - c for s, c in zip(spacing, centre, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.8, 0.8)])
def test_concentric_balls_are_their_difference_apart(spacing):
    found = surface_distances(ball(20, spacing), ball(15, spacing), spacing)
    assert found.hausdorff() == pytest.approx(5.0, abs=1.0)
    # an element lies within half the diagonal of a voxel of the surface
    assert found.average() == pytest.approx(5.0, abs=np.linalg.norm(spacing) / 2)
    assert found.surface_dice(7.0) == 1.0
    assert found.surface_dice(2.0) == 0.0
    # triangles in the cubes lie between the smooth surface and the faces of voxels, 3/2 of it
    assert 1.0 < found.truth_area.sum() / (4 * np.pi * 400) < 1.5


def test_parallel_planes_have_closed_forms():
    a, b = np.zeros((40, 20, 20), bool), np.zeros((40, 20, 20), bool)
    a[10:20], b[10:24] = True, True
    found = surface_distances(a, b, (0.5, 1.0, 1.0))
    assert found.hausdorff(100) == pytest.approx(2.0)
    assert overlap(a, b).dice == pytest.approx(2 * 10 / 24)
    assert overlap(a, b).volumetric_similarity == pytest.approx(1 - 4 / 24)


# surface-distance 0.1 (Apache-2.0), its own tests: two single voxels of a 128^3 volume, spacing (3, 2, 1)
def test_two_voxels_of_surface_distance():
    a, b = np.zeros((128, 128, 128), bool), np.zeros((128, 128, 128), bool)
    a[50, 60, 70], b[50, 60, 72] = True, True
    found = surface_distances(a, b, (3, 2, 1))
    assert found.average() == pytest.approx(1.5, abs=1e-6)
    assert found.hausdorff(100) == pytest.approx(2.0)
    assert found.hausdorff(95) == pytest.approx(2.0)
    assert found.surface_dice(1.0) == pytest.approx(0.5)
    c = np.zeros_like(a)
    c[51, 60, 70] = True
    assert surface_distances(a, c, (3, 2, 1)).hausdorff(100) == pytest.approx(3.0)


# surface-distance 0.1 (Apache-2.0) run on these two ellipsoids, spacing (2.5, 0.7, 0.9)
def test_ellipsoids_of_surface_distance():
    z, y, x = np.ogrid[-20:20, -20:20, -20:20]
    a = (z / 12) ** 2 + (y / 15) ** 2 + (x / 9) ** 2 < 1
    b = (z / 11) ** 2 + ((y - 2) / 15) ** 2 + ((x + 1) / 11) ** 2 < 1
    found = surface_distances(a, b, (2.5, 0.7, 0.9))
    assert found.hausdorff(95) == pytest.approx(2.7, rel=1e-12)
    assert found.surface_dice(1.0) == pytest.approx(0.5906166801396069, rel=1e-12)
    means = (
        np.average(found.to_mask, weights=found.truth_area),
        np.average(found.to_truth, weights=found.mask_area),
    )
    assert means == pytest.approx((0.9388585415331541, 0.9754555279612358), rel=1e-12)


def test_symmetry_scale_and_identity():
    a, b = ball(8, extent=12), ball(7, extent=12, centre=(1.0, 0.0, 2.0))
    one, two = surface_distances(a, b, (1, 1, 1)), surface_distances(b, a, (1, 1, 1))
    assert one.average() == pytest.approx(two.average())
    assert one.hausdorff() == two.hausdorff()
    assert surface_distances(a, b, (2, 2, 2)).average() == pytest.approx(2 * one.average())
    same = surface_distances(a, a, (1, 1, 1))
    assert (same.hausdorff(), same.average(), same.surface_dice(0.0)) == (0.0, 0.0, 1.0)


def test_empty_masks():
    empty, full = np.zeros((5, 5, 5), bool), ball(1, extent=2)
    assert surface_distances(empty, empty, (1, 1, 1)).surface_dice(1) == 1.0
    assert surface_distances(empty, full, (1, 1, 1)).hausdorff() == float("inf")
    assert surface_distances(empty, full, (1, 1, 1)).surface_dice(1) == 0.0
    assert overlap(empty, empty).dice == 1.0
    assert overlap(empty, full).dice == 0.0


def test_lesions_are_counted_by_component():
    truth, mask = np.zeros((4, 20, 20), bool), np.zeros((4, 20, 20), bool)
    truth[1, 2:4, 2:4], truth[1, 10:12, 10:12] = True, True
    mask[1, 3:5, 3:5], mask[2, 17, 17] = True, True
    found = lesion_detection(truth, mask)
    assert (found.found, found.lesions, found.false, found.components) == (1, 2, 1, 2)
    assert lesion_detection(truth, mask, least_iou=0.5).found == 0


def test_other_grids_are_refused():
    a, b = (Geometry.axial(shape=(4, 4, 4), spacing_mm=(s, 1.0, 1.0)) for s in (1.0, 2.0))
    ones = np.ones((4, 4, 4), bool)
    with pytest.raises(GeometryError):
        mask_surfaces(Mask(ones, a), Mask(ones, b))
    with pytest.raises(InputError):
        overlap(ones, ones[:2])


def test_readers_of_lidc_agree_as_published(shared):
    """Pairwise Dice of masks drawn by readers: vote maps with all readers lie inside those of any."""
    from PIL import Image

    folder = shared / "images/chest/lidc_nodules/votes"
    for path in sorted(folder.glob("*.png"))[:20]:
        votes = np.asarray(Image.open(path)) // 60
        any_, most = (votes >= 1)[None], (votes >= 2)[None]
        found = overlap(any_, most)
        assert found.precision == 1.0
        if most.any():
            assert surface_distances(any_, most, (1, 1, 1)).hausdorff() < 96
