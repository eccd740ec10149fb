"""The shape of a flat region: size, roundness, smoothness of its outline, in the patient's proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.measure import find_contours

from coread.errors import InputError


@dataclass(frozen=True, slots=True)
class Outline:
    """Shape of a flat region; lengths in the unit of the spacing.

    Attributes:
        width: Along the rows, from the first to the last column.
        height: Along the columns.
        area: Inside the outline.
        perimeter: Length of the outline.
        circularity: Four pi times the area over the squared perimeter: 1 for a circle.
        solidity: Area over that of the convex hull: 1 without a dent.
        axis_ratio: Long over short axis of the ellipse with the same second moments: 1 for a circle.
        ellipse_overlap: Dice of the region with that ellipse.
    """

    width: float
    height: float
    area: float
    perimeter: float
    circularity: float
    solidity: float
    axis_ratio: float
    ellipse_overlap: float


def outline_of(mask: NDArray[np.bool_], spacing: tuple[float, float] = (1.0, 1.0)) -> Outline:
    """Return the shape of the largest connected region of a flat mask.

    The outline is drawn half-way between inside and outside after a Gaussian of one pixel, which takes the
    steps of the pixels away; it is scaled to the spacing before anything is measured.

    Args:
        mask: (rows, columns).
        spacing: Between rows and between columns.

    Raises:
        InputError: The mask is empty or the spacing is not positive.

    References:
        Cox, A method of assigning numerical and percentage values to the degree of roundness of sand
        grains, J. Paleontology 1 (1927), for circularity.

    Examples:
        >>> rows, columns = np.mgrid[:99, :99]
        >>> round(outline_of(np.hypot(rows - 49, columns - 49) < 30).circularity, 2)
        1.0
    """
    if not mask.any():
        raise InputError("an empty mask has no outline", "a mask with pixels")
    if min(spacing) <= 0:
        raise InputError(f"spacing {spacing}", "two positive numbers")
    parts, _ = ndimage.label(mask)
    region = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    step = np.asarray(spacing, dtype=np.float64)
    line = _contour(region) * step
    area, perimeter = _area(line), float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
    hull = ConvexHull(line)
    axis_ratio, overlap = _ellipse(region, step)
    return Outline(
        width=float((columns[-1] - columns[0] + 1) * step[1]),
        height=float((rows[-1] - rows[0] + 1) * step[0]),
        area=area,
        perimeter=perimeter,
        circularity=min(4 * np.pi * area / perimeter**2, 1.0),
        solidity=min(area / float(hull.volume), 1.0),  # a flat hull's volume is its area
        axis_ratio=axis_ratio,
        ellipse_overlap=overlap,
    )


def _contour(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n, 2) closed line around a region in pixels; the plain one where smoothing makes it vanish."""
    padded = np.pad(region, 4).astype(np.float64)
    for field in (ndimage.gaussian_filter(padded, 1.0), padded):
        lines = find_contours(field, 0.5)  # type: ignore[no-untyped-call]
        if lines:
            return np.asarray(max(lines, key=_area), dtype=np.float64)
    raise AssertionError("a region with pixels has a contour")


def _area(line: NDArray[np.float64]) -> float:
    row, column = line[:, 0], line[:, 1]
    return abs(float(np.dot(row[:-1], column[1:]) - np.dot(row[1:], column[:-1]))) / 2


def _ellipse(region: NDArray[np.bool_], step: NDArray[np.float64]) -> tuple[float, float]:
    """Axis ratio of the ellipse with a region's second moments, and its Dice with the region."""
    points = np.argwhere(region) * step
    centre = points.mean(axis=0)
    spread = (points - centre).T @ (points - centre) / len(points) + np.diag(step**2) / 12
    short, long = np.linalg.eigvalsh(spread)
    places = np.moveaxis(np.indices(region.shape), 0, -1) * step - centre
    inside = np.einsum("rci,ij,rcj->rc", places, np.linalg.inv(spread), places) <= 4
    overlap = 2 * np.count_nonzero(inside & region) / (np.count_nonzero(inside) + len(points))
    return float(np.sqrt(long / short)), float(overlap)
