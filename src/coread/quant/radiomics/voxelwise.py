"""Maps of features: every voxel of a region measured in the window around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from coread.core import CodedConcept, Map, Mask, Volume
from coread.errors import GeometryError, InputError
from coread.quant.radiomics import _voxel_kernels as kernels
from coread.quant.radiomics import texture
from coread.quant.radiomics._typing import Bools, Floats
from coread.quant.radiomics.alignment import aligned
from coread.quant.radiomics.discretisation import level_box
from coread.quant.radiomics.intensity import STATISTICS
from coread.quant.radiomics.preparation import mask_box, resegmented
from coread.quant.radiomics.settings import Settings
from coread.quant.radiomics.table import catalogue

_FAMILIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "glcm": (kernels.GLCM, texture.PAIR_TAGS),
    "glrlm": (kernels.GLRLM, texture.RUN_TAGS),
    "glszm": (kernels.GLSZM, texture.SIZE_TAGS),
    "ngtdm": (kernels.NGTDM, texture.TONE_TAGS),
    "ngldm": (kernels.NGLDM, texture.DEPENDENCE_TAGS),
}


def map_arrays(
    image: Floats,
    mask: Bools,
    settings: Settings,
    features: Sequence[str],
    *,
    radius: int = 1,
) -> dict[str, Floats]:
    """Return maps of features over a region as arrays, NaN outside.

    Grey levels are those of the whole region, so that windows can be compared. A window holds the voxels
    of the region within ``radius`` along each axis; what lies outside the region does not count.

    Args:
        image: (slices, rows, columns) intensities.
        mask: The region.
        settings: Range, outliers, grey levels, coarseness; merged directions where the aggregations hold
            ``3d_v_mrg`` and not ``3d_avg``. The image is taken on its own grid.
        features: Tags of statistics, GLCM, GLRLM, GLSZM, NGTDM or NGLDM.
        radius: Chebyshev radius of the window in voxels.

    Raises:
        InputError: A feature that has no map, an empty region, a radius below 1.
    """
    known = catalogue()
    for tag in features:
        family = known[tag].family if tag in known else ""
        if family not in _FAMILIES and family != "statistics":
            raise InputError(
                f"no map of {tag!r}",
                "expected statistics, GLCM, GLRLM, GLSZM, NGTDM or NGLDM features by tag",
                "see coread.quant.radiomics.catalogue()",
            )
    if radius < 1:
        raise InputError(f"a window of radius {radius}", "expected one voxel or more")
    values = np.rint(image).astype(np.float64) if settings.round_intensities else image.astype(np.float64)
    region = resegmented(values, mask, settings)
    place = mask_box(region)
    if place is None:
        raise InputError("the region is empty", "expected a voxel in the intensity range")
    box = tuple(slice(first, last + 1) for first, last in place)
    inner, part = np.ascontiguousarray(region[box]), np.ascontiguousarray(values[box])
    result = {}
    families = {known[tag].family for tag in features}
    if "statistics" in families:
        padded = np.pad(np.where(inner, part, np.nan), radius, constant_values=np.nan)
        table = kernels.statistics_map(padded, np.argwhere(inner) + radius, radius)
        columns = {f"stat_{name}": n for n, name in enumerate(STATISTICS)}
        result.update({tag: table[:, columns[tag]] for tag in features if tag in columns})
    if families - {"statistics"}:
        lower = settings.lower_bound
        levels = level_box(part, inner, inner, settings.discretisation, lower)
        wide = np.pad(levels.levels, radius)
        centres = np.argwhere(inner) + radius + 1
        merged = "3d_v_mrg" in settings.aggregations and "3d_avg" not in settings.aggregations
        for family, (code, tags) in _FAMILIES.items():
            if family in families:
                table = kernels.texture_map(
                    code,
                    wide,
                    centres,
                    radius,
                    texture.OFFSETS,
                    merged,
                    levels.histogram.size,
                    settings.dependence_alpha,
                )
                result.update({tag: table[:, tags.index(tag)] for tag in features if tag in tags})
    maps = {}
    for tag in features:
        whole = np.full(image.shape, np.nan)
        whole[region] = result[tag]
        maps[tag] = whole
    return maps


def feature_maps(
    volume: Volume, mask: Mask, settings: Settings, features: Sequence[str], *, radius: int = 1
) -> tuple[Map, ...]:
    """Return maps of features over a region of a volume, one a feature; see `map_arrays`.

    Raises:
        GeometryError: An image in colour, or a mask that lies outside the image.
        InputError: A feature that has no map, an empty region, a radius below 1.
    """
    if volume.values.ndim != 3:
        raise GeometryError(f"an image of shape {volume.values.shape}", "expected one value a voxel")
    region, _ = aligned(mask, volume.geometry)
    own_grid = replace(settings, spacing_mm=None)
    made = map_arrays(volume.values, region, own_grid, features, radius=radius)
    maps = []
    for tag, values in made.items():
        item = catalogue()[tag]
        found = values[np.isfinite(values)]
        low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
        unit = "1" if item.unit.startswith("intensity") else item.unit
        maps.append(
            Map(
                values.astype(np.float32),
                volume.geometry,
                CodedConcept(item.ibsi_id, "IBSI", item.name),
                unit,
                low,
                high if high > low else low + 1.0,
                f"{item.name} in a window of {2 * radius + 1} voxels a side around each voxel of the region; "
                "no probability.",
                volume.frame_of_reference,
                volume.source_instances,
            )
        )
    return tuple(maps)
