"""Places that a finding or a measurement can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coread.core.geometry import ImagePlane
from coread.core.image import Mask, PlaneMask
from coread.errors import InputError


@dataclass(frozen=True, slots=True)
class PatientSpace:
    """The space of a frame of reference; coordinates are LPS millimetres (x, y, z)."""

    frame_of_reference: str


@dataclass(frozen=True, slots=True)
class OnInstance:
    """The pixels of one instance; coordinates are (row, column), pixel centres at whole numbers.

    Attributes:
        instance: SOP instance UID.
        plane: Size and spacing of its pixels.
        frame: Number of the frame, from 1.
    """

    instance: str
    plane: ImagePlane
    frame: int = 1


Space = PatientSpace | OnInstance


def _points(points: object, space: Space) -> tuple[tuple[float, ...], ...]:
    array = np.atleast_2d(np.asarray(points, dtype=np.float64))
    expected = 3 if isinstance(space, PatientSpace) else 2
    if array.ndim != 2 or array.shape[1] != expected or not np.isfinite(array).all():
        raise InputError(f"places here have {expected} finite coordinates, got {points!r}")
    return tuple(tuple(float(x) for x in row) for row in array)


def _scale(space: Space) -> NDArray[np.float64] | None:
    """Millimetres a unit of each coordinate, or None where it is not known."""
    if isinstance(space, PatientSpace):
        return np.ones(3)
    return None if space.plane.spacing_mm is None else np.asarray(space.plane.spacing_mm)


@dataclass(frozen=True, slots=True)
class Point:
    """A single place."""

    at: tuple[float, ...]
    space: Space

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", _points(self.at, self.space)[0])

    @property
    def centre(self) -> tuple[float, ...]:
        """Centre in the coordinates of the space."""
        return self.at

    @property
    def diameter(self) -> float:
        """0: a point has no size."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box from ``low`` to ``high``, both included."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    space: Space

    def __post_init__(self) -> None:
        low, high = _points(self.low, self.space)[0], _points(self.high, self.space)[0]
        if any(a > b for a, b in zip(low, high, strict=True)):
            raise InputError(f"a box runs from low to high, got {low} to {high}")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def centre(self) -> tuple[float, ...]:
        """Centre in the coordinates of the space."""
        return tuple((a + b) / 2 for a, b in zip(self.low, self.high, strict=True))

    @property
    def diameter(self) -> float:
        """Longest side, in the coordinates of the space."""
        return max(b - a for a, b in zip(self.low, self.high, strict=True))


@dataclass(frozen=True, slots=True)
class Contour:
    """A closed line through points in one plane."""

    points: tuple[tuple[float, ...], ...]
    space: Space

    def __post_init__(self) -> None:
        points = _points(self.points, self.space)
        if len(points) < 2:
            raise InputError(f"a contour needs two points or more, got {len(points)}")
        object.__setattr__(self, "points", points)

    @property
    def centre(self) -> tuple[float, ...]:
        """Mean of the points, in the coordinates of the space."""
        return tuple(float(x) for x in np.mean(self.points, axis=0))

    @property
    def diameter(self) -> float:
        """Largest distance of two points, in the coordinates of the space."""
        points = np.asarray(self.points)
        return float(np.linalg.norm(points[:, None] - points[None], axis=-1).max())


@dataclass(frozen=True, slots=True, eq=False)
class MaskRegion:
    """The voxels or pixels of a mask.

    Attributes:
        mask: The region.
        space: Frame of reference of a `Mask`, or the instance of a `PlaneMask`.
    """

    mask: Mask | PlaneMask
    space: Space

    def __post_init__(self) -> None:
        if isinstance(self.mask, Mask) != isinstance(self.space, PatientSpace):
            raise InputError("a mask in the patient belongs to a frame, a plane mask to an instance")

    def _coordinates(self) -> NDArray[np.float64]:
        if isinstance(self.mask, Mask):
            return self.mask.geometry.to_patient(np.argwhere(self.mask.voxels))
        return np.argwhere(self.mask.pixels).astype(np.float64)

    @property
    def centre(self) -> tuple[float, ...]:
        """Mean of the region's pixels, in the coordinates of the space; NaN for an empty one."""
        places = self._coordinates()
        if not len(places):
            return (float("nan"),) * (3 if isinstance(self.mask, Mask) else 2)
        return tuple(float(x) for x in places.mean(axis=0))

    @property
    def diameter(self) -> float:
        """Diameter of the sphere (or disc) of the same volume (area), in the space's coordinates."""
        if isinstance(self.mask, Mask):
            volume = np.count_nonzero(self.mask.voxels) * self.mask.geometry.voxel_volume_mm3
            return float((6 * volume / np.pi) ** (1 / 3))
        return float(2 * np.sqrt(np.count_nonzero(self.mask.pixels) / np.pi))


