"""Features by MIRP, for `compare_mirp.py`. usage: mirp_features.py DATA FOLDER [CASE …]

Runs in an environment of its own with mirp 2.7.0 (EUPL 1.2: a peer to measure, never a dependency).
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
warnings.filterwarnings("ignore")

DIRECTIONAL = [
    "2d_average", "2d_slice_merge", "2.5d_direction_merge", "2.5d_volume_merge", "3d_average",
    "3d_volume_merge",
]  # fmt: skip
PLAIN = ["2d", "2.5d", "3d"]


def main() -> None:
    """Write two files a case: unfiltered with all families, and five filters."""
    from mirp import extract_features

    data, folder = Path(sys.argv[1]), Path(sys.argv[2])
    cases = {}
    for patient in ("STS_002", "STS_018"):
        for name, modality in (("CT", "ct"), ("MR_T1", "mr"), ("PET", "pet")):
            stem = data / "ibsi_validation_sts" / f"{patient}_{name}"
            cases[f"{patient}_{name}"] = (f"{stem}_image.nii.gz", f"{stem}_mask.nii.gz", modality)
    for name in ("brain1", "breast1"):
        stem = data / "pyradiomics_cases" / name
        cases[name] = (f"{stem}_image.nrrd", f"{stem}_label.nrrd", "mr")
    for case in sys.argv[3:] or cases:
        image, mask, modality = cases[case]
        common = {
            "image": image,
            "mask": mask,
            "image_modality": modality,
            "num_cpus": 1,
            "base_discretisation_method": "fixed_bin_number",
            "base_discretisation_n_bins": 32,
        }
        if modality == "ct":
            common["resegmentation_intensity_range"] = [-1000.0, 3000.0]
        base = common | {
            "base_feature_families": "all",
            "ivh_discretisation_method": "fixed_bin_number",
            "ivh_discretisation_n_bins": 1000,
            "glcm_spatial_method": DIRECTIONAL,
            "glrlm_spatial_method": DIRECTIONAL,
            **{f"{name}_spatial_method": PLAIN for name in ("glszm", "gldzm", "ngtdm", "ngldm")},
        }
        filtered = common | {
            "base_feature_families": "statistical",
            "new_spacing": 1.0 if case == "breast1" else 4.0 if modality == "pet" else 2.0,
            "spline_order": 1,
            "anti_aliasing": False,
            "glcm_spatial_method": DIRECTIONAL[-2:],
            "glrlm_spatial_method": DIRECTIONAL[-2:],
            "filter_kernels": ["laplacian_of_gaussian", "separable_wavelet", "laws", "mean"],
            "laplacian_of_gaussian_sigma": [4.0 if modality == "pet" else 2.0],
            "separable_wavelet_families": "coif1",
            "separable_wavelet_set": ["LLH", "HHH"],
            "separable_wavelet_rotation_invariance": False,
            "laws_kernel": ["L5E5E5"],
            "laws_compute_energy": True,
            "laws_delta": 7,
            "laws_rotation_invariance": True,
            "laws_pooling_method": "max",
            "mean_filter_kernel_size": 5,
            "boundary_condition": "mirror",
            "response_map_feature_families": [
                "statistical", "ih", "cm", "rlm", "szm", "dzm", "ngtdm", "ngldm",
            ],
            "response_map_discretisation_method": "fixed_bin_number",
            "response_map_discretisation_n_bins": 32,
        }  # fmt: skip
        for kind, settings in (("base", base), ("filt", filtered)):
            numbers = extract_features(**settings)[0].select_dtypes("number")
            found = {column: float(numbers[column].iloc[0]) for column in numbers.columns}
            (folder / f"mirp_{case}_{kind}.json").write_text(json.dumps(found, indent=0))


if __name__ == "__main__":
    main()
