"""Open a study, run every analyzer that applies, look at the numbers, write the exports."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import coread
from coread.core import Geometry
from coread.testing.demo.dicom import SimulatedStudy, write_ct
from coread.testing.thorax import Thorax, voxelise


def make_study(folder: Path) -> None:
    """Write a small simulated chest CT; any folder of DICOM files would do."""
    shape, spacing_mm = (60, 200, 240), (5.0, 1.6, 1.6)
    thorax = voxelise(Thorax(sex="M", emphysema=0.8), shape=shape, spacing_mm=spacing_mm)
    hu = np.clip(np.rint(thorax.hu), -1024, 3071).astype(np.int16)
    grid = Geometry.axial(shape, spacing_mm, thorax.origin_mm)
    header = SimulatedStudy(key="example", patient_name="SIMULATED^Example")
    write_ct(hu, grid, header, folder, description="chest", kernel="none")


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        make_study(Path(folder) / "study")

        study = coread.open_study(Path(folder) / "study")
        results = coread.read(study)
        for finding in results.findings:
            print(finding.concept.meaning, finding.status)
        print(results.measurements_frame()[["measurement", "site", "value", "unit"]].to_string(index=False))
        for path in results.export(Path(folder) / "out", formats=["sr", "seg", "html"]):
            print(path.name)


if __name__ == "__main__":
    main()
