"""Connected regions and shapes in millimetres on grids of any spacing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Bools = NDArray[np.bool_]
Spacing = tuple[float, float, float]


def components(mask: Bools) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the face-connected regions of a mask and their sizes.

    Returns:
        Labels of the mask's shape, 0 outside, and the voxels of each label (index 0: outside).
    """
    labels = np.empty(mask.shape, dtype=np.int32)
    ndimage.label(mask, output=labels)
    return labels, np.bincount(labels.ravel()).astype(np.int64)


def connected_to(mask: Bools, seed: Bools) -> Bools:
    """Return the face-connected regions of a mask that touch a seed."""
    labels, sizes = components(mask)
    wanted = np.zeros(len(sizes), dtype=np.bool_)
    wanted[np.unique(labels[seed])] = True
    wanted[0] = False
    return np.asarray(wanted[labels], dtype=np.bool_)


def bounding_box(mask: Bools, *, margin: int = 0) -> tuple[slice, slice, slice]:
    """Return the slices that hold a mask, widened by a margin; the whole array for an empty mask."""
    bounds = []
    for axis in range(3):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(line):
            return slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2])
        low = max(int(line[0]) - margin, 0)
        bounds.append(slice(low, min(int(line[-1]) + 1 + margin, mask.shape[axis])))
    return bounds[0], bounds[1], bounds[2]


def dilate(mask: Bools, radius_mm: float, spacing_mm: Spacing) -> Bools:
    """Return a mask grown by a ball."""
    if not mask.any():
        return mask.copy()
    margin = max(int(np.ceil(radius_mm / s)) + 1 for s in spacing_mm)
    box = bounding_box(mask, margin=margin)
    grown = np.zeros_like(mask)
    grown[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing_mm) <= radius_mm
    return grown


def erode(mask: Bools, radius_mm: float, spacing_mm: Spacing) -> Bools:
    """Return a mask shrunk by a ball; beyond the array counts as inside."""
    box = bounding_box(mask, margin=1)
    shrunk = np.zeros_like(mask)
    if mask.any():
        shrunk[box] = ndimage.distance_transform_edt(mask[box], sampling=spacing_mm) > radius_mm
    return shrunk


def close(mask: Bools, radius_mm: float, spacing_mm: Spacing) -> Bools:
    """Return a mask with gaps and notches narrower than a ball filled (closing).

    The mask is set in a border wide enough that its own edge does not matter.
    """
    if not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    pad = [(int(np.ceil(radius_mm / s)) + 1,) * 2 for s in spacing_mm]
    part = np.pad(mask[box], pad)
    grown = ndimage.distance_transform_edt(~part, sampling=spacing_mm) <= radius_mm
    kept = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > radius_mm
    inner = tuple(slice(low, -high) for low, high in pad)
    closed = mask.copy()
    closed[box] |= kept[inner]
    return closed


def fill_holes(mask: Bools) -> Bools:
    """Return a mask with what it encloses in each slice filled."""
    filled = mask.copy()
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        filled[k] = ndimage.binary_fill_holes(mask[k])
    return filled
