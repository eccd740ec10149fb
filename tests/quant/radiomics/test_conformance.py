"""The reference values of IBSI 1 and IBSI 2."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from coread.quant.radiomics import conformance
from coread.quant.radiomics.conformance import Check, Reference


def _references(path: Path, group: str, key: str) -> list[Reference]:
    with path.open(encoding="utf-8") as stream:
        return [
            Reference(
                row["tag"],
                row.get("aggregation_code", ""),
                float(row["reference_value"]),
                float(row["tolerance"]),
            )
            for row in csv.DictReader(stream)
            if row[key] == group and row["reference_value"]
        ]


def _array(path: Path) -> NDArray[np.float32]:
    return np.ascontiguousarray(nib.load(path).get_fdata(dtype=np.float32).T)


@pytest.fixture(scope="module")
def ct_phantom(shared: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_], tuple[float, ...]]:
    folder = shared / "radiomics" / "nc_ct_phantom"
    if not folder.is_dir():
        pytest.skip("the CT phantom (CC BY-NC 3.0) is not here")
    header = nib.load(folder / "ct_phantom_image.nii.gz").header
    spacing = tuple(float(s) for s in header.get_zooms()[::-1])
    mask = _array(folder / "ct_phantom_mask.nii.gz") > 0
    return _array(folder / "ct_phantom_image.nii.gz"), mask, spacing


def _failed(checks: tuple[Check, ...]) -> list[Check]:
    return [check for check in checks if not check.passed]


def test_all_values_of_the_digital_phantom_are_reached() -> None:
    checks = conformance.phantom_checks()
    assert len(checks) == 482
    assert _failed(checks) == []


def test_the_phantom_shipped_is_the_published_one(shared: Path) -> None:
    folder = shared / "radiomics" / "ibsi1"
    phantom = conformance.digital_phantom()
    assert np.array_equal(phantom.image, _array(folder / "digital_phantom_image.nii.gz"))
    assert np.array_equal(phantom.mask, _array(folder / "digital_phantom_mask.nii.gz") > 0)
    table = folder / "ibsi1_reference_values.csv"
    published = _references(table, "digital_phantom", "config")
    assert list(conformance.phantom_references()) == published


@pytest.mark.parametrize(
    ("config", "features"),
    [("config_A", 346), ("config_B", 346), ("config_C", 209), ("config_D", 210), ("config_E", 210)],
)
def test_all_values_of_a_configuration_are_reached(
    config: str, features: int, shared: Path, ct_phantom: tuple[NDArray[np.float32], ...]
) -> None:
    folder = shared / "radiomics" / "ibsi1"
    checks = conformance.configuration_checks(
        config,
        *ct_phantom,
        _references(folder / "ibsi1_reference_values.csv", config, "config"),
        _references(folder / "ibsi1_diagnostics_reference.csv", config, "config"),
    )
    assert len(checks) == features + 60
    assert _failed(checks) == []


@pytest.mark.parametrize("test", conformance.RESPONSE_MAPS)
def test_response_maps_lie_within_one_percent(test: str, shared: Path) -> None:
    folder = shared / "radiomics" / "ibsi2"
    name = conformance.RESPONSE_MAPS[test][0]
    reference = folder / "reference_response_maps" / f"{test.replace('.', '_')}.nii.gz"
    phantom = _array(folder / "phantoms" / f"{name}.nii.gz").astype(np.float64)
    assert conformance.response_map_check(test, phantom, _array(reference)).passed


@pytest.mark.parametrize("filter_id", [f"{n}.{d}" for n in range(1, 10) for d in "AB"])
def test_all_statistics_of_a_filtered_phantom_are_reached(
    filter_id: str, shared: Path, ct_phantom: tuple[NDArray[np.float32], ...]
) -> None:
    table = shared / "radiomics" / "ibsi2" / "ibsi2_phase2_reference_values.csv"
    references = _references(table, filter_id, "filter_id")
    # The consensus has no quartile coefficient for 8.B.
    assert len(references) == (17 if filter_id == "8.B" else 18)
    assert _failed(conformance.phase2_checks(filter_id, *ct_phantom, references)) == []


def test_a_check_fails_outside_its_tolerance() -> None:
    assert Check("s", "t", "", 1.0049, 1.0, 0.0).passed  # 1.00 to three digits
    assert not Check("s", "t", "", 1.006, 1.0, 0.0).passed
    assert Check("s", "t", "", 1.02, 1.0, 0.02).passed
    assert not Check("s", "t", "", None, 1.0, 0.5).passed
    assert not Check("s", "t", "", 3066.0, 3065.0, 0.0).passed
