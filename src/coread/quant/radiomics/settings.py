"""Settings of an extraction: a frozen object, presets by name, TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from coread.errors import InputError
from coread.quant.radiomics.filters import FILTERS, Filter

Family = Literal[
    "morphology", "local_intensity", "statistics", "histogram", "volume_histogram",
    "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm",
]  # fmt: skip
FAMILIES: tuple[Family, ...] = (
    "morphology", "local_intensity", "statistics", "histogram", "volume_histogram",
    "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm",
)  # fmt: skip
Aggregation = Literal[
    "2d_avg", "2d_s_mrg", "2.5d_d_mrg", "2.5d_v_mrg", "3d_avg", "3d_v_mrg", "2d", "2.5d", "3d"
]
AGGREGATION_IDS: dict[str, str] = {
    "2d_avg": "BTW3", "2d_s_mrg": "SUJT", "2.5d_d_mrg": "JJUI", "2.5d_v_mrg": "ZW7Z",
    "3d_avg": "ITBB", "3d_v_mrg": "IAZD", "2d": "8QNN", "2.5d": "62GR", "3d": "KOBO",
}  # fmt: skip
IN_PLANE: tuple[Aggregation, ...] = (
    "2d_avg", "2d_s_mrg", "2.5d_d_mrg", "2.5d_v_mrg", "2d", "2.5d",
)  # fmt: skip
VOLUMETRIC: tuple[Aggregation, ...] = ("3d_avg", "3d_v_mrg", "3d")


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} is one of {', '.join(allowed)}; got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discretisation:
    """Grey levels: a width in the image's unit, a count, or the values as they are (IBSI 4R0B).

    Attributes:
        bin_width: Fixed bin size (Q3RU); starts at the lower bound of the re-segmentation range,
            without one at the region's minimum, which IBSI does not standardise.
        bin_count: Fixed bin number (K15C) between the region's minimum and maximum.

    With neither, intensities are the levels; they must be whole and not negative.
    """

    bin_width: float | None = None
    bin_count: int | None = None

    def __post_init__(self) -> None:
        if self.bin_width is not None and self.bin_count is not None:
            raise InputError("give bin_width or bin_count, not both")
        if self.bin_width is not None and not self.bin_width > 0:
            raise InputError(f"a bin width is positive, got {self.bin_width}")
        if self.bin_count is not None and not 1 <= self.bin_count <= 65535:
            raise InputError(f"a bin count lies between 1 and 65535, got {self.bin_count}")

    @property
    def code(self) -> str:
        """Short name: ``FBS:25``, ``FBN:32`` or ``none``."""
        if self.bin_width is not None:
            return f"FBS:{self.bin_width:g}"
        return f"FBN:{self.bin_count}" if self.bin_count is not None else "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides a feature's value.

    Attributes:
        name: Name of the preset, or of the file.
        spacing_mm: New voxel spacing (slice, row, column); None keeps that axis.
        interpolation: Of the image: trilinear or tricubic spline.
        mask_interpolation: Linear with partial volume threshold, or nearest neighbour.
        mask_threshold: Share of a voxel that must be region (linear interpolation).
        normalise: Scale of a z-score over the whole image before anything else; None for none.
        round_intensities: Round to whole numbers on reading and after interpolation (HU).
        intensity_range: Re-segmentation range, both ends included; None leaves an end open.
        outlier_sigma: Drop voxels further than so many standard deviations from the mean.
        discretisation: Grey levels of texture and histogram.
        volume_histogram: Grey levels of the intensity-volume histogram.
        response_discretisation: Grey levels in filtered images.
        families: Feature families to compute.
        response_families: Families to compute on filtered images.
        aggregations: How texture matrices are aggregated.
        dependence_alpha: Coarseness of NGLDM.
        autocorrelation: Whether to compute Moran's I and Geary's C.
        filters: Image filters whose responses are measured besides the image itself.
        energy_shift: Added to intensities in energy and root mean square (PyRadiomics only).
        unfiltered: Whether the image itself is measured.
        compatibility: ``ibsi``, or ``pyradiomics`` for values and names of PyRadiomics.
    """

    name: str = "custom"
    spacing_mm: tuple[float | None, float | None, float | None] | None = None
    interpolation: Literal["linear", "cubic"] = "linear"
    mask_interpolation: Literal["linear", "nearest"] = "linear"
    mask_threshold: float = 0.5
    normalise: float | None = None
    round_intensities: bool = False
    intensity_range: tuple[float | None, float | None] | None = None
    outlier_sigma: float | None = None
    discretisation: Discretisation = Discretisation(bin_count=32)
    volume_histogram: Discretisation = Discretisation(bin_count=1000)
    response_discretisation: Discretisation = Discretisation(bin_count=32)
    families: tuple[Family, ...] = FAMILIES
    response_families: tuple[Family, ...] = (
        "statistics", "histogram", "volume_histogram", "glcm", "glrlm", "glszm", "gldzm",
        "ngtdm", "ngldm",
    )  # fmt: skip
    aggregations: tuple[Aggregation, ...] = VOLUMETRIC
    dependence_alpha: int = 0
    autocorrelation: bool = True
    filters: tuple[Filter, ...] = ()
    energy_shift: float = 0.0
    unfiltered: bool = True
    compatibility: Literal["ibsi", "pyradiomics"] = "ibsi"

    def __post_init__(self) -> None:
        _one_of("interpolation", self.interpolation, ("linear", "cubic"))
        _one_of("mask_interpolation", self.mask_interpolation, ("linear", "nearest"))
        _one_of("compatibility", self.compatibility, ("ibsi", "pyradiomics"))
        for family in (*self.families, *self.response_families):
            _one_of("a family", family, FAMILIES)
        for code in self.aggregations:
            _one_of("an aggregation", code, tuple(AGGREGATION_IDS))
        if self.spacing_mm is not None and (
            len(self.spacing_mm) != 3 or any(s is not None and not s > 0 for s in self.spacing_mm)
        ):
            raise InputError(f"spacing_mm has three positive numbers, got {self.spacing_mm}")
        if self.intensity_range is not None:
            low, high = self.intensity_range
            if low is not None and high is not None and not low < high:
                raise InputError(f"an intensity range rises, got {low} to {high}")
        if not 0 < self.mask_threshold <= 1:
            raise InputError(f"a mask threshold lies in (0, 1], got {self.mask_threshold}")

    @property
    def lower_bound(self) -> float | None:
        """Lower end of the re-segmentation range, None where it is open."""
        return None if self.intensity_range is None else self.intensity_range[0]

    def to_table(self) -> dict[str, Any]:
        """Return the settings as a plain table, as TOML and JSON have it; open ends are ``"none"``."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Return settings from a table; ``preset`` names the one that it starts from.

        Raises:
            InputError: A key or value that settings don't have.
        """
        values = dict(table)
        base = preset(values.pop("preset")) if "preset" in values else cls()
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"settings have no {', '.join(unknown)}; they have {', '.join(sorted(known))}")
        try:
            made = {key: _made(key, value) for key, value in values.items()}
            return replace(base, **made)  # type: ignore[return-value]
        except TypeError as error:
            raise InputError(f"settings can't be read: {error}") from error

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """Return settings from a TOML file.

        Raises:
            InputError: The file is no TOML, or holds a key or value that settings don't have.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path.name} is not TOML: {error}") from error
        return cls.from_table({"name": path.stem, **table})

    def to_toml(self) -> str:
        """Return the settings as a TOML text that `from_toml` reads back."""
        table = self.to_table()
        filters = table.pop("filters")
        plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
        lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
        for key, value in table.items():
            if isinstance(value, dict):
                lines += ["", f"[{key}]", *(f"{k} = {_toml(v)}" for k, v in value.items())]
        for item in filters:
            lines += ["", "[[filters]]", *(f"{k} = {_toml(v)}" for k, v in item.items())]
        return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        table = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        kind = {kind: name for name, kind in FILTERS.items()}.get(type(value))
        return {"kind": kind, **table} if kind else table
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return "none" if value is None else value


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)


def _open(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_open(item) for item in value)
    return None if value == "none" else value


def _made(key: str, value: Any) -> Any:
    if key == "filters":
        return tuple(_filter(item) for item in value)
    if key in ("discretisation", "volume_histogram", "response_discretisation"):
        if isinstance(value, Discretisation):
            return value
        return Discretisation(**{k: _open(v) for k, v in value.items()})
    return _open(value)


def _filter(table: Mapping[str, Any] | Filter) -> Filter:
    if not isinstance(table, Mapping):
        return table
    values = dict(table)
    kind = values.pop("kind", None)
    if kind not in FILTERS:
        raise InputError(f"a filter is one of {', '.join(FILTERS)}; got {kind!r}")
    made: Filter = FILTERS[kind](**{key: _open(value) for key, value in values.items()})
    return made


_NO_BINS = Discretisation()
_CT = Settings(
    round_intensities=True,
    discretisation=Discretisation(bin_width=25.0),
    volume_histogram=_NO_BINS,
)
PRESETS: dict[str, Settings] = {
    item.name: item
    for item in (
        Settings(
            name="ibsi-phantom",
            discretisation=_NO_BINS,
            volume_histogram=_NO_BINS,
            aggregations=(*IN_PLANE, *VOLUMETRIC),
        ),
        replace(_CT, name="ibsi-a", intensity_range=(-500.0, 400.0), aggregations=IN_PLANE),
        replace(
            _CT,
            name="ibsi-b",
            spacing_mm=(None, 2.0, 2.0),
            intensity_range=(-500.0, 400.0),
            discretisation=Discretisation(bin_count=32),
            aggregations=IN_PLANE,
        ),
        replace(
            _CT,
            name="ibsi-c",
            spacing_mm=(2.0, 2.0, 2.0),
            intensity_range=(-1000.0, 400.0),
            volume_histogram=Discretisation(bin_width=2.5),
        ),
        replace(
            _CT,
            name="ibsi-d",
            spacing_mm=(2.0, 2.0, 2.0),
            outlier_sigma=3.0,
            discretisation=Discretisation(bin_count=32),
        ),
        replace(
            _CT,
            name="ibsi-e",
            spacing_mm=(2.0, 2.0, 2.0),
            interpolation="cubic",
            intensity_range=(-1000.0, 400.0),
            outlier_sigma=3.0,
            discretisation=Discretisation(bin_count=32),
            volume_histogram=Discretisation(bin_count=1000),
        ),
        replace(
            _CT,
            name="ct-default",
            spacing_mm=(2.0, 2.0, 2.0),
            intensity_range=(-1000.0, 3000.0),
        ),
        Settings(name="mr-default", spacing_mm=(1.0, 1.0, 1.0), outlier_sigma=3.0),
        Settings(
            name="pet-default",
            spacing_mm=(4.0, 4.0, 4.0),
            intensity_range=(0.0, None),
            discretisation=Discretisation(bin_width=0.25),
        ),
        Settings(
            name="pyradiomics",
            mask_interpolation="nearest",
            interpolation="cubic",
            discretisation=Discretisation(bin_width=25.0),
            response_discretisation=Discretisation(bin_width=25.0),
            aggregations=("3d_avg", "3d"),
            families=("morphology", "statistics", "glcm", "glrlm", "glszm", "ngtdm", "ngldm"),
            response_families=("statistics", "glcm", "glrlm", "glszm", "ngtdm", "ngldm"),
            autocorrelation=False,
            compatibility="pyradiomics",
        ),
    )
}


def preset(name: str) -> Settings:
    """Return the settings of a preset.

    Raises:
        InputError: No preset has that name.
    """
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
