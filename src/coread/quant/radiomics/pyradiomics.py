"""The features of PyRadiomics by its names and definitions, for models that were fitted to them.

Its differences from IBSI 1: bins start at a multiple of their width, kurtosis is not excess, axes of
the covariance divided by n, the grid shares a corner with the image's, the mask is resampled by nearest
neighbour, resampled whole numbers are cut to whole numbers again, ambiguous cubes of the mesh.

References:
    van Griethuysen et al. 2017, doi:10.1158/0008-5472.CAN-17-0339.
"""

from __future__ import annotations

import numpy as np

from coread.quant.radiomics import _shape_kernels as kernels
from coread.quant.radiomics import texture
from coread.quant.radiomics._typing import Bools, Bytes, Floats
from coread.quant.radiomics.discretisation import level_box
from coread.quant.radiomics.intensity import intensity_statistics
from coread.quant.radiomics.morphology import mesh_volume_area, principal_axes, region_mesh
from coread.quant.radiomics.settings import Discretisation
from coread.quant.radiomics.table import catalogue

CLASSES = {
    "morphology": "shape",
    "plane_shape": "shape2D",
    "statistics": "firstorder",
    "glcm": "glcm",
    "glrlm": "glrlm",
    "glszm": "glszm",
    "ngtdm": "ngtdm",
    "ngldm": "gldm",
}
"""Our families that PyRadiomics has, and its name for each."""

