"""Does this machine give the reference values? The checks of IBSI 1 and IBSI 2.

The digital phantom and its 482 values come with the package; the CT phantom, the reference values of
configurations A to E, the response maps and the values of IBSI 2 are handed in by whoever has them.

References:
    Digital phantom and reference values: IBSI reference manual and data sets, Zwanenburg et al. 2020,
    doi:10.1148/radiol.2020191145, CC BY 4.0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from coread.quant.radiomics._typing import Bools, Floats
from coread.quant.radiomics.extraction import extract_arrays
from coread.quant.radiomics.filters import (
    Filter,
    Gabor,
    LaplacianOfGaussian,
    Laws,
    Mean,
    SeparableWavelet,
)
from coread.quant.radiomics.settings import Settings, preset
from coread.quant.radiomics.spectral import NonseparableWavelet
from coread.quant.radiomics.table import FeatureTable

CONFIGURATIONS = {f"config_{letter.upper()}": f"ibsi-{letter}" for letter in "abcde"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A value to reach.

    Attributes:
        tag: Feature, or diagnostic.
        aggregation: Aggregation code; empty where none.
        value: The reference value.
        tolerance: How far off it may be.
    """

    tag: str
    aggregation: str
    value: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison with a reference value.

    Attributes:
        suite: What it belongs to, such as ``digital_phantom`` or ``config_C``.
        tag: Feature, diagnostic or test.
        aggregation: Aggregation code; empty where none.
        computed: What came out; None where nothing did.
        reference: What should.
        tolerance: How far off it may be.
    """

    suite: str
    tag: str
    aggregation: str
    computed: float | None
    reference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the value, rounded as the reference is printed, lies within the tolerance."""
        if self.computed is None or not math.isfinite(self.computed):
            return False
        digits = max(3, len(f"{abs(self.reference):.12g}".replace(".", "").split("e")[0].strip("0")))
        rounded = float(f"{self.computed:.{digits}g}")
        return abs(rounded - self.reference) <= self.tolerance + 1e-9 * abs(self.reference)


@dataclass(frozen=True, slots=True, eq=False)
class DigitalPhantom:
    """The digital phantom of IBSI 1: (4, 4, 5) grey levels, a mask of 74 voxels, 2 mm."""

    image: Floats
    mask: Bools
    spacing_mm: tuple[float, float, float]


def digital_phantom() -> DigitalPhantom:
    """Return the digital phantom (IBSI data sets, CC BY 4.0)."""
    text = (files("coread.quant.radiomics") / "data" / "digital_phantom.json").read_text("utf-8")
    table = json.loads(text)
    a, b, c = table["spacing_mm"]
    return DigitalPhantom(
        np.array(table["image"], dtype=np.float64), np.array(table["mask"], dtype=bool), (a, b, c)
    )


