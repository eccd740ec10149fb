"""Filters given by a transfer function: isotropic wavelets of IBSI 2, and Riesz as an extra.

They are periodic by nature and span the image: what they answer depends on how far it extends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy import fft

from coread.errors import InputError
from coread.quant.radiomics._typing import Floats, Ints


def _centred_frequencies(size: int) -> Floats:
    """Return frequencies in the order of the transform; 1 is the Nyquist frequency."""
    return fft.ifftshift(np.linspace(-1, 1, size)) if size > 1 else np.zeros(1)


def _spectral(image: Floats, transfer: Floats, axes: tuple[int, ...]) -> Floats:
    """Return the real part of the image filtered by a real transfer function."""
    spectrum = fft.fftn(image, axes=axes)
    spectrum *= transfer
    return np.ascontiguousarray(fft.ifftn(spectrum, axes=axes, overwrite_x=True).real)


def _radius_of(shape: tuple[int, ...], axes: tuple[int, ...]) -> Floats:
    square = np.zeros((1, 1, 1))
    for axis in axes:
        place = [1, 1, 1]
        place[axis] = shape[axis]
        square = square + _centred_frequencies(shape[axis]).reshape(place) ** 2
    return np.asarray(np.sqrt(square))


@dataclass(frozen=True, slots=True, kw_only=True)
class NonseparableWavelet:
    """The band-pass map of an isotropic wavelet, periodic by nature and as wide as the image.

    Attributes:
        wavelet: ``simoncelli`` or ``shannon``.
        level: Decomposition level.
        planar: Slice by slice.
    """

    wavelet: Literal["simoncelli", "shannon"] = "simoncelli"
    level: int = 1
    planar: bool = False
    standardised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.wavelet not in ("simoncelli", "shannon") or self.level < 1:
            raise InputError(f"simoncelli or shannon and a level from 1, got {self.wavelet!r}, {self.level}")

    @property
    def code(self) -> str:
        """Short name."""
        return f"{self.wavelet}_{self.level}" + ("_2d" if self.planar else "")

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """None: it spans the image."""
        return None

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response map."""
        axes = (1, 2) if self.planar else (0, 1, 2)
        radius = _radius_of(image.shape, axes)
        return _spectral(image, _band(self.wavelet, radius, self.level), axes)


def _band(wavelet: str, radius: Floats, level: int) -> Floats:
    top = 1 / 2 ** (level - 1)
    if wavelet == "shannon":
        return np.asarray((radius > top / 2) & (radius <= top), dtype=np.float64)
    inside = (radius >= top / 4) & (radius <= top)
    safe = np.where(inside, radius, top / 2)
    return np.where(inside, np.cos(np.pi / 2 * np.log2(2 * safe / top)), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Riesz:
    """Riesz transform of a Simoncelli band; not standardised by IBSI 2.

    Attributes:
        order: Order along x, y, z.
        level: Simoncelli level that it is applied to.
    """

    order: tuple[int, int, int] = (1, 0, 0)
    level: int = 1
    standardised: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.order) != 3 or min(self.order) < 0 or sum(self.order) < 1 or self.level < 1:
            raise InputError(f"three orders from 0, not all 0, got {self.order}")

    @property
    def code(self) -> str:
        """Short name."""
        return f"riesz_{''.join(str(n) for n in self.order)}_{self.level}"

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """None: it spans the image."""
        return None

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response map."""
        total = sum(self.order)
        weight = math.sqrt(math.factorial(total) / math.prod(math.factorial(n) for n in self.order))
        transfer = np.full((1, 1, 1), weight * (-1j) ** total)
        square = np.zeros((1, 1, 1))
        for axis, power in zip((2, 1, 0), self.order, strict=True):
            size = image.shape[axis]
            frequency = fft.fftfreq(size) * 2
            if size % 2 == 0 and power % 2:
                frequency[size // 2] = 0.0  # an odd transfer has no real value at Nyquist
            place = [1, 1, 1]
            place[axis] = size
            transfer = transfer * frequency.reshape(place) ** power
            square = square + (fft.fftfreq(size) * 2).reshape(place) ** 2
        norm = np.where(square > 0, square, 1.0) ** (total / 2)
        band = _band("simoncelli", np.sqrt(square), self.level)
        spectrum = fft.fftn(image) * (transfer / norm * band)
        return np.ascontiguousarray(fft.ifftn(spectrum).real)
