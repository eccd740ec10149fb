"""Image filters of IBSI 2: mean, Laplacian of Gaussian, Laws, Gabor, wavelets; Riesz as an extra.

A filter takes an image box (slice, row, column) and its spacing and gives the response on the same
box. Filters with a finite `margin` may be given a crop: beyond the image's edge they continue it by
their boundary rule; a crop that reaches ``margin`` voxels beyond a region is as good as the image.
The others (``margin`` None) span the image and need all of it.

References:
    IBSI 2, Whybra et al. 2024, doi:10.1148/radiol.231319; arXiv 2006.05470.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy import fft

from coread.errors import InputError
from coread.quant.radiomics._convolution import (
    PAD,
    Boundary,
    Pooling,
    Taps,
    box_mean,
    convolve,
    separable,
)
from coread.quant.radiomics._typing import Floats, Ints
from coread.quant.radiomics.spectral import NonseparableWavelet, Riesz


@runtime_checkable
class Filter(Protocol):
    """An image filter; settings hold them, `FILTERS` names them."""

    @property
    def standardised(self) -> bool:
        """Whether IBSI 2 standardised it."""
        ...

    @property
    def code(self) -> str:
        """Short name for columns, unique among settings."""
        ...

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """Return how many voxels it reaches along each axis, or None for the whole image."""
        ...

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Return the response map, same shape."""
        ...


def _reach(size: int, dimensions: int) -> Ints:
    return np.array([0 if dimensions == 2 else size, size, size], dtype=np.int64)


