"""Shapes whose volume, place and values are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Acquisition, Geometry, Mask, Volume
from coread.errors import InputError

Floats = NDArray[np.float64]
Point = tuple[float, float, float]


def around(radius_mm: float, spacing_mm: Point = (1.0, 1.0, 1.0), *, margin_mm: float = 5.0) -> Geometry:
    """Return an axial grid that holds a ball about LPS (0, 0, 0).

    Args:
        radius_mm: Of the ball.
        spacing_mm: Of slices, rows and columns.
        margin_mm: Around it.
    """
    counts = tuple(2 * int(np.ceil((radius_mm + margin_mm) / s)) + 1 for s in spacing_mm)
    z, y, x = (-s * (n - 1) / 2.0 for s, n in zip(spacing_mm, counts, strict=True))
    return Geometry.axial((counts[0], counts[1], counts[2]), spacing_mm, (x, y, z))


def region(inside: Callable[[Floats], NDArray[np.bool_]], geometry: Geometry) -> Mask:
    """Return the voxels whose centre satisfies a condition.

    Args:
        inside: Takes LPS millimetres (..., 3) and returns bool (...).
        geometry: Any grid, also oblique.
    """
    shape = geometry.shape
    rows = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij"), axis=-1)
    voxels = np.empty(shape, dtype=np.bool_)
    for k in range(shape[0]):
        index = np.concatenate([np.full((*rows.shape[:2], 1), k), rows], axis=-1)
        voxels[k] = inside(geometry.to_patient(index))
    return Mask(voxels, geometry)


def sphere(radius_mm: float, spacing_mm: Point = (1.0, 1.0, 1.0), centre_mm: Point = (0.0, 0.0, 0.0)) -> Mask:
    """Return a ball: volume 4/3 pi r^3.

    Examples:
        >>> ball = sphere(10.0)
        >>> abs(int(ball.voxels.sum()) / (4 / 3 * np.pi * 1000) - 1) < 0.01
        True
    """
    return ellipsoid((radius_mm,) * 3, spacing_mm, centre_mm)


def ellipsoid(
    radii_mm: Point, spacing_mm: Point = (1.0, 1.0, 1.0), centre_mm: Point = (0.0, 0.0, 0.0)
) -> Mask:
    """Return an ellipsoid with its axes along x, y and z: volume 4/3 pi abc.

    Args:
        radii_mm: Along x (left), y (back) and z (head).
        spacing_mm: Of slices, rows and columns.
        centre_mm: LPS; the grid stays about (0, 0, 0) and grows with the offset.

    Raises:
        InputError: A radius is not positive.
    """
    if min(radii_mm) <= 0.0:
        raise InputError(f"radii are {radii_mm} mm", "positive ones")
    reach = max(radii_mm) + float(np.max(np.abs(centre_mm)))
    return region(
        lambda points: (((points - centre_mm) / radii_mm) ** 2).sum(axis=-1) <= 1.0,
        around(reach, spacing_mm),
    )


def shell(inner_mm: float, outer_mm: float, spacing_mm: Point = (1.0, 1.0, 1.0)) -> Mask:
    """Return a spherical shell: volume 4/3 pi (R^3 - r^3), thickness R - r.

    Raises:
        InputError: The outer radius is not the larger one.
    """
    if not 0.0 <= inner_mm < outer_mm:
        raise InputError(f"radii are {inner_mm} and {outer_mm} mm", "0 <= inner < outer")

    def inside(points: Floats) -> NDArray[np.bool_]:
        r = np.linalg.norm(points, axis=-1)
        return np.asarray((r > inner_mm) & (r <= outer_mm), dtype=np.bool_)

    return region(inside, around(outer_mm, spacing_mm))


def water_cylinder(
    radius_mm: float,
    *,
    shape: tuple[int, int, int] = (8, 256, 256),
    spacing_mm: Point = (5.0, 1.0, 1.0),
    noise_hu: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Volume:
    """Return a CT of water (0 HU) in air (-1000 HU) with white noise of a known standard deviation.

    Args:
        radius_mm: Of the cylinder, along z.
        shape: (slices, rows, columns).
        spacing_mm: Of slices, rows and columns.
        noise_hu: Standard deviation, the same everywhere.
        rng: Of the noise.
    """
    geometry = Geometry.axial(shape, spacing_mm)
    y = (np.arange(shape[1]) - (shape[1] - 1) / 2.0) * spacing_mm[1]
    x = (np.arange(shape[2]) - (shape[2] - 1) / 2.0) * spacing_mm[2]
    disc = np.where(np.hypot(y[:, None], x) <= radius_mm, 0.0, -1000.0)
    values: NDArray[Any] = np.repeat(disc[None], shape[0], axis=0)
    if noise_hu > 0.0:
        values = values + (rng or np.random.default_rng(0)).normal(0.0, noise_hu, shape)
    return Volume(values.astype(np.float32), geometry, "HU", Acquisition("CT", simulated=True), "2.25.1")
