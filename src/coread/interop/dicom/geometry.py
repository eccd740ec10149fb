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

_ALIKE = 1e-3  # largest difference of direction cosines, and relative one of spacings, in one stack


def grouped(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Return slices that can lie in one stack together: same frame, size, spacing and orientation.

    A group is known by its first slice in the order of their keys, so the order of files does not matter.
    """
    kinds: dict[tuple[object, ...], list[Slice]] = {}
    for one in sorted(slices, key=lambda s: s.key):
        samples = integer(one.instance.dataset, "SamplesPerPixel")
        kind = (one.shape, one.frame_of_reference, one.localizer, samples)
        kinds.setdefault(kind, []).append(one)
    found: list[list[Slice]] = []
    for members in kinds.values():
        features = np.array([[*s.orientation.ravel(), *np.log(s.spacing)] for s in members])
        firsts = np.empty_like(features)
        groups: list[list[Slice]] = []
        for one, feature in zip(members, features, strict=True):
            near = np.flatnonzero((np.abs(firsts[: len(groups)] - feature) <= _ALIKE).all(axis=1))
            if near.size:
                groups[near[0]].append(one)
            else:
                firsts[len(groups)] = feature
                groups.append([one])
        found += groups
    return found


def differences(groups: Sequence[Sequence[Slice]]) -> tuple[str, ...]:
    """Return what tells groups of slices apart, in words."""
    firsts = [group[0] for group in groups]
    orientations = np.stack([s.orientation for s in firsts])
    spacings = np.log([s.spacing for s in firsts])
    mixed = (
        ("localizers", len({s.localizer for s in firsts}) > 1),
        ("sizes", len({s.shape for s in firsts}) > 1),
        ("pixel spacings", bool(np.ptp(spacings, axis=0).max() > _ALIKE)),
        ("orientations", bool(np.ptp(orientations, axis=0).max() > _ALIKE)),
        ("frames of reference", len({s.frame_of_reference for s in firsts}) > 1),
    )
    return tuple(words for words, differ in mixed if differ) or ("kinds of pixels",)


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
    taken = np.zeros(len(positions), dtype=bool)
    found: list[tuple[int, int]] = []
    for first, behind in sorted(_runs(positions), key=lambda run: (run[0] - run[1], run[0])):
        # Neighbouring runs share their ends; the longer one keeps them.
        free = np.flatnonzero(~taken[first:behind]) + first
        if free.size:
            found.append((int(free[0]), int(free[-1]) + 1))
            taken[free] = True
    return sorted(found)


def _runs(positions: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the longest runs of equal steps from each place on; the end of one is the start of the next."""
    found = []
    start = 0
    while start < len(positions):
        end = min(start + 2, len(positions))
        if _on_a_line(positions[start:]):
            end = len(positions)
        while end < len(positions) and _on_a_line(positions[start : end + 1]):
            end += 1
        found.append((start, end))
        if end == len(positions):
            break
        start = end - 1
    return found


def _on_a_line(positions: NDArray[np.float64]) -> bool:
    """Return whether positions lie evenly between the first and the last, within the tolerance."""
    if len(positions) < 3:
        return True
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