def phantom_references() -> tuple[Reference, ...]:
    """Return the 482 reference values of the digital phantom (IBSI reference manual, CC BY 4.0)."""
    path = files("coread.quant.radiomics") / "data" / "digital_phantom_reference.csv"
    _, *lines = path.read_text("utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    return tuple(Reference(row[0], row[1], float(row[2]), float(row[3])) for row in rows)


def phantom_checks() -> tuple[Check, ...]:
    """Return the comparison of all features and aggregations on the digital phantom."""
    phantom = digital_phantom()
    table = extract_arrays(
        phantom.image, {"region": phantom.mask}, phantom.spacing_mm, preset("ibsi-phantom")
    )
    return feature_checks("digital_phantom", table, phantom_references())


def feature_checks(
    suite: str, table: FeatureTable, references: Iterable[Reference], filter_code: str = ""
) -> tuple[Check, ...]:
    """Return the comparison of a table of one region with reference values."""
    values = {(item.feature, item.aggregation): item.value for item in table if item.filter == filter_code}
    return tuple(
        Check(suite, r.tag, r.aggregation, values.get((r.tag, r.aggregation)), r.value, r.tolerance)
        for r in references
    )


def configuration_checks(
    config: str,
    values: NDArray[np.float32],
    mask: Bools,
    spacing_mm: tuple[float, float, float],
    features: Iterable[Reference],
    diagnostics: Iterable[Reference],
) -> tuple[Check, ...]:
    """Return the comparison of features and diagnostics in a configuration A to E of IBSI 1.

    Args:
        config: ``config_A`` to ``config_E``.
        values: The CT phantom.
        mask: Its tumour.
        spacing_mm: Its spacing.
        features: Reference values of the configuration.
        diagnostics: Reference diagnostics of the configuration.
    """
    settings = preset(CONFIGURATIONS[config])
    table = extract_arrays(values, {"region": mask}, spacing_mm, settings, diagnostics=True)
    found = table.diagnostics["region"]
    steps = tuple(
        Check(f"{config} diagnostics", r.tag, "", found.get(r.tag), r.value, r.tolerance) for r in diagnostics
    )
    return feature_checks(config, table, features) + steps


_RAW_LAWS = Laws(kernels=("E5", "L5", "S5"), pooling=None, energy_delta=None, boundary="zero")
_CHECKER_LAWS = replace(_RAW_LAWS, kernels=("E3", "W5", "R5"), boundary="mirror")
_PLANE_LAWS = replace(_CHECKER_LAWS, kernels=("L5", "S5"))
_NARROW = Gabor(sigma_mm=10, gamma=0.5, wavelength_mm=4, theta=math.pi / 3, theta_step=None, boundary="zero")
_WIDE = Gabor(sigma_mm=20, gamma=2.5, wavelength_mm=8, theta=5 * math.pi / 4, theta_step=None)
_DB2 = SeparableWavelet(wavelet="db2", bands="LHL", boundary="zero")
_COIF1 = SeparableWavelet(wavelet="coif1", bands="HHL", boundary="periodic")
_HAAR = SeparableWavelet(wavelet="haar", bands="LLL", level=2, pooling="average")

RESPONSE_MAPS: Mapping[str, tuple[str, Filter]] = {
    "1.a.1": ("checkerboard", Mean(support=15, boundary="zero")),
    "1.a.2": ("checkerboard", Mean(support=15, boundary="nearest")),
    "1.a.3": ("checkerboard", Mean(support=15, boundary="periodic")),
    "1.a.4": ("checkerboard", Mean(support=15, boundary="mirror")),
    "1.b.1": ("impulse", Mean(support=15, boundary="zero", planar=True)),
    "2.a": ("impulse", LaplacianOfGaussian(sigma_mm=3, boundary="zero")),
    "2.b": ("checkerboard", LaplacianOfGaussian(sigma_mm=5)),
    "2.c": ("checkerboard", LaplacianOfGaussian(sigma_mm=5, planar=True)),
    "3.a.1": ("impulse", _RAW_LAWS),
    "3.a.2": ("impulse", replace(_RAW_LAWS, pooling="max")),
    "3.a.3": ("impulse", replace(_RAW_LAWS, pooling="max", energy_delta=7)),
    "3.b.1": ("checkerboard", _CHECKER_LAWS),
    "3.b.2": ("checkerboard", replace(_CHECKER_LAWS, pooling="max")),
    "3.b.3": ("checkerboard", replace(_CHECKER_LAWS, pooling="max", energy_delta=7)),
    "3.c.1": ("checkerboard", _PLANE_LAWS),
    "3.c.2": ("checkerboard", replace(_PLANE_LAWS, pooling="max")),
    "3.c.3": ("checkerboard", replace(_PLANE_LAWS, pooling="max", energy_delta=7)),
    "4.a.1": ("impulse", _NARROW),
    "4.a.2": ("impulse", replace(_NARROW, theta=0.0, theta_step=math.pi / 4, planes=True)),
    "4.b.1": ("sphere", _WIDE),
    "4.b.2": ("sphere", replace(_WIDE, theta=0.0, theta_step=math.pi / 8, planes=True)),
    "5.a.1": ("impulse", _DB2),
    "5.a.2": ("impulse", replace(_DB2, pooling="average")),
    "6.a.1": ("sphere", _COIF1),
    "6.a.2": ("sphere", replace(_COIF1, pooling="average")),
    "7.a.1": ("checkerboard", _HAAR),
    "7.a.2": ("checkerboard", replace(_HAAR, bands="HHH")),
    "8.a.1": ("checkerboard", NonseparableWavelet(level=1)),
    "8.a.2": ("checkerboard", NonseparableWavelet(level=2)),
    "8.a.3": ("checkerboard", NonseparableWavelet(level=3)),
}
"""The 30 standardised response maps of IBSI 2, phase 1: phantom and filter by test."""


def response_map_check(test: str, phantom: Floats, reference: Floats) -> Check:
    """Return the largest deviation of a response map as a share of the reference's range.

    Args:
        test: A key of `RESPONSE_MAPS`.
        phantom: The (64, 64, 64) phantom of 2 mm.
        reference: The consensus map.
    """
    response = RESPONSE_MAPS[test][1].response(np.ascontiguousarray(phantom), np.full(3, 2.0))
    worst = float(np.abs(response - reference).max() / np.ptp(reference))
    return Check("ibsi2 maps", test, "", worst, 0.0, 0.01)


def _phase2_filter(number: int, *, planar: bool) -> Filter | None:
    """Return the filter of IBSI 2, phase 2, in its slice-wise (A) or spatial (B) form."""
    wavelet = SeparableWavelet(wavelet="db3", bands="LH" if planar else "LLH", pooling="average")
    filters: dict[int, Filter] = {
        2: Mean(support=5, planar=planar),
        3: LaplacianOfGaussian(sigma_mm=1.5, planar=planar),
        4: Laws(kernels=("L5", "E5") if planar else ("L5", "E5", "E5")),
        5: Gabor(planes=not planar),
        6: wavelet,
        7: replace(wavelet, bands="HH" if planar else "HHH", level=2),
        8: NonseparableWavelet(level=1, planar=planar),
        9: NonseparableWavelet(level=2, planar=planar),
    }
    return filters.get(number)


def phase2_settings(filter_id: str) -> tuple[Settings, str]:
    """Return the settings of a test of IBSI 2, phase 2 (``1.A`` to ``9.B``), and its filter's code."""
    number, dimension = filter_id.split(".")
    planar = dimension == "A"
    made = _phase2_filter(int(number), planar=planar)
    base = Settings(
        name=f"ibsi2-{filter_id}",
        round_intensities=True,
        intensity_range=(-1000.0, 400.0),
        families=("statistics",),
        response_families=("statistics",),
        spacing_mm=None if planar else (1.0, 1.0, 1.0),
        interpolation="cubic",
        filters=() if made is None else (made,),
        unfiltered=made is None,
    )
    return base, "" if made is None else made.code


def phase2_checks(
    filter_id: str,
    values: NDArray[np.float32],
    mask: Bools,
    spacing_mm: tuple[float, float, float],
    references: Iterable[Reference],
) -> tuple[Check, ...]:
    """Return the comparison of 18 statistics of a filtered CT phantom (IBSI 2, phase 2)."""
    settings, code = phase2_settings(filter_id)
    table = extract_arrays(values, {"region": mask}, spacing_mm, settings)
    return feature_checks(f"ibsi2 {filter_id}", table, references, code)