def _number(value: float) -> str:
    return f"{value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Mean over a cube or square of ``support`` voxels (odd)."""

    support: int = 5
    boundary: Boundary = "mirror"
    planar: bool = False
    standardised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.support < 1 or self.support % 2 == 0:
            raise InputError(f"a mean filter's support is odd, got {self.support}")

    @property
    def code(self) -> str:
        """Short name."""
        return f"mean_{self.support}" + ("_2d" if self.planar else "")

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """Voxels reached along each axis."""
        if self.boundary == "periodic":
            return None
        return _reach(self.support // 2, 2 if self.planar else 3)

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response map."""
        return box_mean(image, self.support, self.boundary, 2 if self.planar else 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaplacianOfGaussian:
    """Laplacian of Gaussian of scale ``sigma_mm``, cut at ``truncate`` sigma.

    Attributes:
        sigma_mm: Scale.
        truncate: Kernel radius in sigma.
        boundary: How the image goes on beyond its edge.
        planar: Slice by slice.
        scaled: Multiply by sigma squared, as PyRadiomics (ITK) does; not standardised.

    IBSI 2 defines it on cubic voxels; on others, resample first. Where a sigma is less than a voxel, the
    sampled kernel no longer sums to zero.
    """

    sigma_mm: float = 1.0
    truncate: float = 4.0
    boundary: Boundary = "mirror"
    planar: bool = False
    scaled: bool = False

    def __post_init__(self) -> None:
        if not (self.sigma_mm > 0 and self.truncate > 0):
            raise InputError(f"sigma and truncation are positive, got {self.sigma_mm} mm")

    @property
    def standardised(self) -> bool:
        """Whether IBSI 2 standardised it."""
        return not self.scaled

    @property
    def code(self) -> str:
        """Short name."""
        scaled = "_scaled" if self.scaled else ""
        return f"log_{_number(self.sigma_mm)}mm{scaled}" + ("_2d" if self.planar else "")

    def _radius(self, spacing_mm: Floats) -> Ints:
        radius = np.floor(self.truncate * self.sigma_mm / spacing_mm + 0.5).astype(np.int64)
        if self.planar:
            radius[0] = 0
        return radius

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """Voxels reached along each axis."""
        return None if self.boundary == "periodic" else self._radius(spacing_mm)

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response map: a sum of products of one-dimensional kernels, one term an axis."""
        axes = (1, 2) if self.planar else (0, 1, 2)
        radius = self._radius(spacing_mm)
        # Second derivatives in millimetres, in units of the mean voxel: on a cube that of IBSI 2.
        mean_spacing = float(np.prod(spacing_mm[list(axes)]) ** (1 / len(axes)))
        scale = (self.sigma_mm / mean_spacing) ** 2
        gauss: dict[int, Taps] = {}
        second: dict[int, Taps] = {}
        for axis in axes:
            s = self.sigma_mm / spacing_mm[axis]
            x = np.arange(-radius[axis], radius[axis] + 1)
            g = np.exp(-(x**2) / (2 * s**2)) / (np.sqrt(2 * np.pi) * s)
            gauss[axis] = Taps.plain(g)
            second[axis] = Taps.plain((x**2 / s**2 - 1) / scale * g)
        # The Gaussian passes of later axes are shared: ((a'' b + a b'') c + a b c'').
        last = axes[-1]
        curved = convolve(image, second[axes[0]], axes[0], self.boundary)
        smooth = convolve(image, gauss[axes[0]], axes[0], self.boundary)
        for axis in axes[1:]:
            curved = convolve(curved, gauss[axis], axis, self.boundary)
            curved += convolve(smooth, second[axis], axis, self.boundary)
            if axis != last:
                smooth = convolve(smooth, gauss[axis], axis, self.boundary)
        if self.scaled:
            curved *= scale
        return curved


_LAWS = {
    "L5": (1, 4, 6, 4, 1),
    "E5": (-1, -2, 0, 2, 1),
    "S5": (-1, 0, 2, 0, -1),
    "W5": (-1, 2, 0, -2, 1),
    "R5": (1, -4, 6, -4, 1),
    "L3": (1, 2, 1),
    "E3": (-1, 0, 1),
    "S3": (-1, 2, -1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """Laws kernels along x, y and, in space, z; two names mean slice by slice.

    Attributes:
        kernels: Such as ``("E5", "L5", "S5")``, each normalised to length 1.
        pooling: Over right-angle rotations; None for the kernel as it is.
        energy_delta: Chebyshev radius of the energy map; None for the response itself.
        boundary: How the image goes on beyond its edge.
    """

    kernels: tuple[str, ...] = ("L5", "E5", "E5")
    pooling: Pooling | None = "max"
    energy_delta: int | None = 7
    boundary: Boundary = "mirror"
    standardised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.kernels) not in (2, 3) or not set(self.kernels) <= set(_LAWS):
            raise InputError(f"two or three of {', '.join(_LAWS)}; got {self.kernels}")

    @property
    def code(self) -> str:
        """Short name."""
        energy = "" if self.energy_delta is None else f"_energy{self.energy_delta}"
        return "laws_" + "".join(self.kernels) + (f"_{self.pooling}" if self.pooling else "") + energy

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """Voxels reached along each axis."""
        if self.boundary == "periodic":
            return None
        return _reach(2 + (self.energy_delta or 0), len(self.kernels))

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response or energy map."""
        chains = []
        for name in self.kernels:
            taps = np.array(_LAWS[name], dtype=np.float64)
            chains.append((Taps.plain(taps / np.linalg.norm(taps)),))
        response = separable(image, tuple(chains), self.boundary, self.pooling)
        if self.energy_delta is None:
            return response
        size = 2 * self.energy_delta + 1
        return box_mean(np.abs(response), size, self.boundary, len(self.kernels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gabor:
    """Modulus of a 2D Gabor filter, slice by slice or over the three orthogonal planes.

    Attributes:
        sigma_mm: Scale of the envelope.
        wavelength_mm: Of the oscillation.
        gamma: Ratio of the envelope's widths.
        theta: Angle in radians, clockwise as displayed; with a step, the first one.
        theta_step: Pool over all angles of this step; None for one angle.
        pooling: Over angles and planes.
        planes: Filter coronal and sagittal planes as well.
        boundary: How the image goes on beyond its edge.
    """

    sigma_mm: float = 5.0
    wavelength_mm: float = 2.0
    gamma: float = 1.5
    theta: float = 0.0
    theta_step: float | None = math.pi / 8
    pooling: Pooling = "average"
    planes: bool = False
    boundary: Boundary = "mirror"
    standardised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (self.sigma_mm > 0 and self.wavelength_mm > 0 and self.gamma > 0):
            raise InputError("sigma, wavelength and gamma of a Gabor filter are positive")
        if self.theta_step is not None and not 0 < self.theta_step <= math.pi:
            raise InputError(f"a step of angle lies in (0, pi], got {self.theta_step}")

    @property
    def code(self) -> str:
        """Short name."""
        angle = (
            f"theta{_number(math.degrees(self.theta))}"
            if self.theta_step is None
            else f"{self.pooling}{_number(math.degrees(self.theta_step))}"
        )
        return (
            f"gabor_{_number(self.sigma_mm)}_{_number(self.wavelength_mm)}_{_number(self.gamma)}"
            f"_{angle}" + ("_planes" if self.planes else "")
        )

    def _radius(self, spacing_mm: Floats) -> Ints:
        # Seven sigma: the envelope has fallen to 2e-11.
        widest = 7 * self.sigma_mm * max(1.0, 1 / self.gamma)
        return np.ceil(widest / spacing_mm).astype(np.int64)

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """Voxels reached along each axis."""
        if self.boundary == "periodic":
            return None
        radius = self._radius(spacing_mm)
        if not self.planes:
            radius[0] = 0
        return radius

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response map."""
        count = 1 if self.theta_step is None else round(math.pi / self.theta_step)
        angles = [self.theta + n * (self.theta_step or 0.0) for n in range(count)]
        planes = ((1, 2), (0, 2), (0, 1)) if self.planes else ((1, 2),)
        pooled: Floats | None = None
        for rows, columns in planes:
            across = ({0, 1, 2} - {rows, columns}).pop()
            stack = np.moveaxis(image, across, 0)
            response = self._plane_response(
                stack, (float(spacing_mm[rows]), float(spacing_mm[columns])), angles
            )
            response = np.moveaxis(response, 0, across)
            if pooled is None:
                pooled = response
            elif self.pooling == "average":
                pooled = pooled + response
            else:
                pooled = (np.minimum if self.pooling == "min" else np.maximum)(pooled, response)
        assert pooled is not None  # there is always the axial plane
        return np.ascontiguousarray(pooled / len(planes) if self.pooling == "average" else pooled)

    def _plane_response(self, stack: Floats, spacing: tuple[float, float], angles: list[float]) -> Floats:
        radius = self._radius(np.array(spacing))
        if self.boundary == "periodic":
            radius = np.minimum(radius, np.array(stack.shape[1:]) // 2)
        r, c = (int(v) for v in radius)
        shape = [fft.next_fast_len(n + 2 * k) for n, k in zip(stack.shape[1:], (r, c), strict=True)]
        y = np.arange(-r, r + 1)[:, None] * spacing[0]
        x = np.arange(-c, c + 1)[None, :] * spacing[1]
        spectra = []
        for theta in angles:
            along = x * math.cos(theta) + y * math.sin(theta)
            across = -x * math.sin(theta) + y * math.cos(theta)
            envelope = np.exp(-(along**2 + self.gamma**2 * across**2) / (2 * self.sigma_mm**2))
            spectra.append(fft.fft2(envelope * np.exp(2j * np.pi * along / self.wavelength_mm), shape))
        result = np.empty(stack.shape)
        for n, plane in enumerate(stack):
            padded = np.pad(plane, ((r, r), (c, c)), mode=PAD[self.boundary])
            spectrum = fft.fft2(padded, shape)
            pooled: Floats | None = None
            for kernel_spectrum in spectra:
                full = fft.ifft2(spectrum * kernel_spectrum, overwrite_x=True)
                modulus = np.abs(full[2 * r : 2 * r + plane.shape[0], 2 * c : 2 * c + plane.shape[1]])
                if pooled is None:
                    pooled = modulus
                elif self.pooling == "average":
                    pooled = pooled + modulus
                else:
                    pooled = (np.minimum if self.pooling == "min" else np.maximum)(pooled, modulus)
            assert pooled is not None  # there is always one angle
            result[n] = pooled / len(spectra) if self.pooling == "average" else pooled
        return result


@cache
def _low_pass(name: str) -> tuple[float, ...]:
    text = (files("coread.quant.radiomics") / "data" / "wavelets.json").read_text("utf-8")
    table: dict[str, list[float]] = json.loads(text)
    name = "haar" if name == "db1" else name
    if name not in table:
        raise InputError(f"no wavelet {name!r}; there are {', '.join(table)}")
    return tuple(table[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparableWavelet:
    """An undecimated separable wavelet band.

    Attributes:
        wavelet: ``haar``, ``db2`` to ``db12``, ``coif1`` to ``coif5``.
        bands: ``L`` or ``H`` along x, y and, in space, z; two letters mean slice by slice.
        level: Decomposition level.
        pooling: Over right-angle rotations; None for the band as it is.
        boundary: How the image goes on beyond its edge.
    """

    wavelet: str = "coif1"
    bands: str = "LLH"
    level: int = 1
    pooling: Pooling | None = None
    boundary: Boundary = "mirror"
    standardised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _low_pass(self.wavelet)
        if len(self.bands) not in (2, 3) or not set(self.bands) <= {"L", "H"}:
            raise InputError(f"bands are two or three letters L and H, got {self.bands!r}")
        if self.level < 1:
            raise InputError(f"levels start at 1, got {self.level}")

    @property
    def code(self) -> str:
        """Short name."""
        pooled = f"_{self.pooling}" if self.pooling else ""
        return f"wavelet_{self.wavelet}_{self.bands}_{self.level}{pooled}"

    def margin(self, spacing_mm: Floats) -> Ints | None:
        """Voxels reached along each axis."""
        if self.boundary == "periodic":
            return None
        reach = sum(len(_low_pass(self.wavelet)) * 2**n for n in range(self.level))
        return _reach(reach, len(self.bands))

    def response(self, image: Floats, spacing_mm: Floats) -> Floats:
        """Response map."""
        low = np.array(_low_pass(self.wavelet))
        high = low[::-1] * np.where(np.arange(low.size) % 2 == 0, -1.0, 1.0)

        def dilated(taps: Floats, level: int) -> Taps:
            step = 2 ** (level - 1)
            spread = np.zeros(taps.size * step)
            spread[::step] = taps
            return Taps.plain(spread)

        coarse = [dilated(low, level) for level in range(1, self.level)]
        chains = tuple((*coarse, dilated(low if band == "L" else high, self.level)) for band in self.bands)
        return separable(image, chains, self.boundary, self.pooling)


FILTERS: dict[str, type] = {
    "mean": Mean,
    "laplacian_of_gaussian": LaplacianOfGaussian,
    "laws": Laws,
    "gabor": Gabor,
    "separable_wavelet": SeparableWavelet,
    "nonseparable_wavelet": NonseparableWavelet,
    "riesz": Riesz,
}
