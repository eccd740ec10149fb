"""Masks against masks: overlap, and distances of surfaces by marching-cubes surface elements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from coread.core import Mask
from coread.errors import GeometryError, InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Spacing = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Overlap of a mask with the truth; both empty is perfect.

    Attributes:
        dice: 2 |A and B| / (|A| + |B|).
        jaccard: |A and B| / |A or B|.
        volumetric_similarity: 1 - ||A| - |B|| / (|A| + |B|).
        sensitivity: Part of the truth that is found; 1 where the truth is empty.
        precision: Part of the mask that is true; 1 where the mask is empty.
    """

    dice: float
    jaccard: float
    volumetric_similarity: float
    sensitivity: float
    precision: float


def overlap(truth: Bools, mask: Bools) -> Overlap:
    """Return the overlap of two masks on one grid.

    References:
        Taha, Hanbury, BMC Medical Imaging 15:29 (2015).
    """
    a, b = _same_grid(truth, mask)
    both, na, nb = int((a & b).sum()), int(a.sum()), int(b.sum())
    if na + nb == 0:
        return Overlap(1.0, 1.0, 1.0, 1.0, 1.0)
    return Overlap(
        2 * both / (na + nb),
        both / (na + nb - both),
        1 - abs(na - nb) / (na + nb),
        both / na if na else 1.0,
        both / nb if nb else 1.0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Surfaces:
    """Distances between two surfaces, each element weighing its area.

    Attributes:
        to_mask: (elements of the truth,) distance in mm to the mask's surface, rising.
        truth_area: (elements,) mm2.
        to_truth: (elements of the mask,) distance in mm to the truth's surface, rising.
        mask_area: (elements,) mm2.
    """

    to_mask: Floats
    truth_area: Floats
    to_truth: Floats
    mask_area: Floats

    def hausdorff(self, percentile: float = 95.0) -> float:
        """Return the larger of the two percentiles of distance, mm; infinite where one surface is empty."""
        parts = ((self.to_mask, self.truth_area), (self.to_truth, self.mask_area))
        if not self.to_mask.size or not self.to_truth.size:
            return 0.0 if not self.to_mask.size and not self.to_truth.size else float("inf")
        found = []
        for distance, area in parts:
            share = np.cumsum(area) / area.sum()
            at = int(np.searchsorted(share, percentile / 100))
            found.append(float(distance[min(at, distance.size - 1)]))
        return max(found)

    def average(self) -> float:
        """Return the average symmetric surface distance over all surface elements, mm."""
        if not self.to_mask.size or not self.to_truth.size:
            return 0.0 if not self.to_mask.size and not self.to_truth.size else float("inf")
        total = self.to_mask @ self.truth_area + self.to_truth @ self.mask_area
        return float(total / (self.truth_area.sum() + self.mask_area.sum()))

    def surface_dice(self, tolerance_mm: float) -> float:
        """Return the part of both surfaces that lies within a tolerance of the other (NSD)."""
        total = self.truth_area.sum() + self.mask_area.sum()
        if total == 0:
            return 1.0
        near = self.truth_area[self.to_mask <= tolerance_mm].sum()
        near += self.mask_area[self.to_truth <= tolerance_mm].sum()
        return float(near / total)


def surface_distances(truth: Bools, mask: Bools, spacing_mm: Spacing) -> Surfaces:
    """Return the distances between the surfaces of two masks.

    A surface element sits in every cube of eight voxels that holds both kinds; its area is that of the
    marching-cubes triangles in it. Distances run between the cubes' centres.

    Args:
        truth: (slices, rows, columns).
        mask: The same grid.
        spacing_mm: Along the three axes.

    References:
        Nikolov et al., JMIR 23:e26151 (2021), and its code; definitions: Maier-Hein, Reinke et al., Nature
        Methods 21:195 (2024).
    """
    a, b = _same_grid(truth, mask)
    if min(spacing_mm) <= 0:
        raise InputError(f"spacing {spacing_mm}", "expected millimetres above 0")
    union = a | b
    if not union.any():
        none = np.zeros(0)
        return Surfaces(none, none, none, none)
    box = tuple(
        slice(int(np.flatnonzero(line)[0]), int(np.flatnonzero(line)[-1]) + 1)
        for line in (union.any(axis=(1, 2)), union.any(axis=(0, 2)), union.any(axis=(0, 1)))
    )
    table = _areas(tuple(float(s) for s in spacing_mm))
    codes = [_codes(m[box]) for m in (a, b)]
    borders = [(c != 0) & (c != 255) for c in codes]
    sides = []
    for mine, other in ((0, 1), (1, 0)):
        area = table[codes[mine][borders[mine]]]
        far = _nearest(np.argwhere(borders[mine]), np.argwhere(borders[other]), np.asarray(spacing_mm))
        order = np.argsort(far, kind="stable")
        sides += [far[order], area[order]]
    return Surfaces(*sides)


def _nearest(points: NDArray[np.intp], others: NDArray[np.intp], spacing_mm: Floats) -> Floats:
    """Return the distance of each point to the nearest other, made of whole steps so that it is exact."""
    if not len(others):
        return np.full(len(points), np.inf)
    _, nearest = cKDTree(others * spacing_mm).query(points * spacing_mm)
    return np.asarray(np.sqrt((((points - others[nearest]) * spacing_mm) ** 2).sum(axis=1)), dtype=np.float64)


def mask_surfaces(truth: Mask, mask: Mask) -> Surfaces:
    """Return the distances between two masks of one geometry."""
    if not truth.geometry.almost_equal(mask.geometry):
        raise GeometryError("the two masks lie on different grids", "expected one grid", "resample one")
    return surface_distances(truth.voxels, mask.voxels, truth.geometry.spacing_mm)


def _codes(mask: Bools) -> NDArray[np.uint8]:
    """Return the 8-bit pattern of every cube of eight voxels, one voxel of background around."""
    padded = np.pad(mask, 1).view(np.uint8)
    codes = np.zeros(tuple(n - 1 for n in padded.shape), dtype=np.uint8)
    bit = 7
    for k in (0, 1):
        for j in (0, 1):
            for i in (0, 1):
                part = padded[k : k + codes.shape[0], j : j + codes.shape[1], i : i + codes.shape[2]]
                codes |= part << np.uint8(bit)
                bit -= 1
    return codes


@cache
def _areas(spacing_mm: Spacing) -> Floats:
    """Return the area of the triangles in a cube for each of its 256 patterns, mm2."""
    areas = np.zeros(256)
    for code in range(1, 255):
        cube = np.array([(code >> (7 - n)) & 1 for n in range(8)], dtype=np.float32).reshape(2, 2, 2)
        points, faces, _, _ = marching_cubes(cube, 0.5, spacing=spacing_mm, method="lorensen")  # type: ignore[no-untyped-call]
        edges = points[faces]
        normal = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        areas[code] = 0.5 * float(np.linalg.norm(normal, axis=1).sum())
    return areas


@dataclass(frozen=True, slots=True)
class LesionDetection:
    """Lesions found, by connected components; a pair overlaps by the part asked for.

    Attributes:
        found: Lesions of the truth that are hit.
        lesions: Lesions of the truth.
        false: Components of the mask that hit none.
        components: Components of the mask.
    """

    found: int
    lesions: int
    false: int
    components: int


def lesion_detection(truth: Bools, mask: Bools, *, least_iou: float = 0.0) -> LesionDetection:
    """Return how many lesions are found; 26-connected components pair when IoU exceeds `least_iou`."""
    a, b = _same_grid(truth, mask)
    full = np.ones((3,) * a.ndim)
    (la, na), (lb, nb) = ndimage.label(a, full), ndimage.label(b, full)
    both = np.zeros((na + 1, nb + 1))
    np.add.at(both, (la.ravel(), lb.ravel()), 1)
    size_a, size_b = both.sum(axis=1), both.sum(axis=0)
    inner = both[1:, 1:]
    iou = inner / np.maximum(size_a[1:, None] + size_b[None, 1:] - inner, 1)
    hit = (inner > 0) & (iou > least_iou)
    return LesionDetection(int(hit.any(axis=1).sum()), na, nb - int(hit.any(axis=0).sum()), nb)


def _same_grid(truth: Bools, mask: Bools) -> tuple[Bools, Bools]:
    a, b = np.asarray(truth, dtype=np.bool_), np.asarray(mask, dtype=np.bool_)
    if a.shape != b.shape or a.ndim not in (2, 3):
        raise InputError(f"masks of shape {a.shape} and {b.shape}", "expected two on one grid")
    return a, b