_GLCM = {
    "Autocorrelation": "auto_corr", "JointAverage": "joint_avg", "ClusterProminence": "clust_prom",
    "ClusterShade": "clust_shade", "ClusterTendency": "clust_tend", "Contrast": "contrast",
    "Correlation": "corr", "DifferenceAverage": "diff_avg", "DifferenceEntropy": "diff_entr",
    "DifferenceVariance": "diff_var", "JointEnergy": "energy", "JointEntropy": "joint_entr",
    "Imc1": "info_corr_1", "Imc2": "info_corr_2", "Idm": "inv_diff_mom", "MCC": "mcc",
    "Idmn": "inv_diff_mom_norm", "Id": "inv_diff", "Idn": "inv_diff_norm",
    "InverseVariance": "inv_var", "MaximumProbability": "joint_max", "SumAverage": "sum_avg",
    "SumEntropy": "sum_entr", "SumSquares": "joint_var",
}  # fmt: skip
_GLRLM = {
    "GrayLevelNonUniformity": "glnu", "GrayLevelNonUniformityNormalized": "glnu_norm",
    "GrayLevelVariance": "gl_var", "HighGrayLevelRunEmphasis": "hgre", "LongRunEmphasis": "lre",
    "LongRunHighGrayLevelEmphasis": "lrhge", "LongRunLowGrayLevelEmphasis": "lrlge",
    "LowGrayLevelRunEmphasis": "lgre", "RunEntropy": "rl_entr", "RunLengthNonUniformity": "rlnu",
    "RunLengthNonUniformityNormalized": "rlnu_norm", "RunPercentage": "r_perc",
    "RunVariance": "rl_var", "ShortRunEmphasis": "sre", "ShortRunHighGrayLevelEmphasis": "srhge",
    "ShortRunLowGrayLevelEmphasis": "srlge",
}  # fmt: skip
_GLSZM = {
    "GrayLevelNonUniformity": "glnu", "GrayLevelNonUniformityNormalized": "glnu_norm",
    "GrayLevelVariance": "gl_var", "HighGrayLevelZoneEmphasis": "hgze", "LargeAreaEmphasis": "lze",
    "LargeAreaHighGrayLevelEmphasis": "lzhge", "LargeAreaLowGrayLevelEmphasis": "lzlge",
    "LowGrayLevelZoneEmphasis": "lgze", "SizeZoneNonUniformity": "zsnu",
    "SizeZoneNonUniformityNormalized": "zsnu_norm", "SmallAreaEmphasis": "sze",
    "SmallAreaHighGrayLevelEmphasis": "szhge", "SmallAreaLowGrayLevelEmphasis": "szlge",
    "ZoneEntropy": "zs_entr", "ZonePercentage": "z_perc", "ZoneVariance": "zs_var",
}  # fmt: skip
_NGTDM = {
    name.capitalize(): name for name in ("coarseness", "contrast", "busyness", "complexity", "strength")
}
_GLDM = {
    "DependenceEntropy": "dc_entr", "DependenceNonUniformity": "dcnu",
    "DependenceNonUniformityNormalized": "dcnu_norm", "DependenceVariance": "dc_var",
    "GrayLevelNonUniformity": "glnu", "GrayLevelVariance": "gl_var", "HighGrayLevelEmphasis": "hgce",
    "LargeDependenceEmphasis": "hde", "LargeDependenceHighGrayLevelEmphasis": "hdhge",
    "LargeDependenceLowGrayLevelEmphasis": "hdlge", "LowGrayLevelEmphasis": "lgce",
    "SmallDependenceEmphasis": "lde", "SmallDependenceHighGrayLevelEmphasis": "ldhge",
    "SmallDependenceLowGrayLevelEmphasis": "ldlge",
}  # fmt: skip
_FIRST_ORDER = {
    "10Percentile": "p10", "90Percentile": "p90", "InterquartileRange": "iqr", "Maximum": "max",
    "MeanAbsoluteDeviation": "mad", "Mean": "mean", "Median": "median", "Minimum": "min",
    "Range": "range", "RobustMeanAbsoluteDeviation": "rmad", "Skewness": "skew", "Variance": "var",
}  # fmt: skip
_SHAPE = {
    "MeshVolume": "morph_vol", "VoxelVolume": "morph_approx_vol", "SurfaceArea": "morph_area",
    "SurfaceVolumeRatio": "morph_av", "Sphericity": "morph_sphericity",
    "Maximum3DDiameter": "morph_diam", "MajorAxisLength": "morph_pca_major",
    "MinorAxisLength": "morph_pca_minor", "LeastAxisLength": "morph_pca_least",
    "Elongation": "morph_pca_elongation", "Flatness": "morph_pca_flatness",
}  # fmt: skip
_UNITS = {
    "Energy": "intensity2", "TotalEnergy": "intensity2.mm3", "RootMeanSquared": "intensity",
    "MeshSurface": "mm2", "PixelSurface": "mm2", "Perimeter": "mm", "PerimeterSurfaceRatio": "/mm",
    "MaximumDiameter": "mm", "MajorAxisLength": "mm", "MinorAxisLength": "mm",
    "Maximum2DDiameterSlice": "mm", "Maximum2DDiameterColumn": "mm", "Maximum2DDiameterRow": "mm",
}  # fmt: skip

Key = tuple[str, str, str]  # family, name, aggregation

FEATURES: dict[str, dict[str, str]] = {
    "morphology": _SHAPE
    | dict.fromkeys(("Maximum2DDiameterSlice", "Maximum2DDiameterColumn", "Maximum2DDiameterRow"), ""),
    "plane_shape": dict.fromkeys(
        (
            "MeshSurface",
            "PixelSurface",
            "Perimeter",
            "PerimeterSurfaceRatio",
            "Sphericity",
            "MaximumDiameter",
            "MajorAxisLength",
            "MinorAxisLength",
            "Elongation",
        ),
        "",
    ),
    "statistics": {name: f"stat_{tag}" for name, tag in _FIRST_ORDER.items()}
    | dict.fromkeys(("Kurtosis", "Energy", "TotalEnergy", "RootMeanSquared", "Entropy", "Uniformity"), ""),
    "glcm": {name: f"cm_{tag}" for name, tag in _GLCM.items()},
    "glrlm": {name: f"rlm_{tag}" for name, tag in _GLRLM.items()},
    "glszm": {name: f"szm_{tag}" for name, tag in _GLSZM.items()},
    "ngtdm": {name: f"ngt_{tag}" for name, tag in _NGTDM.items()},
    "ngldm": {name: f"ngl_{tag}" for name, tag in _GLDM.items()},
}
"""PyRadiomics's features by our family, and the tag that each is computed from; empty for its own."""


