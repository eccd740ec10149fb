"""Lungs and airways of a chest CT, segmented by density and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coread.core import Volume
from coread.errors import NotApplicableError
from coread.imaging.label import (
    bounding_box,
    close,
    components,
    connected_to,
    dilate,
    erode,
    fill_holes,
)
from coread.imaging.orientation import Orientation
from coread.imaging.resample import block_mean, enlarge

Bools = NDArray[np.bool_]
Spacing = tuple[float, float, float]

RIGHT, LEFT, AIRWAYS = 1, 2, 3
EDGE_HU = -450.0  # half way between inflated lung and soft tissue
COARSE_MM = 1.4
_CUTS = (  # density limit, erosion in mm: the first pair that parts two lungs is taken
    *((limit, 0.0) for limit in (EDGE_HU, -650.0, -720.0, -780.0, -810.0)),
    *((limit, 1.5) for limit in (-650.0, -720.0, -780.0)),
    *((limit, 3.0) for limit in (EDGE_HU, -720.0, -780.0)),
    (EDGE_HU, 6.0),
)


def segment_lungs(volume: Volume) -> NDArray[np.uint8]:
    """Return the right lung (1), the left lung (2) and the airways (3) of a chest CT.

    Air inside the body is found by density, the windpipe by its shape in the upper slices; the airways
    grow from it at rising density until they leak; the rest is parted into two lungs, whose vessels
    and small solid nodules are closed. Works on half the resolution in the plane and is brought to the
    full one at the edges.

    Args:
        volume: HU on any grid, also oblique, turned over or anisotropic.

    Returns:
        uint8 of the volume's shape, 0 elsewhere.

    Raises:
        NotApplicableError: It isn't a chest CT in HU that shows two lungs.

    References:
        Hu S, Hoffman EA, Reinhardt JM. IEEE Trans Med Imaging 2001;20:490-498 (threshold, separation,
        smoothing); Mori K et al. ICPR 1996 (airways by growing until explosion).
    """
    if volume.unit != "HU" or volume.acquisition.modality != "CT":
        raise NotApplicableError(
            f"a volume of {volume.acquisition.modality} in {volume.unit}", "a chest CT in HU"
        )
    if volume.values.ndim != 3:
        raise NotApplicableError("a volume in colours", "a chest CT in HU")
    orientation = Orientation.of(volume.geometry)
    spacing = orientation.spacing_mm(volume.geometry)
    full = orientation.turn(volume.values)
    height = full.shape[0] * spacing[0]
    if height < 120.0 or min(full.shape) < 12:
        raise NotApplicableError(
            f"the volume is {height:.0f} mm high in {full.shape[0]} slices",
            "two whole lungs: at least 120 mm and 12 slices",
        )
    k, j, i = (max(1, round(COARSE_MM / s)) for s in spacing)
    factors = (k, j, i)
    coarse = block_mean(full, factors)
    step = (spacing[0] * k, spacing[1] * j, spacing[2] * i)
    labels = _segment(coarse, step)
    return np.ascontiguousarray(orientation.back(_refine(full, labels, factors)))


def _segment(hu: NDArray[np.float32], spacing: Spacing) -> NDArray[np.uint8]:
    """Return the labels on the coarse grid, slices up, rows back, columns left."""
    voxel_ml = float(np.prod(spacing)) / 1000.0
    air = hu < EDGE_HU
    inside = air & ~_outside(air, hu)
    regions, sizes = components(inside)
    large = np.flatnonzero(sizes * voxel_ml >= 150.0)
    large = large[large > 0]
    lungs = np.zeros(hu.shape, dtype=np.bool_)
    for label in large:
        if -970.0 < float(np.median(hu[regions == label])) < -500.0:  # gas in the bowel is lower
            lungs |= regions == label
    if not lungs.any():
        raise NotApplicableError("no lungs: no large air-filled region of lung density in a body")
    trachea = _trachea(inside, hu, spacing)
    airways = np.zeros_like(lungs)
    if trachea is not None:
        airways = _grow_airways(hu, inside, trachea, voxel_ml)
    walls = dilate(airways, 1.01 * max(spacing[1:]), spacing)
    right, left = _two_lungs(lungs & ~walls, hu, spacing)
    total = (np.count_nonzero(right) + np.count_nonzero(left)) * voxel_ml
    smaller = min(np.count_nonzero(right), np.count_nonzero(left)) * voxel_ml
    if total < 600.0 or smaller < 100.0:
        raise NotApplicableError(
            f"no two lungs: {total:.0f} mL of lung in all, {smaller:.0f} mL in the smaller part",
            "both lungs, whole",
        )
    _check_whole(right | left, spacing)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for side, region in ((LEFT, left), (RIGHT, right)):
        closed = fill_holes(close(region, 7.0, spacing))
        labels[closed & (labels == 0) & ~walls] = side
    labels[airways] = AIRWAYS
    return labels


def _check_whole(lungs: Bools, spacing: Spacing) -> None:
    """Refuse lungs that the first or last slice cuts well above their ends."""
    area = lungs.sum(axis=(1, 2)) * spacing[1] * spacing[2] / 100.0
    if area[-1] > 6.0 or area[0] > 0.4 * area.max():
        raise NotApplicableError(
            f"the lungs are cut: {area[-1]:.0f} cm2 of lung in the top slice, {area[0]:.0f} cm2 in the "
            "bottom slice",
            "a chest CT from above the apices to the bases",
        )


def _outside(air: Bools, hu: NDArray[np.float32]) -> Bools:
    """Return the air around the body: what reaches the rim of the slices, also through the table."""
    rim = np.zeros_like(air)
    rim[:, [0, -1], :] = True
    rim[:, :, [0, -1]] = True
    seed = air & rim
    if not seed.any():
        return seed
    around = connected_to(air, seed)
    if np.count_nonzero(around & (hu > -930.0)) > 0.5 * np.count_nonzero(around):
        raise NotApplicableError("the lungs reach the edge of the field of view")
    return around


def _trachea(inside: Bools, hu: NDArray[np.float32], spacing: Spacing) -> Bools | None:
    """Return the windpipe: the longest chain of round air holes near the middle, from the top down."""
    slices = hu.shape[0]
    pixel = spacing[1] * spacing[2]
    columns = np.flatnonzero(inside.any(axis=(0, 1)))
    middle = 0.5 * (columns[0] + columns[-1])
    reach = 0.2 * (columns[-1] - columns[0])
    open_chains: list[tuple[Bools, list[tuple[int, Bools]]]] = []
    best: list[tuple[int, Bools]] = []
    for k in range(slices - 1, slices // 3, -1):
        names, count = ndimage.label(inside[k] & (hu[k] < -700.0))
        following: list[tuple[Bools, list[tuple[int, Bools]]]] = []
        sizes = np.bincount(names.ravel())
        boxes = ndimage.find_objects(names)
        for n in range(1, count + 1):
            area = sizes[n] * pixel
            if not 50.0 <= area <= 800.0:
                continue
            rows, cols = boxes[n - 1]
            tall = (rows.stop - rows.start) * spacing[1]
            wide = (cols.stop - cols.start) * spacing[2]
            centre = 0.5 * (cols.start + cols.stop - 1)
            if abs(centre - middle) > reach or max(tall, wide) > 2.2 * min(tall, wide):
                continue
            if area < 0.5 * tall * wide:  # a disc fills 0.79 of its box
                continue
            hole = names == n
            before = [chain for last, chain in open_chains if (last & hole).any()]
            chain = max(before, key=len, default=[]) + [(k, hole)]
            following.append((hole, chain))
            if len(chain) > len(best):
                best = chain
        open_chains = following
    if len(best) * spacing[0] < 15.0:
        return None
    trachea = np.zeros_like(inside)
    for k, hole in best:
        trachea[k] = hole
    return trachea


def _grow_airways(hu: NDArray[np.float32], inside: Bools, trachea: Bools, voxel_ml: float) -> Bools:
    """Return the air joined to the windpipe, at the highest density that does not leak into the lungs.

    A leak shows as a sudden growth (60 mL, or half, from one step of 15 HU to the next).
    """
    lumen = float(np.percentile(hu[trachea], 60.0))
    kept = trachea
    before = np.count_nonzero(trachea) * voxel_ml
    for limit in np.arange(lumen + 5.0, -750.0, 15.0):
        grown = connected_to(inside & (hu < limit), trachea)
        size = np.count_nonzero(grown) * voxel_ml
        if size > 180.0 or size > max(1.5 * before, before + 12.0, 45.0):
            break
        kept, before = grown | trachea, max(size, before)
    return kept


def _two_lungs(lungs: Bools, hu: NDArray[np.float32], spacing: Spacing) -> tuple[Bools, Bools]:
    """Return the right and the left lung, parted where they touch.

    The pleura between them is thinner than a voxel: it shows as a higher density first, and only where
    it doesn't is the contact cut by erosion.
    """
    box = bounding_box(lungs, margin=1)
    part = lungs[box]
    middle = _midline(part)
    for limit, radius in _CUTS:
        core = part & (hu[box] < limit)
        if radius > 0.0:
            core = erode(core, radius, spacing)
        names, sizes = components(core)
        sides: tuple[list[int], list[int]] = ([], [])
        large = [n for n in range(1, len(sizes)) if sizes[n] >= 0.04 * max(sizes[1:])]
        across = False
        for n in large:
            weight = (names == n).sum(axis=(0, 1))
            over = weight[: int(middle)].sum() / weight.sum()
            across |= bool(0.2 < over < 0.8)
            sides[0 if over >= 0.5 else 1].append(n)
        if not across and sides[0] and sides[1]:
            markers = np.zeros(part.shape, dtype=np.int8)
            markers[np.isin(names, sides[0])] = 1
            markers[np.isin(names, sides[1])] = 2
            if limit < EDGE_HU or radius > 0.0:
                markers = _nearest(markers, part, spacing)
            right, left = np.zeros_like(lungs), np.zeros_like(lungs)
            right[box], left[box] = markers == 1, markers == 2
            return right, left
    raise NotApplicableError("no two lungs: one air-filled region lies across the middle")


def _midline(part: Bools) -> float:
    """Return the column between the lungs: least air within the middle half."""
    weight = ndimage.gaussian_filter1d(part.sum(axis=(0, 1)).astype(float), 3.0)
    n = len(weight)
    low = n // 4
    return float(low + np.argmin(weight[low : n - low]))


def _nearest(markers: NDArray[np.int8], part: Bools, spacing: Spacing) -> NDArray[np.int8]:
    """Return the region with each voxel given to the nearest marker."""
    index = ndimage.distance_transform_edt(
        markers == 0, sampling=spacing, return_distances=False, return_indices=True
    )
    given: NDArray[np.int8] = markers[tuple(index)]
    given[~part] = 0
    return given


def _refine(
    full: NDArray[Any], labels: NDArray[np.uint8], factors: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return the labels at full resolution, the edges placed by density."""
    if factors == (1, 1, 1):
        airway = labels == AIRWAYS
        plane = ndimage.generate_binary_structure(3, 1)
        plane[[0, 2]] = False
        rim = ndimage.binary_dilation(airway, plane) & (full < EDGE_HU) & (labels == 0)
        labels[rim] = AIRWAYS  # voxels that are half lumen, half wall
        return labels
    shape = (full.shape[0], full.shape[1], full.shape[2])
    fine = np.ascontiguousarray(enlarge(labels, factors, shape))
    lung = (labels == RIGHT) | (labels == LEFT)
    cross = ndimage.generate_binary_structure(3, 1)
    rim = ndimage.binary_dilation(lung, cross) & ~ndimage.binary_erosion(lung, cross)
    near = ndimage.grey_dilation(np.where(lung, labels, 0), footprint=cross).astype(np.uint8)
    open_to_lung = enlarge(rim & (labels != AIRWAYS), factors, shape)
    named = enlarge(near, factors, shape)
    aired = full < EDGE_HU
    airway = labels == AIRWAYS
    wall = enlarge(ndimage.binary_dilation(airway, cross) & ~airway, factors, shape)
    change = open_to_lung & ~wall
    fine[change] = np.where(aired[change], named[change], 0)
    lumen = wall & aired & (fine == 0)
    fine[lumen] = AIRWAYS
    fine[(fine == AIRWAYS) & ~aired] = 0
    return fine
