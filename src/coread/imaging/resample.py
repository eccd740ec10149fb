"""Coarser and finer grids by whole factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_mean(values: NDArray[Any], factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return the means over blocks of voxels.

    Args:
        values: (slices, rows, columns).
        factors: Voxels of a block along each axis; the edge is repeated where a block is not full.

    Examples:
        >>> block_mean(np.arange(4.0).reshape(1, 2, 2), (1, 2, 2)).tolist()
        [[[1.5]]]
    """
    missing = [(0, -n % f) for n, f in zip(values.shape, factors, strict=True)]
    if any(end for _, end in missing):
        values = np.pad(values, missing, mode="edge")
    out: NDArray[np.float32] | None = None
    for k in range(factors[0]):
        for j in range(factors[1]):
            for i in range(factors[2]):
                part = values[k :: factors[0], j :: factors[1], i :: factors[2]]
                out = part.astype(np.float32) if out is None else np.add(out, part, out=out)
    assert out is not None  # factors are at least 1
    return out / np.float32(np.prod(factors))


def enlarge(values: NDArray[Any], factors: tuple[int, int, int], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Return each voxel repeated, cut to a shape: the inverse of `block_mean` for a region.

    Examples:
        >>> enlarge(np.array([[[7]]]), (1, 2, 2), (1, 2, 1)).tolist()
        [[[7], [7]]]
    """
    for axis, factor in enumerate(factors):
        if factor > 1:
            values = np.repeat(values, factor, axis=axis)
    return values[: shape[0], : shape[1], : shape[2]]
