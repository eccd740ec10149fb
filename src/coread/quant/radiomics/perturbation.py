"""Small changes of an image and its region, to see which features survive them.

References:
    Zwanenburg et al. 2019, Assessing robustness of radiomic features by image perturbation,
    doi:10.1038/s41598-018-36938-4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coread.errors import InputError
from coread.quant.radiomics._typing import Bools, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """One set of changes; zeros change nothing.

    Attributes:
        rotation_deg: Turn of image and region about the slice normal, through the region's centre.
        translation: Shift of image and region (slice, row, column) as a share of a voxel.
        noise: Standard deviation of added Gaussian noise, as a multiple of the image's own noise.
        volume_change: Relative change of the region's volume by growing or shrinking its border.
        contour_mm: Standard deviation of a smooth random shift of the region's border.
    """

    rotation_deg: float = 0.0
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    noise: float = 0.0
    volume_change: float = 0.0
    contour_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.noise < 0 or self.contour_mm < 0 or self.volume_change <= -1:
            raise InputError(f"noise and contour shift are not negative, volumes stay positive; got {self}")


STANDARD: tuple[Perturbation, ...] = (
    Perturbation(),
    Perturbation(rotation_deg=-7.0, noise=1.0),
    Perturbation(rotation_deg=7.0, translation=(0.25, 0.25, 0.25)),
    Perturbation(translation=(0.25, 0.5, 0.75), contour_mm=0.5),
    Perturbation(translation=(0.75, 0.25, 0.5), volume_change=0.15),
    Perturbation(rotation_deg=4.0, volume_change=-0.15, contour_mm=0.5),
    Perturbation(noise=1.0, contour_mm=1.0),
    Perturbation(rotation_deg=-4.0, translation=(0.5, 0.75, 0.25), volume_change=0.1),
)
"""The first changes nothing; the others combine rotation, shift, noise, volume and contour."""


def noise_level(image: Floats) -> float:
    """Return the standard deviation of an image's noise, by the finest diagonal wavelet band.

    References:
        Donoho and Johnstone 1994: median absolute Haar coefficient / 0.6745.
    """
    rows = image[:, : image.shape[1] // 2 * 2, : image.shape[2] // 2 * 2]
    a, b = rows[:, ::2, ::2], rows[:, ::2, 1::2]
    c, d = rows[:, 1::2, ::2], rows[:, 1::2, 1::2]
    diagonal = (a - b - c + d) / 2
    flat = diagonal[np.abs(diagonal) > 0]
    return float(np.median(np.abs(flat)) / 0.6745) if flat.size else 0.0


def signed_distance(mask: Bools, spacing_mm: Floats) -> Floats:
    """Return the distance to the border in mm, positive inside."""
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    half = float(np.min(spacing_mm)) / 2
    return np.asarray(np.where(mask, inside - half, half - outside))


def perturbed(
    image: NDArray[np.floating] | NDArray[np.integer],
    mask: Bools,
    spacing_mm: Floats,
    change: Perturbation,
    rng: np.random.Generator,
) -> tuple[Floats, Bools]:
    """Return an image and its region, changed.

    Args:
        image: (slices, rows, columns) intensities.
        mask: The region, not empty.
        spacing_mm: (3,) voxel spacing.
        change: What is changed.
        rng: For noise and contours.
    """
    values = image.astype(np.float64)
    region = mask
    if change.noise:
        values = values + rng.normal(0.0, change.noise * noise_level(values), values.shape)
    if change.volume_change or change.contour_mm:
        region = _moved_border(mask, spacing_mm, change, rng)
    if change.rotation_deg or any(change.translation):
        centre = np.argwhere(mask).mean(axis=0)
        angle = np.deg2rad(change.rotation_deg)
        # Rows and columns turn in millimetres, so that anisotropic pixels keep their shape.
        ratio = spacing_mm[2] / spacing_mm[1]
        turn = np.array(
            [
                [1.0, 0.0, 0.0],
                [0.0, np.cos(angle), -np.sin(angle) * ratio],
                [0.0, np.sin(angle) / ratio, np.cos(angle)],
            ]
        )
        offset = centre - turn @ centre + np.asarray(change.translation)
        values = ndimage.affine_transform(values, turn, offset, order=1, mode="nearest")
        share = ndimage.affine_transform(region.astype(np.float64), turn, offset, order=1)
        region = share >= 0.5
    return values, region


def _moved_border(mask: Bools, spacing_mm: Floats, change: Perturbation, rng: np.random.Generator) -> Bools:
    distance = signed_distance(mask, spacing_mm)
    if change.contour_mm:
        field = ndimage.gaussian_filter(rng.standard_normal(mask.shape), 5.0 / spacing_mm)
        spread = field[np.abs(distance) < 5.0].std()
        if spread > 0:
            distance = distance + change.contour_mm * field / spread
    target = round(np.count_nonzero(mask) * (1 + change.volume_change))
    if not change.volume_change:
        return np.asarray(distance > 0)
    # The region of so many voxels whose border runs parallel to the old one; voxels equally far from
    # it go by how much of the region is around them.
    distance = distance + 1e-3 * ndimage.gaussian_filter(mask.astype(np.float64), 2.0 / spacing_mm)
    level = np.partition(distance.ravel(), distance.size - target)[distance.size - target]
    return np.asarray(distance >= level)
