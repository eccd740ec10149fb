"""Grey levels of a region: for texture, and for the intensity-volume histogram (IBSI 4R0B)."""

from __future__ import annotations

import numpy as np

from coread.errors import InputError
from coread.quant.radiomics import _kernels as kernels
from coread.quant.radiomics._typing import Bools, Floats
from coread.quant.radiomics.intensity import VolumeHistogramGrid
from coread.quant.radiomics.settings import Discretisation
from coread.quant.radiomics.texture import LevelBox

HIGHEST_LEVEL = 65535


def level_box(
    image: Floats,
    intensity_mask: Bools,
    morphological_mask: Bools,
    discretisation: Discretisation,
    lower_bound: float | None,
    *,
    as_pyradiomics: bool = False,
) -> LevelBox:
    """Return a region in grey levels.

    Args:
        image: Intensities of the region's box.
        intensity_mask: Voxels that get a level, at least one.
        morphological_mask: Region as drawn, for zone distances.
        discretisation: How levels are made.
        lower_bound: Where bins of fixed size start; None for the region's minimum.
        as_pyradiomics: Bins of fixed size start at a multiple of their width.

    Raises:
        InputError: More levels than `HIGHEST_LEVEL`, or stored values that are no levels.
    """
    values = image[intensity_mask]
    low, high = float(values.min()), float(values.max())
    top = HIGHEST_LEVEL
    if discretisation.bin_count is not None:
        top = discretisation.bin_count
        factor, divisor = float(top), high - low
    elif discretisation.bin_width is not None:
        if as_pyradiomics:
            low -= low % discretisation.bin_width
        elif lower_bound is not None:
            low = lower_bound
        factor, divisor = 1.0, discretisation.bin_width
        if (high - low) / divisor >= HIGHEST_LEVEL:
            raise InputError(
                f"a bin width of {divisor:g} makes more than {HIGHEST_LEVEL} levels between "
                f"{low:g} and {high:g}; take a larger one"
            )
    else:
        if low < 1 or high > HIGHEST_LEVEL or not np.array_equal(values, np.rint(values)):
            raise InputError(
                f"intensities from {low:g} to {high:g} are no grey levels (whole numbers from 1); "
                "give bin_width or bin_count"
            )
        low, factor, divisor = 1.0, 1.0, 1.0
    levels = np.zeros(tuple(n + 2 for n in image.shape), np.uint16)
    kernels.discretise(image, intensity_mask, low, factor, divisor, top, levels)
    return LevelBox(levels, np.pad(morphological_mask, 1))


def volume_histogram_grid(
    values: Floats,
    discretisation: Discretisation,
    intensity_range: tuple[float | None, float | None] | None,
) -> VolumeHistogramGrid | None:
    """Return the levels of the intensity-volume histogram, None where intensities are no levels.

    Without bins, whole intensities are levels of width 1 over the re-segmentation range, or over
    the region's own where that is open; with a bin width, bins are read at their centres; with a bin
    count, results are in bins.
    """
    given_low, given_high = intensity_range or (None, None)
    low = float(values.min()) if given_low is None else given_low
    high = float(values.max()) if given_high is None else given_high
    if discretisation.bin_count is not None:
        n = discretisation.bin_count
        low, high = float(values.min()), float(values.max())
        if high > low:
            level = np.minimum(np.floor(n * (values - low) / (high - low)), n - 1)
        else:
            level = np.zeros(values.size)
        return VolumeHistogramGrid(1.0, 1.0, np.bincount(level.astype(np.int64), minlength=n))
    if discretisation.bin_width is not None:
        width = discretisation.bin_width
        n = max(1, int(np.ceil(np.round((high - low) / width, 9))))
        level = np.minimum(np.floor((values - low) / width), n - 1).astype(np.int64)
        return VolumeHistogramGrid(low + width / 2, width, np.bincount(level, minlength=n))
    if not np.array_equal(values, np.rint(values)):
        return None
    low, high = np.floor(low), np.ceil(high)
    level = (values - low).astype(np.int64)
    return VolumeHistogramGrid(low, 1.0, np.bincount(level, minlength=int(high - low) + 1))