def ibsi_equivalent(family: str, name: str) -> tuple[str, str]:
    """Return the IBSI code (empty where there is none) and the unit of a feature of PyRadiomics."""
    item = catalogue().get(FEATURES[family][name])
    return ("", _UNITS.get(name, "1")) if item is None else (item.ibsi_id, item.unit)


def _largest_in_planes(points_mm: Floats, axis: int) -> float:
    """Return the largest distance of vertices that lie in one plane across an axis."""
    turned = points_mm[:, [axis, *(a for a in range(3) if a != axis)]]
    turned = turned[np.lexsort((turned[:, 2], turned[:, 1], turned[:, 0]))]
    hulls = kernels.planar_hulls(turned)
    starts = np.flatnonzero(np.diff(hulls[:, 0], prepend=-np.inf))
    return max(
        float(kernels.largest_distance(np.ascontiguousarray(part))) for part in np.split(hulls, starts[1:])
    )


def shape_features(padded: Bytes, spacing_mm: Floats) -> dict[str, float]:
    """Return the 14 shape features of a mask with a border of zeros."""
    mesh = region_mesh(padded, spacing_mm)
    volume, area = mesh_volume_area(padded, spacing_mm, classic=True)
    major, minor, least = (float(v) for v in principal_axes(padded, spacing_mm, divide_by_n=True))
    points = kernels.mesh_vertices(padded) * spacing_mm
    return {
        "MeshVolume": volume,
        "VoxelVolume": float(np.count_nonzero(padded)) * float(np.prod(spacing_mm)),
        "SurfaceArea": area,
        "SurfaceVolumeRatio": area / volume,
        "Sphericity": float((36 * np.pi * volume**2) ** (1 / 3)) / area,
        "Maximum3DDiameter": mesh.diameter_mm,
        "Maximum2DDiameterSlice": _largest_in_planes(points, 0),
        "Maximum2DDiameterColumn": _largest_in_planes(points, 1),
        "Maximum2DDiameterRow": _largest_in_planes(points, 2),
        "MajorAxisLength": major,
        "MinorAxisLength": minor,
        "LeastAxisLength": least,
        "Elongation": minor / major if major > 0 else np.nan,
        "Flatness": least / major if major > 0 else np.nan,
    }


def plane_shape_features(padded: Bytes, spacing_mm: Floats) -> dict[str, float]:
    """Return the 9 shape features of a region in one slice, by marching squares at 0.5."""
    plane = padded[int(np.flatnonzero(padded.any(axis=(1, 2)))[0])].astype(np.int64)
    a, b, c, d = plane[:-1, :-1], plane[:-1, 1:], plane[1:, :-1], plane[1:, 1:]
    corners = a + b + c + d
    diagonal = (corners == 2) & (a == d)
    rows, columns = (float(s) for s in spacing_mm[1:])
    pixel = rows * columns
    pieces = np.bincount(corners.ravel(), minlength=5) @ np.array([0, 1 / 8, 1 / 2, 7 / 8, 1])
    crossing = np.count_nonzero(diagonal)
    area = float(pieces + crossing / 4) * pixel  # the two corners of a diagonal hang together
    bends = np.count_nonzero((corners == 1) | (corners == 3)) + 2 * crossing
    along_rows = np.count_nonzero((corners == 2) & (a == b) & ~diagonal)
    along_columns = np.count_nonzero((corners == 2) & (a == c) & ~diagonal)
    perimeter = bends * float(np.hypot(rows, columns)) / 2
    perimeter += along_rows * columns + along_columns * rows
    points = kernels.mesh_vertices(padded) * spacing_mm
    major, minor, _ = (float(v) for v in principal_axes(padded, spacing_mm, divide_by_n=True))
    return {
        "MeshSurface": area,
        "PixelSurface": float(np.count_nonzero(plane)) * pixel,
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / area,
        "Sphericity": 2 * float(np.sqrt(np.pi * area)) / perimeter,
        "MaximumDiameter": _largest_in_planes(points, 0),
        "MajorAxisLength": major,
        "MinorAxisLength": minor,
        "Elongation": minor / major if major > 0 else np.nan,
    }


