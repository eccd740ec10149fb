"""Agreement with MIRP on real images. usage: compare_mirp.py DATA FOLDER

DATA is the folder of radiomics test data; FOLDER holds what `mirp_features.py` wrote with MIRP installed
in an environment of its own. Prints, for each case, how many columns agree and every one that does not.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from coread.interop.nifti import read_label_map, read_volume
from coread.quant.radiomics import Discretisation, Settings, extract
from coread.quant.radiomics.filters import LaplacianOfGaussian, Laws, Mean, SeparableWavelet
from coread.quant.radiomics.settings import AGGREGATION_IDS

NAMES = {
    "morph_volume": "morph_vol", "morph_vol_approx": "morph_approx_vol", "morph_area_mesh": "morph_area",
    "morph_vol_dens_conv_hull": "morph_v_dens_conv_hull", "loc_peak_loc": "loc_peak_local",
    "morph_area_dens_conv_hull": "morph_a_dens_conv_hull", "loc_peak_glob": "loc_peak_global",
    "morph_vol_dens_aabb": "morph_v_dens_aabb", "morph_area_dens_aabb": "morph_a_dens_aabb",
    "morph_vol_dens_aee": "morph_v_dens_aee", "morph_area_dens_aee": "morph_a_dens_aee",
    "morph_pca_maj_axis": "morph_pca_major", "morph_pca_min_axis": "morph_pca_minor",
    "morph_pca_least_axis": "morph_pca_least", "ivh_diff_v10_v90": "ivh_v10minusv90",
    "ivh_diff_i10_i90": "ivh_i10minusi90", "ih_max_grad_g": "ih_max_grad_gl",
    "ih_min_grad_g": "ih_min_grad_gl",
}  # fmt: skip
PREFIXES = {
    "wavelet_coif1_llh_level_1_": "wavelet_coif1_LLH_1",
    "wavelet_coif1_hhh_level_1_": "wavelet_coif1_HHH_1",
    "laws_l5e5e5_energy_delta_7_invar_": "laws_L5E5E5_max_energy7",
    "mean_d_5_": "mean_5",
}


def ours(name: str) -> tuple[str, str, str]:
    """Return filter, tag and aggregation of a column of MIRP."""
    code = ""
    log = re.match(r"log_s_([0-9.]+)_", name)
    if log:
        code, name = f"log_{float(log[1]):g}mm", name[log.end() :]
    for prefix, filter_code in PREFIXES.items():
        if name.startswith(prefix):
            code, name = filter_code, name[len(prefix) :]
    name = re.sub(r"_fbn_n32$", "", name).replace("_d1", "").replace("_a0.0", "")
    name = name.replace("info_corr1", "info_corr_1").replace("info_corr2", "info_corr_2")
    for aggregation in sorted(AGGREGATION_IDS, key=len, reverse=True):
        if name.endswith(f"_{aggregation}"):
            return code, NAMES.get(name[: -len(aggregation) - 1], name[: -len(aggregation) - 1]), aggregation
    return code, NAMES.get(name, name), ""


def main() -> None:
    """Compare every case that is there."""
    data, folder = Path(sys.argv[1]), Path(sys.argv[2])
    bins = Discretisation(bin_count=32)
    for path in sorted(folder.glob("mirp_*_base.json")):
        case = path.name[5:-10]
        if case.startswith("STS"):
            stem = data / "ibsi_validation_sts" / case
            volume, labels = read_volume(f"{stem}_image.nii.gz"), read_label_map(f"{stem}_mask.nii.gz")
        else:
            stem = data / "pyradiomics_cases" / case
            volume, labels = read_volume(f"{stem}_image.nrrd"), read_label_map(f"{stem}_label.nrrd")
        ct, pet = "_CT" in case, "_PET" in case
        base = Settings(
            aggregations=tuple(AGGREGATION_IDS),  # type: ignore[arg-type]
            discretisation=bins,
            volume_histogram=Discretisation(bin_count=1000),
            round_intensities=ct,
            intensity_range=(-1000.0, 3000.0) if ct else None,
        )
        size = 1.0 if case == "breast1" else 4.0 if pet else 2.0
        filtered = replace(
            base,
            spacing_mm=(size, size, size),
            families=("statistics",),
            filters=(
                LaplacianOfGaussian(sigma_mm=4.0 if pet else 2.0),
                SeparableWavelet(wavelet="coif1", bands="LLH"),
                SeparableWavelet(wavelet="coif1", bands="HHH"),
                Laws(kernels=("L5", "E5", "E5"), pooling="max", energy_delta=7),
                Mean(support=5),
            ),
        )
        for kind, settings, tolerance in (("base", base, 1e-4), ("filt", filtered, 5e-3)):
            theirs = json.loads((folder / f"mirp_{case}_{kind}.json").read_text())
            table = extract(volume, labels, settings)
            found = {(f.filter, f.feature, f.aggregation): f.value for f in table}
            total, missed = 0, []
            for name, value in theirs.items():
                key = ours(name)
                if key not in found or not np.isfinite(value):
                    continue
                total += 1
                mine = found[key]
                # Skewness, correlation and the like cross zero: a thousandth of their scale counts there.
                if mine is None or abs(mine - value) > tolerance * max(abs(value), 1e-3):
                    missed.append((name, value, mine))
            print(f"{case:14} {kind}: {total - len(missed)} of {total} within {tolerance:g}")
            for name, value, mine in missed:
                print(f"    {name}: MIRP {value:.8g}, CoRead {mine if mine is None else f'{mine:.8g}'}")


if __name__ == "__main__":
    main()
