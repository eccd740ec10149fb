"""Intensities of a region: statistics, histogram, volume histogram, peaks (IBSI UHIW to 9ST6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coread.quant.radiomics import _shape_kernels as kernels
from coread.quant.radiomics._typing import Bools, Floats, Ints

STATISTICS = (
    "mean", "var", "skew", "kurt", "median", "min", "p10", "p90", "max", "iqr", "range", "mad",
    "rmad", "medad", "cov", "qcod", "energy", "rms",
)  # fmt: skip


def intensity_statistics(values: Floats) -> dict[str, float]:
    """Return the 18 intensity-based statistics by tag (IBSI UHIW); NaN where undefined.

    Args:
        values: Intensities of the region's voxels (n,), n >= 1.
    """
    n = values.size
    mean = float(values.sum() / n)
    p10, p25, median, p75, p90 = (float(value) for value in np.percentile(values, (10, 25, 50, 75, 90)))
    m2, m3, m4, absolute, around_median, square = (
        float(value) / n for value in kernels.central_sums(values, mean, median)
    )
    middle = values[(values >= p10) & (values <= p90)]
    robust = float(np.abs(middle - middle.mean()).mean()) if middle.size else np.nan
    low, high = float(values.min()), float(values.max())
    if low == high:  # rounding of the mean must not make a flat region vary
        mean, m2, m3, m4, absolute = low, 0.0, 0.0, 0.0, 0.0
    result = {
        "mean": mean,
        "var": m2,
        "skew": m3 / m2**1.5 if m2 > 0 else 0.0,
        "kurt": m4 / m2**2 - 3 if m2 > 0 else 0.0,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": absolute,
        "rmad": robust if m2 > 0 else 0.0,
        "medad": around_median,
        "cov": float(np.sqrt(m2)) / mean if mean != 0 else np.nan,
        "qcod": (p75 - p25) / (p75 + p25) if p75 + p25 != 0 else np.nan,
        "energy": square * n,
        "rms": float(np.sqrt(square)),
    }
    return {f"stat_{tag}": result[tag] for tag in STATISTICS}


def _ranked(cumulative: Ints, quantile: float) -> float:
    """Return a quantile of levels 1, 2, … from cumulative counts, linear between ranks."""
    position = quantile * (int(cumulative[-1]) - 1)
    below = int(np.floor(position))
    low, high = np.searchsorted(cumulative, [below, min(below + 1, cumulative[-1] - 1)], "right")
    return float(low + 1 + (high - low) * (position - below))


def histogram_features(counts: Ints) -> dict[str, float]:
    """Return the 23 intensity histogram features by tag (IBSI ZVCW).

    Args:
        counts: Voxels of each level, level 1 first, absent levels included (N_g,).
    """
    levels = np.arange(1, counts.size + 1, dtype=np.float64)
    n = int(counts.sum())
    share = counts / n
    cumulative = np.cumsum(counts)
    mean = float(levels @ share)
    deviation = levels - mean
    variance = float(deviation**2 @ share)
    p10, p25, median, p75, p90 = (_ranked(cumulative, q) for q in (0.1, 0.25, 0.5, 0.75, 0.9))
    middle = np.where((levels >= p10) & (levels <= p90), counts, 0)
    kept = int(middle.sum())
    robust = np.nan  # of two voxels none may lie between the percentiles
    if kept:
        robust = float(np.abs(levels - float(levels @ middle) / kept) @ middle) / kept
    present = np.flatnonzero(counts)
    modes = levels[counts == counts.max()]
    gradient = np.gradient(counts.astype(np.float64)) if counts.size > 1 else np.zeros(1)
    p = share[present]
    low, high = float(levels[present[0]]), float(levels[present[-1]])
    return {
        "ih_mean": mean,
        "ih_var": variance,
        "ih_skew": float(deviation**3 @ share) / variance**1.5 if variance > 0 else 0.0,
        "ih_kurt": float(deviation**4 @ share) / variance**2 - 3 if variance > 0 else 0.0,
        "ih_median": median,
        "ih_min": low,
        "ih_p10": p10,
        "ih_p90": p90,
        "ih_max": high,
        "ih_mode": float(modes[np.argmin(np.abs(modes - mean))]),
        "ih_iqr": p75 - p25,
        "ih_range": high - low,
        "ih_mad": float(np.abs(deviation) @ share),
        "ih_rmad": robust,
        "ih_medad": float(np.abs(levels - median) @ share),
        "ih_cov": float(np.sqrt(variance)) / mean,
        "ih_qcod": (p75 - p25) / (p75 + p25),
        "ih_entropy": float(-(p @ np.log2(p))) + 0.0,
        "ih_uniformity": float(p @ p),
        "ih_max_grad": float(gradient.max()),
        "ih_max_grad_gl": float(levels[np.argmax(gradient)]),
        "ih_min_grad": float(gradient.min()),
        "ih_min_grad_gl": float(levels[np.argmin(gradient)]),
    }


@dataclass(frozen=True, slots=True)
class VolumeHistogramGrid:
    """The intensities at which an intensity-volume histogram is read.

    Attributes:
        first: Intensity (or bin) of the first level.
        step: Distance between levels.
        counts: Voxels in each level.
    """

    first: float
    step: float
    counts: Ints


def volume_histogram_features(grid: VolumeHistogramGrid) -> dict[str, float]:
    """Return the 6 intensity-volume histogram features with values by tag (IBSI P88C).

    An intensity at a volume fraction that no level reaches is one step beyond the last level,
    where no volume is left.
    """
    counts = grid.counts
    levels = grid.first + grid.step * np.arange(counts.size + 1)
    volume = np.r_[np.cumsum(counts[::-1])[::-1], 0] / counts.sum()
    span = levels[-2] - levels[0]
    fraction = (levels - levels[0]) / span if span > 0 else np.r_[0.0, 1.0]

    def volume_at(intensity_fraction: float) -> float:
        reached = np.flatnonzero(fraction >= intensity_fraction - 1e-12)
        return float(volume[reached[0]])

    def intensity_at(volume_fraction: float) -> float:
        return float(levels[np.flatnonzero(volume <= volume_fraction)[0]])

    v10, v90, i10, i90 = volume_at(0.1), volume_at(0.9), intensity_at(0.1), intensity_at(0.9)
    return {
        "ivh_v10": v10,
        "ivh_v90": v90,
        "ivh_i10": i10,
        "ivh_i90": i90,
        "ivh_v10minusv90": v10 - v90,
        "ivh_i10minusi90": i10 - i90,
    }


PEAK_RADIUS_MM = 10 * (3 / (4 * np.pi)) ** (1 / 3)


def peak_margin(spacing_mm: Floats) -> Ints:
    """Return how many voxels the 1 cm3 sphere reaches along each axis (3,)."""
    reach: Ints = np.floor(PEAK_RADIUS_MM / spacing_mm + 1e-9).astype(np.int64)
    return reach


def local_peaks(image: Floats, mask: Bools, spacing_mm: Floats) -> dict[str, float]:
    """Return the local and the global intensity peak (IBSI 9ST6).

    Args:
        image: Intensities of the mask's box with `peak_margin` voxels more on every side; NaN
            where that reaches beyond the image.
        mask: Re-segmented region (without the margin).
        spacing_mm: Voxel spacing per axis.
    """
    margin = peak_margin(spacing_mm)
    rows = []
    for dk in range(-margin[0], margin[0] + 1):
        for dj in range(-margin[1], margin[1] + 1):
            rest = PEAK_RADIUS_MM**2 - (dk * spacing_mm[0]) ** 2 - (dj * spacing_mm[1]) ** 2
            if rest >= 0:
                rows.append((dk, dj, int(np.sqrt(rest) / spacing_mm[2] + 1e-9)))
    table = np.array(rows, dtype=np.int64)
    beyond = np.isnan(image)
    if beyond.any():
        number = kernels.sphere_sums((~beyond).astype(np.float64), mask, table, margin)[mask]
        image = np.where(beyond, 0.0, image)
    else:
        number = np.full(1, 1.0 + 2.0 * table[:, 2].sum() + (len(table) - 1))
    means = kernels.sphere_sums(image, mask, table, margin)[mask] / number
    inner = image[tuple(slice(m, m + size) for m, size in zip(margin, mask.shape, strict=True))]
    values = inner[mask]
    return {
        "loc_peak_local": float(means[values == values.max()].max()),
        "loc_peak_global": float(means.max()),
    }
