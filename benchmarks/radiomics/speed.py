"""CPU seconds and memory of CoRead and PyRadiomics on the same regions. usage: speed.py IMAGE MASK [options]

Prints one JSON line for each workload: CPU seconds of one thread after compilation, wall seconds, peak
resident memory of a process that does only that. With --pyradiomics PYTHON, the interpreter of an environment
that has PyRadiomics (3.0.1 or later), its workloads run too, in processes of their own; --mirp likewise.

--workload: pyradiomics-set, all, all-moran, filters, labels-1, labels-100, or each (default).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

_MIRP = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
from importlib.metadata import version
from mirp import extract_features
image, mask, spacing = sys.argv[1:4]
settings = dict(image=image, mask=mask, image_modality="ct", base_feature_families="all", num_cpus=1,
    base_discretisation_method="fixed_bin_size", base_discretisation_bin_width=25.0,
    resegmentation_intensity_range=[-1000.0, 3000.0],
    glcm_spatial_method=["3d_average", "3d_volume_merge"],
    glrlm_spatial_method=["3d_average", "3d_volume_merge"],
    ivh_discretisation_method="none")
if spacing:
    settings.update(new_spacing=float(spacing), spline_order=1, anti_aliasing=False)
cpu, wall = time.process_time(), time.perf_counter()
found = extract_features(**settings)[0]
print(json.dumps(dict(tool="MIRP " + version("mirp"), workload="all (Moran sampled)",
    cpu_s=round(time.process_time() - cpu, 3), wall_s=round(time.perf_counter() - wall, 3),
    peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    features=sum(c.split("_")[0] in "morph loc stat ih ivh cm rlm szm dzm ngt ngl".split()
        for c in found.columns))))
"""

WORKLOADS = ("pyradiomics-set", "all", "all-moran", "filters", "labels-1", "labels-100")

_PEER = """
import json, resource, sys, time, logging
import SimpleITK as sitk
import radiomics
from radiomics import featureextractor
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
radiomics.logger.setLevel(logging.ERROR)
image, mask, filters, spacing = sys.argv[1], sys.argv[2], sys.argv[3] == "filters", sys.argv[4]
settings = dict(binWidth=25, additionalInfo=False)
if spacing:
    settings.update(resampledPixelSpacing=[float(spacing)] * 3, interpolator="sitkLinear")
extractor = featureextractor.RadiomicsFeatureExtractor(**settings)
extractor.enableAllFeatures()
if filters:
    extractor.enableFeatureClassByName("shape", False)
    extractor.enableImageTypeByName("LoG", customArgs={"sigma": [1.0, 2.0, 3.0]})
    extractor.enableImageTypeByName("Wavelet", customArgs={"wavelet": "coif1"})
image, mask = sitk.ReadImage(image), sitk.ReadImage(mask)
cpu, wall = time.process_time(), time.perf_counter()
found = extractor.execute(image, mask)
print(json.dumps(dict(tool="PyRadiomics " + radiomics.__version__, workload=sys.argv[3],
    cpu_s=round(time.process_time() - cpu, 3), wall_s=round(time.perf_counter() - wall, 3),
    peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    features=sum(not k.startswith("diagnostics") for k in found))))
"""


def run(image: str, mask: str, workload: str, spacing: float | None) -> None:
    """Run one workload in this process and print its line."""
    import numpy as np

    from coread.interop.nifti import read_label_map, read_volume
    from coread.quant.radiomics import Discretisation, extract_arrays, preset
    from coread.quant.radiomics.filters import LaplacianOfGaussian, SeparableWavelet

    volume, labels = read_volume(image), read_label_map(mask)
    values, region = volume.values, labels.values == 1
    size = volume.geometry.spacing_mm
    base = replace(
        preset("ct-default"),
        spacing_mm=None if spacing is None else (spacing,) * 3,
        autocorrelation=workload == "all-moran",
    )
    classic = ("statistics", "glcm", "glrlm", "glszm", "ngtdm", "ngldm")
    if workload in ("pyradiomics-set", "filters"):
        base = replace(
            base,
            families=classic if workload == "filters" else ("morphology", *classic),
            aggregations=("3d_avg", "3d"),
        )
    if workload == "filters":
        bands = ("".join(letters) for letters in product("LH", repeat=3))
        base = replace(
            base,
            filters=(
                *(LaplacianOfGaussian(sigma_mm=s) for s in (1.0, 2.0, 3.0)),
                *(SeparableWavelet(wavelet="coif1", bands=b) for b in bands),
            ),
            response_families=classic,
            response_discretisation=Discretisation(bin_width=25.0),
        )
    regions = {"1": region}
    if workload.startswith("labels"):
        # Compact pieces of one region, as organs are: boxes of equal share along the axes.
        k, j, i = np.nonzero(region)
        pieces = np.zeros(region.shape, np.uint16)
        count = 100 if workload == "labels-100" else 1
        parts = [np.searchsorted(np.quantile(a, np.linspace(0, 1, n + 1)[1:-1]), a) for a, n in
                 (((k, 4), (j, 5), (i, 5)) if count == 100 else ())]  # fmt: skip
        pieces[k, j, i] = 1 + (parts[0] * 25 + parts[1] * 5 + parts[2] if parts else 0)
        regions = pieces  # type: ignore[assignment]
    place = np.argwhere(region)[len(np.argwhere(region)) // 2]
    near = tuple(slice(max(0, p - 12), p + 12) for p in place)
    extract_arrays(values[near], {"warm": region[near]}, size, base)  # compile, or load what is compiled
    cpu, wall = time.process_time(), time.perf_counter()
    table = extract_arrays(values, regions, size, base)
    print(
        json.dumps(
            {
                "tool": "CoRead",
                "workload": workload,
                "cpu_s": round(time.process_time() - cpu, 3),
                "wall_s": round(time.perf_counter() - wall, 3),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "features": len(table),
            }
        ),
        flush=True,
    )


def main() -> None:
    """Run each workload in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image")
    parser.add_argument("mask")
    parser.add_argument("--spacing", type=float, help="resample to so many mm first")
    parser.add_argument("--workload", default="each")
    parser.add_argument("--pyradiomics", metavar="PYTHON")
    parser.add_argument("--mirp", metavar="PYTHON")
    given = parser.parse_args()
    if given.workload != "each":
        run(given.image, given.mask, given.workload, given.spacing)
        return
    print(
        json.dumps({"machine": platform.processor() or platform.machine(), "cpus": os.cpu_count()}),
        flush=True,
    )
    here = [sys.executable, str(Path(__file__).resolve()), given.image, given.mask]
    spaced = [] if given.spacing is None else ["--spacing", str(given.spacing)]
    for workload in WORKLOADS:
        subprocess.run([*here, *spaced, "--workload", workload], check=True)
    size = "" if given.spacing is None else str(given.spacing)
    if given.mirp:
        subprocess.run(
            [given.mirp, "-c", _MIRP, given.image, given.mask, size], check=True, stderr=subprocess.DEVNULL
        )
    if given.pyradiomics:
        for workload in ("pyradiomics-set", "filters"):
            words = [given.pyradiomics, "-c", _PEER, given.image, given.mask, workload]
            subprocess.run([*words, size], check=True)


if __name__ == "__main__":
    main()