def first_order_features(
    values: Floats, histogram: Floats, voxel_volume_mm3: float, shift: float
) -> dict[str, float]:
    """Return the 18 first-order features.

    Args:
        values: Intensities of the region.
        histogram: Voxels of each grey level.
        voxel_volume_mm3: For the total energy.
        shift: Added to intensities in energy and root mean square.
    """
    found = intensity_statistics(values)
    share = histogram[histogram > 0] / histogram.sum()
    energy = float(np.square(values + shift).sum())
    flat = found["stat_var"] == 0
    return {name: found[f"stat_{tag}"] for name, tag in _FIRST_ORDER.items()} | {
        "Kurtosis": 0.0 if flat else found["stat_kurt"] + 3,
        "Energy": energy,
        "TotalEnergy": energy * voxel_volume_mm3,
        "RootMeanSquared": float(np.sqrt(energy / values.size)),
        "Entropy": float(-(share @ np.log2(share))) + 0.0,
        "Uniformity": float(share @ share),
    }


def pyradiomics_features(
    image: Floats,
    intensity_mask: Bools,
    morphological_mask: Bools,
    spacing_mm: Floats,
    *,
    families: tuple[str, ...],
    aggregations: tuple[str, ...],
    discretisation: Discretisation,
    alpha: int,
    shift: float,
) -> dict[Key, float]:
    """Return features by (family, PyRadiomics's name, aggregation).

    Args:
        image: Intensities of the region's box.
        intensity_mask: Re-segmented region.
        morphological_mask: Region as drawn.
        spacing_mm: (3,) voxel spacing.
        families: Ours, those of `CLASSES`; others are left out.
        aggregations: PyRadiomics itself averages over directions (``3d_avg``, ``3d``); in its 2D mode,
            slices are merged (``2.5d_d_mrg``, ``2.5d``).
        discretisation: Grey levels.
        alpha: Coarseness of the dependence matrix.
        shift: Added to intensities in energy and root mean square.
    """
    found: dict[Key, float] = {}
    if "morphology" in families and morphological_mask.any():
        shape = shape_features(np.pad(morphological_mask.view(np.uint8), 1), spacing_mm)
        found |= {("morphology", name, ""): value for name, value in shape.items()}
    if "plane_shape" in families and morphological_mask.any():
        shape = plane_shape_features(np.pad(morphological_mask.view(np.uint8), 1), spacing_mm)
        found |= {("plane_shape", name, ""): value for name, value in shape.items()}
    if not intensity_mask.any():
        return found
    box = level_box(image, intensity_mask, morphological_mask, discretisation, None, as_pyradiomics=True)
    if "statistics" in families:
        statistics = first_order_features(
            image[intensity_mask], box.histogram.astype(np.float64), float(np.prod(spacing_mm)), shift
        )
        found |= {("statistics", name, ""): value for name, value in statistics.items()}
    made: texture.Features = {}
    wanted = frozenset(aggregations)
    if "glcm" in families:
        made |= texture.pair_texture(box, wanted, maximal_correlation=True)
    if "glrlm" in families:
        made |= texture.run_texture(box, wanted)
    if "glszm" in families:
        made |= texture.zone_texture(box, wanted, distances=False)
    if {"ngtdm", "ngldm"} & set(families):
        made |= texture.neighbour_texture(box, wanted, alpha=alpha)
    for family in ("glcm", "glrlm", "glszm", "ngtdm", "ngldm"):
        if family not in families:
            continue
        found |= {
            (family, name, code): made[tag, code]
            for name, tag in FEATURES[family].items()
            for code in aggregations
            if (tag, code) in made
        }
    return found
