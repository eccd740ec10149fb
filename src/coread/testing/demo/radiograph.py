"""A simulated digital chest film: a cone of three photon energies, scatter, photon and detector noise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coread.testing import _kernels
from coread.testing.thorax import Thorax, voxelise

# mass attenuation in cm2/g at 50, 60 and 80 keV (NIST XCOM: water; cortical bone, ICRU-44) and the
# share of each in a filtered beam of 125 kV
_WATER = (0.2269, 0.2059, 0.1837)
_BONE = (0.4242, 0.3148, 0.2229)
_SHARE = (0.35, 0.35, 0.30)
_BONE_PER_EXCESS_HU = 0.73e-3  # g/cm3 of bone that raise soft tissue by one HU at the energy of CT


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmSettings:
    """How the simulated chest film is taken (PA, standing).

    Attributes:
        shape: Rows and columns.
        pixel_mm: At the detector.
        source_to_detector_mm: Distance.
        photons: Per pixel without a patient.
        scatter: Scattered photons behind the grid, as a part of the primary ones.
    """

    shape: tuple[int, int] = (2048, 1920)
    pixel_mm: float = 0.2
    source_to_detector_mm: float = 1800.0
    photons: float = 3.0e4
    scatter: float = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A simulated film.

    Attributes:
        values: (rows, columns) uint16 of 12 bits, dense is white.
        magnification: Of the middle of the chest at the detector.
        opacity: (rows, columns) bool: shadow of the ball of the consolidation; all false without one.
    """

    values: NDArray[np.uint16]
    magnification: float
    opacity: NDArray[np.bool_]


def simulate_film(
    thorax: Thorax,
    *,
    rng: np.random.Generator,
    settings: FilmSettings | None = None,
    jobs: int = 1,
) -> Film:
    """Return a PA chest film of a simulated patient.

    Args:
        thorax: The patient; `arms` should be ``down``.
        rng: Of photon and detector noise.
        settings: Detector, distances, dose.
        jobs: Threads.
    """
    settings = settings or FilmSettings()
    step = max(0.7, settings.pixel_mm)
    half = 0.5 * settings.shape[0] * settings.pixel_mm * 0.96
    depth = 3.0
    shape = (int(2 * half / step), int(260 / depth), int(400 / step))
    voxels = voxelise(thorax, shape=shape, spacing_mm=(step, depth, step), oversampling=1, jobs=jobs)
    distance = settings.source_to_detector_mm
    ys = voxels.origin_mm[1] + depth * np.arange(shape[1])
    depths_mm = distance - (ys + 150.0)  # the detector touches the chest in front
    density = 1.0 + np.minimum(voxels.hu, 100.0) / 1000.0
    bone = np.maximum(voxels.hu - 100.0, 0.0) * np.float32(_BONE_PER_EXCESS_HU)

    def integral(values: NDArray[Any]) -> NDArray[np.float32]:
        """Return g/cm2 at half the detector's resolution, which the voxels do not exceed."""
        planes = np.ascontiguousarray(values.transpose(1, 0, 2), dtype=np.float32)
        rows, columns = settings.shape[0] // 2, settings.shape[1] // 2
        us = (np.arange(columns) - (columns - 1) / 2.0) * 2.0 * settings.pixel_mm
        vs = -(np.arange(rows) - (rows - 1) / 2.0) * 2.0 * settings.pixel_mm
        out = np.zeros((rows, columns), dtype=np.float32)
        bands = np.array_split(np.arange(rows), max(jobs, 1))

        def band(part: NDArray[np.intp]) -> None:
            _kernels.cone_beam(
                planes,
                voxels.origin_mm[0],
                voxels.origin_mm[2],
                step,
                depths_mm,
                distance,
                us,
                vs[part],
                out[part[0] : part[-1] + 1],
            )

        with ThreadPoolExecutor(max_workers=jobs) as pool:
            list(pool.map(band, bands))
        return np.asarray(out * np.float32(depth / 10.0))

    soft, hard = integral(density), integral(bone)
    primary = np.zeros_like(soft)
    for water, mineral, share in zip(_WATER, _BONE, _SHARE, strict=True):
        primary += share * np.exp(-(water * soft + mineral * hard))
    wide = ndimage.zoom(ndimage.gaussian_filter(primary[::8, ::8], 10.0), 8, order=1)
    wide = wide[: primary.shape[0], : primary.shape[1]]
    exposed = ndimage.zoom(primary + settings.scatter * wide, 2, order=1)
    exposed = ndimage.gaussian_filter(exposed, 0.6)  # blur of the scintillator
    counts = rng.poisson(settings.photons * exposed) + rng.normal(0.0, 3.0, exposed.shape)
    log = -np.log(np.maximum(counts, 1.0) / settings.photons)
    return Film(
        values=_present(log.astype(np.float32)),
        magnification=distance / (distance - 150.0),
        opacity=_opacity(thorax, settings, distance),
    )


def _present(log: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return 12-bit values for viewing: detail raised a little, a curve with a toe and a shoulder."""
    coarse = ndimage.zoom(ndimage.gaussian_filter(log[::8, ::8], 8.0), 8, order=1)
    detail = log - coarse[: log.shape[0], : log.shape[1]]
    raised = log + 0.6 * detail
    body = raised[coarse[: log.shape[0], : log.shape[1]] > 0.8]
    low, high = np.percentile(body, (1.0, 99.0))
    place = (raised - 0.5 * (low + high)) / (high - low)
    value = 1.0 / (1.0 + np.exp(-4.2 * place))
    return np.asarray(np.rint(np.clip(value, 0.0, 1.0) * 4095.0), dtype=np.uint16)


def _opacity(thorax: Thorax, settings: FilmSettings, distance: float) -> NDArray[np.bool_]:
    """Return the shadow of the consolidation's ball on the detector."""
    rows, columns = settings.shape
    if thorax.consolidation is None:
        return np.zeros(settings.shape, dtype=np.bool_)
    x, y, z = thorax.consolidation.centre_mm
    magnification = distance / (distance - (y + 150.0))
    us = (np.arange(columns) - (columns - 1) / 2.0) * settings.pixel_mm
    vs = -(np.arange(rows) - (rows - 1) / 2.0) * settings.pixel_mm
    r2 = (us - x * magnification) ** 2 + ((vs - z * magnification) ** 2)[:, None]
    shadow: NDArray[np.bool_] = r2 <= (thorax.consolidation.radius_mm * magnification) ** 2
    return shadow
