"""A simulated CT scanner: line integrals, photon noise and filtered back-projection.

One parallel beam per slice of one energy, so that 1000 (mu - mu_water) / mu_water holds exactly: water is
0 HU and air -1000 HU. Scatter, beam hardening and detector faults are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from coread.errors import InputError
from coread.testing import _kernels

Floats = NDArray[np.float32]

WATER_PER_MM = 0.0195  # linear attenuation at about 68 keV, NIST XCOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """How the simulated CT is taken.

    Attributes:
        views: Angles over half a turn.
        photons: Per detector element and view before the patient.
        cutoff: Of the Hann window on the ramp filter, 1 for the Nyquist frequency; less is smoother.
    """

    views: int = 400
    photons: float = 2.0e5
    cutoff: float = 0.9

    def __post_init__(self) -> None:
        if self.views < 16 or self.photons <= 0.0 or not 0.1 <= self.cutoff <= 1.0:
            raise InputError(f"{self} is no scanner: 16 views or more, photons, cutoff 0.1 to 1")


def simulate_ct(
    hu: Floats,
    *,
    pixel_mm: float,
    rng: np.random.Generator,
    scanner: Scanner | None = None,
    jobs: int = 1,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.int16]:
    """Return the CT of a body, reconstructed on the grid of the body itself.

    Args:
        hu: (slices, n, n) the body, air outside the inscribed circle of each slice.
        pixel_mm: Side of a pixel.
        rng: Of the photon noise; every slice takes a generator of its own, whatever `jobs` is.
        scanner: Views, photons and filter.
        jobs: Threads.
        progress: Called with the done part, 0 to 1.

    Returns:
        (slices, n, n) HU, clipped to -1024..3071.

    Raises:
        InputError: Slices are not square, or the body reaches out of the circle.

    References:
        Joseph PM 1982 (projection); Kak AC, Slaney M. Principles of computerized tomographic imaging,
        1988, chapter 3 (discrete ramp filter).
    """
    scanner = scanner or Scanner()
    if hu.ndim != 3 or hu.shape[1] != hu.shape[2]:
        raise InputError(f"slices have shape {hu.shape[1:]}; give square ones")
    n = hu.shape[1]
    detectors = n + 8
    angles = np.pi * (np.arange(scanner.views) + 0.5) / scanner.views
    cosines, sines = np.cos(angles), np.sin(angles)
    ramp, length = _ramp(detectors, scanner.cutoff)
    across = np.arange(n) - (n - 1) / 2.0
    outside = across[:, None] ** 2 + across**2 > (n / 2.0) ** 2
    if hu[:, outside].max() > -500.0:
        raise InputError("the body reaches out of the field of view; take larger pixels")
    generators = rng.spawn(len(hu))
    image = np.full(hu.shape, -1024, dtype=np.int16)
    batch = min(32, -(-len(hu) // jobs))
    starts = range(0, len(hu), batch)

    def scan(k0: int) -> None:
        slices = hu[k0 : k0 + batch]
        mu = np.zeros((n, n, len(slices)), dtype=np.float32)
        for b, body in enumerate(slices):
            mu[:, :, b] = np.maximum(body / 1000.0 + 1.0, 0.0) * (WATER_PER_MM * pixel_mm)
        mu[outside] = 0.0
        sinogram = np.empty((scanner.views, detectors, len(slices)), dtype=np.float32)
        transposed = np.ascontiguousarray(mu.transpose(1, 0, 2))
        _kernels.project_slices(mu, transposed, cosines, sines, sinogram)
        for b in range(len(slices)):
            expected = scanner.photons * np.exp(-sinogram[:, :, b].astype(np.float64))
            counts = generators[k0 + b].poisson(expected)
            line = -np.log(np.maximum(counts, 1) / scanner.photons).astype(np.float32)
            spectrum = fft.rfft(line, length, axis=1) * ramp
            sinogram[:, :, b] = fft.irfft(spectrum, length, axis=1)[:, :detectors]
        _kernels.backproject_slices(sinogram, cosines, sines, mu)
        for b in range(len(slices)):
            value = (mu[:, :, b] / np.float32(WATER_PER_MM * pixel_mm) - 1.0) * 1000.0
            value[outside] = -1000.0
            image[k0 + b] = np.clip(np.rint(value), -1024, 3071)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for done, _ in enumerate(pool.map(scan, starts), start=1):
            if progress is not None:
                progress(done / len(starts))
    return image


def _ramp(detectors: int, cutoff: float) -> tuple[Floats, int]:
    """Return the spectrum of the band-limited ramp with a Hann window, and its padded length."""
    length = fft.next_fast_len(2 * detectors, real=True)
    length += length % 2
    place = np.minimum(np.arange(length), length - np.arange(length))
    kernel = np.zeros(length)
    kernel[0] = 0.25
    odd = place % 2 == 1
    kernel[odd] = -1.0 / (np.pi * place[odd]) ** 2
    frequency = np.fft.rfftfreq(length) * 2.0 / cutoff
    window = np.where(frequency < 1.0, 0.5 + 0.5 * np.cos(np.pi * np.minimum(frequency, 1.0)), 0.0)
    return (np.fft.rfft(kernel).real * window).astype(np.float32), length
