"""The features of one prepared region: which families, from which mask, and why one has no value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from coread.quant.radiomics import intensity, morphology, pyradiomics, texture
from coread.quant.radiomics._typing import Bools, Floats
from coread.quant.radiomics.discretisation import level_box, volume_histogram_grid
from coread.quant.radiomics.settings import VOLUMETRIC, Discretisation, Settings
from coread.quant.radiomics.table import Definition, Feature, Flag, catalogue

_TEXTURE = ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")
_DIRECTIONAL = ("2d_avg", "2d_s_mrg", "2.5d_d_mrg", "2.5d_v_mrg", "3d_avg", "3d_v_mrg")


@dataclass(frozen=True, slots=True)
class PreparedRegion:
    """A region cut out of an image, ready to be measured.

    Attributes:
        name: Label.
        image: Intensities of the region's box.
        morphological: Region as drawn.
        intensity: Re-segmented region.
        spacing_mm: (3,) voxel spacing.
        surroundings: The box with `coread.quant.radiomics.intensity.peak_margin` more voxels, NaN
            beyond the image; None where local peaks are not wanted.
        third_dimension: Whether slices have a thickness; False for a projection.
    """

    name: str
    image: Floats
    morphological: Bools
    intensity: Bools
    spacing_mm: Floats
    surroundings: Floats | None = None
    third_dimension: bool = True


def _wanted(family: str, aggregations: tuple[str, ...]) -> list[str]:
    if family in ("glcm", "glrlm"):
        return [code for code in aggregations if code in _DIRECTIONAL]
    if family in _TEXTURE:
        return [code for code in aggregations if code not in _DIRECTIONAL]
    return [""]


def measure(
    region: PreparedRegion,
    settings: Settings,
    *,
    families: tuple[str, ...],
    discretisation: Discretisation,
    filter_code: str = "",
    standardised: bool = True,
    intensity_range: tuple[float | None, float | None] | None = None,
) -> tuple[Feature, ...]:
    """Return the features of a region, in the manual's order.

    Args:
        region: The region.
        settings: Aggregations and what else does not depend on the filter.
        families: Families to compute.
        discretisation: Grey levels.
        filter_code: Name of the filter that made the image; empty for none.
        standardised: Whether the filter is.
        intensity_range: Re-segmentation range where it applies to these intensities.
    """
    if settings.compatibility == "pyradiomics":
        return _measure_as_pyradiomics(
            region, settings, families=families, discretisation=discretisation, filter_code=filter_code
        )
    values = region.image[region.intensity]
    found: dict[tuple[str, str], float] = {}
    reasons: dict[str, str] = {}
    wanted = frozenset(settings.aggregations)
    if region.third_dimension and "morphology" in families and region.morphological.any():
        shape = morphology.morphology(
            region.image,
            region.intensity,
            region.morphological,
            region.spacing_mm,
            autocorrelation=settings.autocorrelation,
        )
        found |= {(tag, ""): value for tag, value in shape.items()}
    if not region.third_dimension:
        reasons["morphology"] = "no_third_dimension"
    if values.size:
        if "local_intensity" in families and region.surroundings is not None:
            peaks = intensity.local_peaks(region.surroundings, region.intensity, region.spacing_mm)
            found |= {(tag, ""): value for tag, value in peaks.items()}
        if "statistics" in families:
            statistics = intensity.intensity_statistics(values)
            found |= {(tag, ""): value for tag, value in statistics.items()}
        if "volume_histogram" in families:
            grid = volume_histogram_grid(values, settings.volume_histogram, intensity_range)
            if grid is None:
                reasons["volume_histogram"] = "needs_bins"
            else:
                ivh = intensity.volume_histogram_features(grid)
                found |= {(tag, ""): value for tag, value in ivh.items()}
        if set(families) & {"histogram", *_TEXTURE}:
            lower = None if intensity_range is None else intensity_range[0]
            box = level_box(region.image, region.intensity, region.morphological, discretisation, lower)
            if "histogram" in families:
                histogram = intensity.histogram_features(box.histogram)
                found |= {(tag, ""): value for tag, value in histogram.items()}
            if "glcm" in families:
                found |= texture.pair_texture(box, wanted)
            if "glrlm" in families:
                found |= texture.run_texture(box, wanted)
            if "glszm" in families or "gldzm" in families:
                found |= texture.zone_texture(box, wanted, distances="gldzm" in families)
            if "ngtdm" in families or "ngldm" in families:
                found |= texture.neighbour_texture(box, wanted, alpha=settings.dependence_alpha)
    lower_open = intensity_range is None or intensity_range[0] is None
    bins, volume_bins = discretisation.code, settings.volume_histogram.code
    codes = {family: _wanted(family, settings.aggregations) for family in families}
    rows = []
    for item in catalogue().values():
        if item.family not in codes:
            continue
        levels = ""
        flag: Flag = "ibsi" if standardised else "outside"
        if item.family == "volume_histogram":
            levels = volume_bins
        elif item.family == "histogram" or item.family in _TEXTURE:
            levels = bins
            if discretisation.bin_width is not None and lower_open:
                flag = "outside"  # bins of fixed size need a lower bound to start from
        for code in codes[item.family]:
            value = found.get((item.tag, code), np.nan)
            defined = math.isfinite(value)
            reason = ""
            if not defined:
                reason = reasons.get(item.family) or _reason(region, values, item, settings)
            rows.append(
                Feature(
                    label=region.name,
                    family=item.family,
                    feature=item.tag,
                    ibsi_id=item.ibsi_id,
                    aggregation=code,
                    discretisation=levels,
                    filter=filter_code,
                    value=float(value) if defined else None,
                    reason=reason,
                    flag=flag,
                    unit=item.unit,
                )
            )
    return tuple(rows)


def _measure_as_pyradiomics(
    region: PreparedRegion,
    settings: Settings,
    *,
    families: tuple[str, ...],
    discretisation: Discretisation,
    filter_code: str,
) -> tuple[Feature, ...]:
    """Return the features that PyRadiomics has, by its names."""
    planar = not region.third_dimension or (
        region.image.shape[0] == 1 and not set(settings.aggregations) & set(VOLUMETRIC)
    )
    if planar:
        families = tuple("plane_shape" if name == "morphology" else name for name in families)
    found = pyradiomics.pyradiomics_features(
        region.image,
        region.intensity,
        region.morphological,
        region.spacing_mm,
        families=families,
        aggregations=settings.aggregations,
        discretisation=discretisation,
        alpha=settings.dependence_alpha,
        shift=settings.energy_shift,
    )
    rows = []
    for family, names in pyradiomics.FEATURES.items():
        if family not in families:
            continue
        for name in names:
            ibsi_id, unit = pyradiomics.ibsi_equivalent(family, name)
            for code in _wanted(family, settings.aggregations):
                value = found.get((family, name, code), np.nan)
                defined = bool(np.isfinite(value))
                rows.append(
                    Feature(
                        label=region.name,
                        family=pyradiomics.CLASSES[family],
                        feature=name,
                        ibsi_id=ibsi_id,
                        aggregation=code,
                        discretisation="" if family in ("morphology", "plane_shape") else discretisation.code,
                        filter=filter_code,
                        value=float(value) if defined else None,
                        reason="" if defined else _reason_as_pyradiomics(region, family),
                        flag="pyradiomics",
                        unit=unit,
                    )
                )
    return tuple(rows)


def _reason_as_pyradiomics(region: PreparedRegion, family: str) -> str:
    if not region.morphological.any():
        return "empty_region"
    if family in ("morphology", "plane_shape"):
        return "flat_shape"
    return "no_neighbours" if region.intensity.any() else "empty_after_resegmentation"


def _reason(region: PreparedRegion, values: Floats, item: Definition, settings: Settings) -> str:
    """Return why a feature has no value."""
    if not region.morphological.any():
        return "empty_region"
    if values.size == 0:
        return "empty_after_resegmentation"
    if item.tag in ("morph_moran_i", "morph_geary_c") and not settings.autocorrelation:
        return "not_asked"
    if values.size == 1:
        return "single_voxel"
    if item.tag in ("stat_cov", "stat_qcod", "morph_com"):
        return "zero_denominator"
    if item.family == "morphology" and item.tag not in ("morph_moran_i", "morph_geary_c"):
        return "flat_shape"
    if values.min() == values.max():
        return "flat_region"
    return "no_neighbours" if item.family in _TEXTURE else "undefined"


def unmeasured(
    name: str,
    settings: Settings,
    *,
    families: tuple[str, ...],
    discretisation: Discretisation,
    filter_code: str = "",
) -> tuple[Feature, ...]:
    """Return the rows of a region of which nothing is left: no values, a reason."""
    nothing = np.zeros((1, 1, 1), dtype=bool)
    region = PreparedRegion(name, np.zeros((1, 1, 1)), nothing, nothing, np.ones(3))
    return measure(
        region,
        settings,
        families=families,
        discretisation=discretisation,
        filter_code=filter_code,
    )
