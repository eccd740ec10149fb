"""Where a network looked: exact class-activation maps from exported features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def class_activation(features: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the contribution of every cell to a logit.

    For a network that ends in global average pooling and one linear layer the mean over the cells plus
    the layer's bias is the logit itself: the map is exact, not an approximation.

    Args:
        features: (channels, rows, columns) last feature maps.
        weights: (channels,) weights of the linear layer for the class.

    Returns:
        (rows, columns) float32, in units of the logit.

    References:
        Zhou et al., Learning deep features for discriminative localization, CVPR 2016.

    Examples:
        >>> class_activation(np.ones((2, 1, 2), np.float32), np.array([3.0, -1.0], np.float32)).tolist()
        [[2.0, 2.0]]
    """
    return np.tensordot(weights, features, axes=(0, 0)).astype(np.float32)


def cells_on_square(cells: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return a map of cells drawn on a square of pixels.

    Each cell stands for an equal block of the square; between the centres of the blocks the map is
    bilinear, outside the outermost centres it is constant.

    Args:
        cells: (rows, columns) values.
        size: Side of the square in pixels, at least 1.

    Returns:
        (size, size) float32.
    """
    rows = _linear_weights(cells.shape[0], size)
    columns = _linear_weights(cells.shape[1], size)
    return np.asarray(rows @ cells.astype(np.float64) @ columns.T, dtype=np.float32)


def _linear_weights(cells: int, size: int) -> NDArray[np.float64]:
    """(size, cells) weights that interpolate between the centres of equal blocks."""
    place = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    low = np.minimum(place.astype(int), max(cells - 2, 0))
    share = place - low
    weights = np.zeros((size, cells))
    weights[np.arange(size), low] = 1 - share
    if cells > 1:
        weights[np.arange(size), low + 1] = share
    return weights
