"""Films of any size as small squares of numbers, the way the training films were made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.core import Image
from coread.errors import InputError

MODALITIES = frozenset({"CR", "DX", "RG"})
BODY_PARTS = frozenset({"CHEST", "THORAX", "LUNG"})


@dataclass(frozen=True, slots=True)
class Square:
    """The centred square of a film: first row, first column and side in pixels."""

    row: int
    column: int
    side: int


def centre_square(shape: tuple[int, int]) -> Square:
    """Return the largest centred square; an odd remainder goes to the bottom and the right.

    Examples:
        >>> centre_square((1000, 1301))
        Square(row=0, column=150, side=1000)
    """
    rows, columns = shape
    side = min(rows, columns)
    return Square((rows - side) // 2, (columns - side) // 2, side)


def shrink(pixels: ArrayLike, size: int) -> NDArray[np.float64]:
    """Return a square of pixels at a smaller (or larger) size by weighted averages.

    A triangle as wide as two new pixels (when shrinking) weighs the old pixels: what Pillow calls
    bilinear, and what fits the published 28-pixel films best.

    Args:
        pixels: (n, n) numbers.
        size: New side.

    Returns:
        (size, size) float64.
    """
    values = np.asarray(pixels, dtype=np.float64)
    weights = _triangle_weights(values.shape[0], size)
    return np.asarray(weights @ values @ weights.T)


def _triangle_weights(old: int, new: int) -> NDArray[np.float64]:
    """(new, old) weights; each row sums to one."""
    scale = old / new
    width = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / width
    weights = np.maximum(1 - distance, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def grey(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return (rows, columns) float64 of a film that may have a colour channel last.

    Raises:
        InputError: The values are not finite or not of a film's shape.
    """
    film = np.asarray(values, dtype=np.float64)
    if film.ndim == 3:
        film = film[..., :3].mean(axis=-1)
    if film.ndim != 2 or not film.size or not np.isfinite(film).all():
        raise InputError(
            f"values of shape {np.shape(values)}",
            "a film: a finite (rows, columns) array, colour last or none",
        )
    return film


def small_film(values: NDArray[np.generic], size: int) -> NDArray[np.float32]:
    """Return the centred square of a film at ``size`` x ``size``, its values running from 0 to 1.

    White is dense, as in `coread.core.Image`. A film without contrast becomes all zeros.

    Raises:
        InputError: As `grey`.
    """
    film = grey(values)
    square = centre_square(film.shape)
    part = film[square.row : square.row + square.side, square.column : square.column + square.side]
    small = shrink(part, size)
    low, high = float(small.min()), float(small.max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):
        return np.zeros((size, size), dtype=np.float32)
    return ((small - low) / (high - low)).astype(np.float32)


def is_frontal_chest_film(image: Image) -> bool:
    """Return whether tags let an image be a frontal chest film; a body part or view left out may be one."""
    made, view = image.acquisition, image.plane.view
    return (
        made.modality in MODALITIES
        and (made.body_part is None or made.body_part.upper() in BODY_PARTS)
        and not (view is not None and "lateral" in view.meaning.lower())
    )
