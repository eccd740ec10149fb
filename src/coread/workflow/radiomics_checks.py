"""The reference values of IBSI on this machine: the phantom shipped, and a folder of IBSI data."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError
from coread.interop.nifti import read_volume
from coread.quant.radiomics import conformance
from coread.quant.radiomics.conformance import Check, Reference

Progress = Callable[[float, str], None]


def run_checks(folder: Path | None = None, *, progress: Progress | None = None) -> tuple[Check, ...]:
    """Return the comparison with every reference value there is data for.

    Args:
        folder: IBSI data: ``ibsi1`` and ``ibsi2`` with their tables, phantoms and maps, and
            ``nc_ct_phantom`` with the CT phantom. Without it only the digital phantom is run.
        progress: Called with the share done and words.

    Raises:
        DataError: The folder has none of them.
    """
    checks = list(conformance.phantom_checks())
    if folder is None:
        return tuple(checks)
    suites = list(_suites(folder))
    if not suites:
        raise DataError(
            f"no IBSI data in {folder.name}", "expected the folders ibsi1, ibsi2 and nc_ct_phantom"
        )
    for number, (name, run) in enumerate(suites, 1):
        checks.extend(run())
        if progress is not None:
            progress(number / len(suites), name)
    return tuple(checks)


def _suites(folder: Path) -> Iterable[tuple[str, Callable[[], tuple[Check, ...]]]]:
    first, second = folder / "ibsi1", folder / "ibsi2"
    ct = _Phantom(folder / "nc_ct_phantom")
    if ct.there and (first / "ibsi1_reference_values.csv").is_file():
        for config in conformance.CONFIGURATIONS:

            def configuration(config: str = config) -> tuple[Check, ...]:
                return conformance.configuration_checks(
                    config,
                    *ct.load(),
                    _references(first / "ibsi1_reference_values.csv", "config", config),
                    _references(first / "ibsi1_diagnostics_reference.csv", "config", config),
                )

            yield config, configuration
    if (second / "reference_response_maps").is_dir():
        for test, (phantom, _) in conformance.RESPONSE_MAPS.items():

            def response(test: str = test, phantom: str = phantom) -> tuple[Check, ...]:
                image = _values(second / "phantoms" / f"{phantom}.nii.gz").astype(np.float64)
                name = f"{test.replace('.', '_')}.nii.gz"
                reference = _values(second / "reference_response_maps" / name)
                return (conformance.response_map_check(test, image, reference.astype(np.float64)),)

            yield f"response map {test}", response
    if ct.there and (second / "ibsi2_phase2_reference_values.csv").is_file():
        for filter_id in (f"{n}.{dimension}" for n in range(1, 10) for dimension in "AB"):

            def filtered(filter_id: str = filter_id) -> tuple[Check, ...]:
                table = second / "ibsi2_phase2_reference_values.csv"
                return conformance.phase2_checks(
                    filter_id, *ct.load(), _references(table, "filter_id", filter_id)
                )

            yield f"filter {filter_id}", filtered


class _Phantom:
    """The CT phantom, read once when it is first wanted."""

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / "ct_phantom_image.nii.gz", folder / "ct_phantom_mask.nii.gz")
        self._loaded: tuple[NDArray[np.float32], NDArray[np.bool_], tuple[float, float, float]] | None = None

    @property
    def there(self) -> bool:
        """Whether both files are."""
        return all(path.is_file() for path in self._paths)

    def load(self) -> tuple[NDArray[np.float32], NDArray[np.bool_], tuple[float, float, float]]:
        """Return image, mask and spacing."""
        if self._loaded is None:
            image = read_volume(self._paths[0])
            self._loaded = image.values, _values(self._paths[1]) > 0, image.geometry.spacing_mm
        return self._loaded


def _values(path: Path) -> NDArray[np.float32]:
    return read_volume(path).values.astype(np.float32)


def _references(path: Path, key: str, group: str) -> tuple[Reference, ...]:
    """Return the reference values of a group; rows without a value were not agreed on by IBSI."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8") as stream:
        return tuple(
            Reference(
                row["tag"],
                row.get("aggregation_code", ""),
                float(row["reference_value"]),
                float(row["tolerance"]),
            )
            for row in csv.DictReader(stream)
            if row[key] == group and row["reference_value"]
        )


def summary(checks: Iterable[Check]) -> dict[str, tuple[int, int]]:
    """Return for each suite how many values were reached, of how many."""
    found: dict[str, tuple[int, int]] = {}
    for check in checks:
        reached, total = found.get(check.suite, (0, 0))
        found[check.suite] = (reached + check.passed, total + 1)
    return found


def as_markdown(checks: Iterable[Check], machine: str) -> str:
    """Return the conformance table as a page of the documentation."""
    checks = tuple(checks)
    reached = sum(check.passed for check in checks)
    lines = [
        "# Radiomics: conformance with IBSI",
        "",
        "Made by `coread radiomics verify --data FOLDER --out docs/radiomics-conformance.md`; run it to see",
        "the table of your own machine. A value is reached when it lies within the tolerance of the",
        "reference manual, rounded to the digits printed there; a response map when every voxel lies within",
        "1 % of the map's range.",
        "",
        f"Machine: {machine}. {reached} of {len(checks)} values reached.",
        "",
        "| suite | reached | of |",
        "|---|---:|---:|",
    ]
    names = {
        "digital_phantom": "IBSI 1, digital phantom: 169 features, all aggregations",
        "ibsi2 maps": "IBSI 2, phase 1: response maps",
    }
    for suite, (good, total) in summary(checks).items():
        lines.append(f"| {names.get(suite, suite)} | {good} | {total} |")
    missed = [check for check in checks if not check.passed]
    if missed:
        lines += [
            "",
            "Not reached:",
            "",
            "| suite | value | computed | reference | tolerance |",
            "|---|---|---:|---:|---:|",
        ]
        lines += [
            f"| {c.suite} | {c.tag} {c.aggregation} | {c.computed} | {c.reference:g} | {c.tolerance:g} |"
            for c in missed
        ]
    lines += [
        "",
        "Filter 8.B of IBSI 2 has 17 values: the consensus gives no quartile coefficient of dispersion.",
        "",
        "The digital phantom and its reference values are those of the IBSI reference manual and data sets",
        "(Zwanenburg et al. 2020, doi:10.1148/radiol.2020191145; CC BY 4.0). The CT phantom is CC BY-NC 3.0",
        "(Lambin, doi:10.17195/candat.2016.08.1) and not shipped. Response maps: CC0.",
        "",
    ]
    return "\n".join(lines)