Region = Point | Box | Contour | MaskRegion


def centre_mm(region: Region) -> tuple[float, ...] | None:
    """Return the centre in millimetres (LPS, or along rows and columns), None without spacing."""
    scale = _scale(region.space)
    if scale is None:
        return None
    return tuple(float(c * s) for c, s in zip(region.centre, scale, strict=True))


def diameter_mm(region: Region) -> float | None:
    """Return the diameter in millimetres, None on a plane without spacing."""
    scale = _scale(region.space)
    return None if scale is None else region.diameter * float(np.sqrt(np.prod(scale[:2])))


def distance(a: Region, b: Region) -> float | None:
    """Return the distance of two centres: millimetres, or pixels on a plane without spacing.

    None where the two do not lie in one space.
    """
    if not same_space(a.space, b.space):
        return None
    scale = _scale(a.space)
    difference = np.subtract(a.centre, b.centre)
    return float(np.linalg.norm(difference if scale is None else difference * scale))


def same_space(a: Space, b: Space) -> bool:
    """Return whether two places can be compared: one frame of reference, or one frame of one instance."""
    if isinstance(a, PatientSpace) and isinstance(b, PatientSpace):
        return a.frame_of_reference == b.frame_of_reference
    if isinstance(a, OnInstance) and isinstance(b, OnInstance):
        return (a.instance, a.frame) == (b.instance, b.frame)
    return False


def distance_to(region: Region, point: tuple[float, ...]) -> float:
    """Return how far a point (in the region's coordinates) lies outside the region; 0 inside.

    Millimetres, or pixels on a plane without spacing.
    """
    scale = _scale(region.space)
    factor = np.ones(len(point)) if scale is None else scale
    at = np.asarray(point, dtype=np.float64)
    match region:
        case Point():
            places = np.asarray([region.at])
        case Box():
            outside = np.maximum(np.maximum(np.asarray(region.low) - at, at - np.asarray(region.high)), 0)
            return float(np.linalg.norm(outside * factor))
        case Contour():
            return _distance_to_contour(np.asarray(region.points) * factor, at * factor)
        case MaskRegion():
            places = region._coordinates()
            if isinstance(region.mask, Mask):
                return _distance_to_voxels(region.mask, at)
    if not len(places):
        return float("inf")
    return float(np.linalg.norm((places - at) * factor, axis=1).min())


def _distance_to_voxels(mask: Mask, at: NDArray[np.float64]) -> float:
    index = np.rint(mask.geometry.to_index(at)).astype(int)
    inside = all(0 <= n < size for n, size in zip(index, mask.geometry.shape, strict=True))
    if inside and mask.voxels[tuple(index)]:
        return 0.0
    if not mask.voxels.any():
        return float("inf")
    places = mask.geometry.to_patient(np.argwhere(mask.voxels))
    return float(np.linalg.norm(places - at, axis=1).min())


def _distance_to_contour(points: NDArray[np.float64], at: NDArray[np.float64]) -> float:
    start, end = points, np.roll(points, -1, axis=0)
    step = end - start
    length = np.maximum((step**2).sum(axis=1), 1e-300)
    t = np.clip(((at - start) * step).sum(axis=1) / length, 0, 1)
    edge = float(np.linalg.norm(start + t[:, None] * step - at, axis=1).min())
    centre = points.mean(axis=0)
    basis = np.linalg.svd(points - centre, full_matrices=True)[2]
    offset = basis @ (at - centre)
    plane, across = offset[:2], float(np.linalg.norm(offset[2:]))
    flat = (points - centre) @ basis[:2].T
    x0, y0 = flat[:, 0], flat[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    crosses = (y0 > plane[1]) != (y1 > plane[1])
    slope = np.where(crosses, (x1 - x0) / np.where(y1 == y0, 1, y1 - y0), 0)
    inside = bool(np.count_nonzero(crosses & (plane[0] < x0 + slope * (plane[1] - y0))) % 2)
    return across if inside else edge
