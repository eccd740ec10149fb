"""Image and mask on different grids: brought together in millimetres, and said how."""

from __future__ import annotations

import numpy as np

from coread.core import Geometry, Mask
from coread.errors import GeometryError
from coread.quant.radiomics._typing import Bools
from coread.quant.radiomics.preparation import mask_box

_SAME_MM = 1e-3  # grids that differ less are written by different programs, not drawn elsewhere


def aligned(mask: Mask, geometry: Geometry) -> tuple[Bools, str]:
    """Return a mask on an image's grid, and what was done; empty words where nothing was.

    Voxel centres of the image are looked up in the mask's grid, nearest neighbour: the region keeps
    its place in the patient, whatever the order, direction or spacing of the mask's voxels.

    Raises:
        GeometryError: The region lies outside the image as a whole.
    """
    if mask.geometry.almost_equal(geometry, tolerance_mm=_SAME_MM):
        return mask.voxels, ""
    found = mask_box(mask.voxels)
    result = np.zeros(geometry.shape, dtype=bool)
    furthest = 0.0
    if found is None:
        return result, "the mask is empty and on another grid than the image"
    corners = np.array(np.meshgrid(*[(a - 0.5, b + 0.5) for a, b in found], indexing="ij"))
    in_image = geometry.to_index(mask.geometry.to_patient(corners.reshape(3, -1).T))
    sizes = np.array(geometry.shape)
    low = np.clip(np.floor(in_image.min(axis=0)).astype(int), 0, sizes)
    high = np.clip(np.ceil(in_image.max(axis=0)).astype(int) + 1, 0, sizes)
    if (low < high).all():
        to_mask = np.linalg.solve(mask.geometry.affine, geometry.affine)
        index = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        inside = np.ones(tuple(high - low), dtype=bool)
        nearest = []
        offsets = []
        for axis in range(3):
            place = to_mask[axis, 3] + sum(to_mask[axis, n] * index[n] for n in range(3))
            rounded = np.floor(np.round(place, 6) + 0.5).astype(np.int64)
            offsets.append(place - rounded)
            inside &= (rounded >= 0) & (rounded < mask.geometry.shape[axis])
            nearest.append(np.clip(rounded, 0, mask.geometry.shape[axis] - 1))
        part = mask.voxels[nearest[0], nearest[1], nearest[2]] & inside
        result[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = part
        away = np.stack([offset[part] for offset in offsets], axis=1) @ mask.geometry.affine[:3, :3].T
        furthest = float(np.linalg.norm(away, axis=1).max(initial=0.0))
    if not result.any():
        raise GeometryError(
            "the mask lies outside the image; check that both belong to one series and patient"
        )
    drawn = np.count_nonzero(mask.voxels) * mask.geometry.voxel_volume_mm3
    kept = np.count_nonzero(result) * geometry.voxel_volume_mm3
    if mask.geometry.shape == geometry.shape:
        ends = np.array([[0, 0, 0], np.array(geometry.shape) - 1])
        shift = float(
            np.linalg.norm(geometry.to_patient(ends) - mask.geometry.to_patient(ends), axis=1).max()
        )
        apart = f"of the same size but up to {shift:.3f} mm apart"
    else:
        apart = f"{mask.geometry.shape} voxels against the image's {geometry.shape}"
    return result, (
        f"mask brought to the image's grid by nearest neighbour: its own is {apart}; voxel centres "
        f"matched within {furthest:.3f} mm; "
        f"volume {drawn:.1f} mm3 before, {kept:.1f} mm3 after"
    )
