"""The profile `pyradiomics` against PyRadiomics's own baselines (data/baseline, BSD-3-Clause)."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from coread.quant.radiomics import Discretisation, Settings, extract_arrays, preset

_BASE = preset("pyradiomics")
_IN_PLANE = replace(_BASE, aggregations=("2.5d_d_mrg", "2.5d"))
# As in the file of settings beside the baseline.
_VARIANTS: dict[str, Settings] = {
    "default": replace(_BASE, energy_shift=2000.0),
    "2d": _IN_PLANE,
    "shape2D": _IN_PLANE,
    "FBN": replace(_BASE, discretisation=Discretisation(bin_count=64)),
    "combined": replace(_BASE, aggregations=("3d_v_mrg",)),
    "flatRegion": replace(
        _BASE, discretisation=Discretisation(bin_width=5000.0), intensity_range=(0.0, None)
    ),
    "normalization": replace(_BASE, normalise=100.0, discretisation=Discretisation(bin_width=5.0)),
    "resampling": replace(_BASE, spacing_mm=(2.0, 2.0, 2.0)),
    "resegmentation": replace(_BASE, outlier_sigma=3.0),
}
_MESH = {"MeshVolume", "SurfaceArea", "Sphericity", "SurfaceVolumeRatio"}
_ROWS = {"shape2D": 9, "default": 107, "resampling": 107, "combined": 40, "normalization": 93}


@pytest.mark.parametrize("variant", _VARIANTS)
@pytest.mark.parametrize("case", ["brain1", "breast1"])
def test_baseline_is_reproduced(case: str, variant: str, shared: Path) -> None:
    folder = shared / "radiomics" / "pyradiomics_cases"
    image = sitk.ReadImage(folder / f"{case}_image.nrrd")
    mask = sitk.GetArrayFromImage(sitk.ReadImage(folder / f"{case}_label.nrrd")) == 1
    if variant == "shape2D":  # PyRadiomics took the slice with the largest area
        largest = int(np.argmax(mask.sum(axis=(1, 2))))
        mask[:largest] = mask[largest + 1 :] = False
    table = extract_arrays(
        sitk.GetArrayFromImage(image), {"r": mask}, image.GetSpacing()[::-1], _VARIANTS[variant]
    )
    found = {(item.family, item.feature): item.value for item in table}
    with (folder / "pyradiomics_baseline.csv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if (r["case"], r["variant"]) == (case, variant)]
    assert len(rows) == _ROWS.get(variant, 93 if variant == "resegmentation" else 75)
    for row in rows:
        expected = pytest.approx(
            float(row["value"]), rel=1e-3 if row["feature"] in _MESH else 1e-6, abs=1e-12
        )
        assert found[row["feature_class"], row["feature"]] == expected, row
