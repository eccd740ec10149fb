"""Convolution along the axes of a box, and its pooling over right-angle rotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import Literal

import numpy as np

from coread.errors import InputError
from coread.quant.radiomics import _filter_kernels as kernels
from coread.quant.radiomics._typing import Floats

Boundary = Literal["zero", "nearest", "periodic", "mirror"]
Pooling = Literal["max", "min", "average"]
PAD: dict[str, Literal["constant", "edge", "wrap", "symmetric"]] = {
    "zero": "constant",
    "nearest": "edge",
    "periodic": "wrap",
    "mirror": "symmetric",
}


@dataclass(frozen=True)
class Taps:
    """A one-dimensional kernel and the tap that lies on the voxel itself."""

    values: tuple[float, ...]
    centre: int

    @classmethod
    def plain(cls, values: Floats) -> Taps:
        return cls(tuple(float(v) for v in values), len(values) // 2)

    @property
    def flipped(self) -> Taps:
        """The mirrored kernel; one of even length moves by a voxel as well."""
        return Taps(self.values[::-1], len(self.values) - 1 - self.centre)


def convolve(image: Floats, taps: Taps, axis: int, boundary: Boundary) -> Floats:
    """Return the convolution of a box along one axis."""
    width = [(0, 0)] * 3
    width[axis] = (len(taps.values) - 1 - taps.centre, taps.centre)
    if boundary == "periodic" and max(width[axis]) > image.shape[axis]:
        raise InputError("a periodic filter is wider than the image; choose another boundary")
    padded = np.pad(image, width, mode=PAD[boundary])
    weights = np.array(taps.values[::-1])
    if axis == 2:
        lines = kernels.correlate_last(padded.reshape(-1, padded.shape[2]), weights)
        return lines.reshape(image.shape)
    inner = image.shape[2] if axis == 1 else image.shape[1] * image.shape[2]
    shaped = padded.reshape(-1, padded.shape[axis], inner)
    return kernels.correlate_middle(shaped, weights).reshape(image.shape)


Chain = tuple[Taps, ...]  # kernels applied one after the other along an axis


def rotations(dimensions: int) -> Iterator[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """Yield the proper right-angle rotations: where each axis comes from, whether it is mirrored."""
    for order in permutations(range(dimensions)):
        inversions = sum(a > b for n, a in enumerate(order) for b in order[n + 1 :])
        for flips in product((False, True), repeat=dimensions):
            if (inversions + sum(flips)) % 2 == 0:
                yield order, flips


def separable(
    image: Floats,
    chains: tuple[Chain, ...],
    boundary: Boundary,
    pooling: Pooling | None,
) -> Floats:
    """Return the response of a separable filter, pooled over rotations where asked.

    ``chains`` run x, y and, in space, z: columns, rows, slices.
    """
    dimensions = len(chains)
    if pooling is None:
        variants = Counter([chains])
    else:
        variants = Counter(
            tuple(
                tuple(taps.flipped if flip else taps for taps in chains[source])
                for source, flip in zip(order, flips, strict=True)
            )
            for order, flips in rotations(dimensions)
        )
    pooled: Floats | None = None

    def visit(done: Floats, prefix: tuple[Chain, ...]) -> None:
        nonlocal pooled
        if len(prefix) == dimensions:
            if pooling == "average":
                share = done * (variants[prefix] / variants.total())
                pooled = share if pooled is None else pooled + share
            elif pooled is None:
                pooled = done
            else:
                pooled = (np.minimum if pooling == "min" else np.maximum)(pooled, done)
            return
        depth = len(prefix)
        axis = 2 - depth
        for chain in dict.fromkeys(v[depth] for v in variants if v[:depth] == prefix):
            result = done
            for taps in chain:
                result = convolve(result, taps, axis, boundary)
            visit(result, (*prefix, chain))

    visit(image, ())
    assert pooled is not None  # there is always one variant
    return pooled


def box_mean(image: Floats, size: int, boundary: Boundary, dimensions: int) -> Floats:
    taps = Taps.plain(np.full(size, 1 / size))
    for axis in range(3 - dimensions, 3):
        image = convolve(image, taps, axis, boundary)
    return image
