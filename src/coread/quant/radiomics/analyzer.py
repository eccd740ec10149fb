"""The radiomics of every segmented region, fitted to the platform."""

from __future__ import annotations

from coread.core import (
    CodedConcept,
    Inputs,
    Mask,
    Measurement,
    Note,
    Quantity,
    Result,
    Volume,
)
from coread.errors import GeometryError, NotApplicableError
from coread.quant.radiomics.extraction import extract
from coread.quant.radiomics.settings import Settings, preset
from coread.quant.radiomics.table import Feature, FeatureTable, catalogue

_UCUM = {"HU": "[hnsf'U]", "SUVbw": "g/mL", "ADC": "um2/s"}
_LIMITS: dict[str, tuple[str, ...]] = {
    "ibsi": (),
    "outside": ("outside the IBSI standard",),
    "pyradiomics": ("by the definition of PyRadiomics",),
}
_DEFAULTS = {"CT": "ct-default", "PT": "pet-default"}


def settings_for(volume: Volume) -> Settings:
    """Return the preset that fits the modality of a volume."""
    return preset(_DEFAULTS.get(volume.acquisition.modality, "mr-default"))


def feature_unit(feature: Feature, volume_unit: str) -> str:
    """Return the UCUM unit of a feature measured on an image of that unit.

    Examples:
        >>> from coread.quant.radiomics.table import Feature
        >>> mean = Feature("r", "statistics", "stat_mean", "Q4LE", "", "", "", 3.0, "", "ibsi", "intensity")
        >>> feature_unit(mean, "HU")
        "[hnsf'U]"
    """
    base = _UCUM.get(volume_unit, "1")
    if feature.filter:
        base = "1"  # a response is not in the unit of the image
    parts = {
        "intensity": base,
        "intensity2": "1" if base == "1" else f"({base})2",
        "intensity.mm3": "mm3" if base == "1" else f"{base}.mm3",
        "intensity2.mm3": "mm3" if base == "1" else f"({base})2.mm3",
    }
    return parts.get(feature.unit, feature.unit)


def feature_concept(feature: Feature) -> CodedConcept:
    """Return the IBSI code of a feature, or one of our own where IBSI has none."""
    item = catalogue().get(feature.feature)
    name = feature.feature if item is None else item.name
    if feature.ibsi_id:
        return CodedConcept(feature.ibsi_id, "IBSI", name)
    return CodedConcept(f"{feature.family}-{feature.feature}"[:64], "99COREAD", name)


def feature_measurements(table: FeatureTable, volume: Volume) -> tuple[Measurement, ...]:
    """Return the features that have a value as measurements; the first flag names the region of each.

    They carry neither the region nor the slices: hundreds of numbers share them, a report says them once.
    """
    return tuple(
        Measurement(
            feature_concept(item),
            Quantity(item.value, feature_unit(item, volume.unit)),
            method=" ".join(p for p in (item.filter, item.aggregation, item.discretisation) if p) or None,
            flags=(f"region {item.label}", *_LIMITS[item.flag]),
        )
        for item in table
        if item.value is not None
    )


class Radiomics:
    """Measures the IBSI features of every region on the volume that it lies on."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings

    def analyze(self, inputs: Inputs) -> Result:
        """Return the features of each mask, in the order of their keys.

        Raises:
            NotApplicableError: There is no grey volume, or no region that lies on one.
        """
        volumes = {key: v for key, v in sorted(inputs.volumes.items()) if v.values.ndim == 3}
        masks = {key: m for key, m in sorted(inputs.masks.items()) if isinstance(m, Mask)}
        if not volumes or not masks:
            raise NotApplicableError(
                f"{len(volumes)} grey volumes and {len(masks)} regions in the patient",
                "radiomics needs a volume and a segmented region",
            )
        measurements: list[Measurement] = []
        notes: list[Note] = []
        measured = 0
        for key, mask in masks.items():
            found = _measured(key, mask, volumes, self.settings)
            if found is None:
                notes.append(Note("warning", "elsewhere", f"The region {key} lies on no volume given."))
                continue
            measured += 1
            volume, table = found
            measurements.extend(feature_measurements(table, volume))
            notes.extend(Note("information", "regridded", words) for words in table.notes.get(key, ()))
            missing = sorted({item.reason for item in table if item.value is None})
            if missing:
                text = f"Some features of the region {key} have no value: {', '.join(missing)}."
                notes.append(Note("warning", "undefined-features", text))
        if not measured:
            raise NotApplicableError(
                "the regions lie on none of the volumes",
                "regions drawn on a volume of the study",
                "check the frames of reference",
            )
        return Result(measurements=tuple(measurements), notes=tuple(notes))


def _measured(
    key: str, mask: Mask, volumes: dict[str, Volume], settings: Settings | None
) -> tuple[Volume, FeatureTable] | None:
    """Return the features on the first volume of the mask's own grid, else on the first it touches."""
    ordered = sorted(volumes.values(), key=lambda v: not v.geometry.almost_equal(mask.geometry))
    for volume in ordered:
        try:
            return volume, extract(volume, {key: mask}, settings or settings_for(volume))
        except GeometryError:
            continue
    return None
