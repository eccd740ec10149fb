"""Slices into stacks: by position along the normal, one stack for each run of equal steps.

References:
    DICOM PS3.3, C.7.6.2.1.1 (image position and orientation). Gantry tilt shears the stack: the step from
    slice to slice is no longer along the normal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coread.core import Geometry
from coread.interop.dicom.attributes import integer
from coread.interop.dicom.slices import Slice

_ORIENTATION = 1e-3  # largest difference of direction cosines in one stack
_SPACING = 1e-3  # relative


def alike(a: Slice, b: Slice) -> bool:
    """Return whether two slices can lie in one stack: same frame, size, spacing and orientation."""
    return (
        a.shape == b.shape
        and a.frame_of_reference == b.frame_of_reference
        and a.localizer == b.localizer
        and bool(np.abs(a.orientation - b.orientation).max() <= _ORIENTATION)
        and bool(np.allclose(a.spacing, b.spacing, rtol=_SPACING, atol=0))
        and integer(a.instance.dataset, "SamplesPerPixel") == integer(b.instance.dataset, "SamplesPerPixel")
    )


def place_tolerance_mm(step_mm: float) -> float:
    """Return how far a slice may lie from its even place: a fifth of a step, 0.01 to 0.1 mm."""
    return float(np.clip(0.2 * step_mm, 0.01, 0.1))


def along_normal(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Return the distance of each slice along the normal of the first, in mm."""
    normal = slices[0].normal
    return np.array([float(s.position @ normal) for s in slices])


def by_place(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Return slices sorted along their normal; those at one distance (within 0.01 mm) together."""
    distances = along_normal(slices)
    order = sorted(range(len(slices)), key=lambda i: (distances[i], slices[i].key))
    places: list[list[Slice]] = []
    last = -np.inf
    for i in order:
        if distances[i] - last > 0.01:
            places.append([])
            last = float(distances[i])
        places[-1].append(slices[i])
    return places


def equal_steps(positions: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return runs of positions whose steps are equal, as (first, behind last).

    The longest run is taken first, then the rest on both sides, so that neither the order of the files nor
    a single odd step at the end decides where a stack begins.

    Args:
        positions: (n, 3) LPS, sorted along the normal.

    Examples:
        >>> z = np.array([0.0, 4.0, 8.0, 12.0, 13.0, 20.0, 27.0])
        >>> equal_steps(np.stack([0 * z, 0 * z, z], axis=1))
        [(0, 4), (4, 7)]
    """
    found: list[tuple[int, int]] = []
    open_: list[tuple[int, int]] = [(0, len(positions))]
    while open_:
        first, behind = open_.pop()
        if behind - first <= 2:
            found.append((first, behind)) if behind > first else None
            continue
        start, end = _longest_run(positions[first:behind])
        start, end = start + first, end + first
        found.append((start, end))
        open_ += [part for part in ((first, start), (end, behind)) if part[1] > part[0]]
    return sorted(found)


def _longest_run(positions: NDArray[np.float64]) -> tuple[int, int]:
    best = (0, 1)
    start = 0
    while start < len(positions) - 1:
        end = start + 2
        while end < len(positions) and _on_a_line(positions[start : end + 1]):
            end += 1
        if end - start > best[1] - best[0]:
            best = (start, end)
        start = end - 1
    return best


def _on_a_line(positions: NDArray[np.float64]) -> bool:
    """Return whether positions lie evenly between the first and the last, within the tolerance."""
    fractions = np.linspace(0.0, 1.0, len(positions))[:, np.newaxis]
    expected = positions[0] + fractions * (positions[-1] - positions[0])
    step = float(np.linalg.norm(positions[-1] - positions[0])) / (len(positions) - 1)
    return bool(np.linalg.norm(positions - expected, axis=1).max() <= place_tolerance_mm(step))


def stack_geometry(slices: Sequence[Slice]) -> Geometry:
    """Return the grid of slices that are alike, sorted along the normal and evenly spaced."""
    first = slices[0]
    affine = np.eye(4)
    if len(slices) > 1:
        affine[:3, 0] = (slices[-1].position - first.position) / (len(slices) - 1)
    else:
        affine[:3, 0] = first.normal * (first.thickness if first.thickness and first.thickness > 0 else 1.0)
    affine[:3, 1] = first.orientation[1] * first.spacing[0]
    affine[:3, 2] = first.orientation[0] * first.spacing[1]
    affine[:3, 3] = first.position
    return Geometry((len(slices), *first.shape), affine)


def tilt_degrees(geometry: Geometry) -> float:
    """Return the angle between the step from slice to slice and the normal of the slices."""
    step = geometry.affine[:3, 0]
    cosine = float(geometry.normal @ step / np.linalg.norm(step))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
