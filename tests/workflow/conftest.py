"""A small study on the disk and analyzers of an outside package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from coread.core import Geometry
from coread.testing.demo.dicom import SimulatedStudy, write_ct
from coread.workflow import analyzers

CARD = """
name = "{name}"
version = "1.2.3"
kind = "measure"
mode = "measurement"
needs = {needs}
intended_use = "A test."
not_for = "Anything else."
evidence_level = 1
training_data = "none"
licence = "Apache-2.0"
references = ["none"]
"""
CODE = """
from coread.core import (
    Finding, LabelMap, MaskRegion, Measurement, Model, PatientSpace, Probability, Quantity, Result, vocabulary
)
from coread.core import Mask
from coread.errors import AnalysisError, NotApplicableError
import numpy as np

class Good:
    def analyze(self, inputs):
        volume = next(iter(inputs.volumes.values()))
        labels = np.ones(volume.geometry.shape, np.uint16)
        space = PatientSpace(volume.frame_of_reference or "1")
        bright = MaskRegion(Mask(np.asarray(volume.values > 0), volume.geometry), space)
        finding = Finding(
            "first",
            vocabulary.LUNG_NODULE,
            "present",
            Model("good", "1.2.3", None, "measurement"),
            probability=Probability(0.75, None, 0.5, False),
            region=bright,
        )
        return Result(
            findings=(finding,),
            measurements=(Measurement(vocabulary.VOLUME, Quantity(float(volume.values.mean()), "mL")),),
            labels=(
                LabelMap(
                    labels,
                    volume.geometry,
                    {1: vocabulary.LUNG},
                    volume.frame_of_reference,
                    volume.source_instances,
                ),
            ),
        )

class Unfit:
    def analyze(self, inputs):
        raise NotApplicableError("not a chest")

class Stuck:
    def analyze(self, inputs):
        raise AnalysisError("no airway found")

class Broken:
    def analyze(self, inputs):
        raise KeyError("Mustermann^Max")

class Later:
    def analyze(self, inputs):
        (mask,) = inputs.masks.values()
        volume = Quantity(float(mask.voxels.sum()), "mL")
        return Result(measurements=(Measurement(vocabulary.VOLUME, volume),))

class Nothing:
    pass
"""
NEEDS = {
    "good": '{ volumes = { modality = "CT", minimum_slices = 2 } }',
    "unfit": '{ volumes = "any" }',
    "stuck": '{ volumes = "any" }',
    "broken": '{ volumes = "any" }',
    "later": '{ masks = { analyzer = "good" } }',
    "nothing": '{ volumes = "any" }',
}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package on the path that registers analyzers as an outside package does."""
    root = tmp_path / "site"
    package = root / "outside_plugin"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name, need in NEEDS.items():
        (package / f"{name}.py").write_text(CODE)
        (package / f"{name}.card.toml").write_text(CARD.format(name=name, needs=need))
    (package / "cardless.py").write_text(CODE)
    info = root / "outside_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-plugin\nVersion: 1.0\n")
    lines = [f"t_{name} = outside_plugin.{name}:{name.capitalize()}" for name in (*NEEDS, "cardless")]
    (info / "entry_points.txt").write_text("[coread.analyzers]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(root))
    analyzers.discover.cache_clear()
    yield root
    analyzers.discover.cache_clear()
    for module in [m for m in sys.modules if m.startswith("outside_plugin")]:
        del sys.modules[module]


@pytest.fixture
def small_ct(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A folder with a CT of six slices with a bright block, and its values in HU."""
    grid = Geometry.axial((6, 16, 20), (2.0, 0.8, 0.9), (-50.0, -40.0, 100.0))
    hu = np.full(grid.shape, -700, np.int16)
    hu[2:4, 5:9, 6:12] = 40
    study = SimulatedStudy(
        key="small", patient_name="SIMULATED^Işık", birth=date(1960, 5, 14), day=date(2026, 5, 14)
    )
    folder = tmp_path / "studies"
    write_ct(hu, grid, study, folder, description="test", kernel="none")
    return folder, hu
