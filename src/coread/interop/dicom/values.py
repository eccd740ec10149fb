"""Stored values into modality values: rescale, look-up tables, units, padding, windows.

References:
    DICOM PS3.3, C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.5.1.1.2 (pixel padding), C.8.9.1 (PET units),
    C.7.6.16.2.9 (pixel value transformation of a frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

from coread.core import Note
from coread.errors import DataError
from coread.interop.dicom.attributes import integer, items, number, numbers, text, words
from coread.interop.dicom.pixels import pixel_format
from coread.interop.dicom.slices import functional_group

_CT = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_PET_UNITS = {"BQML": "Bq/mL", "CNTS": "counts", "CPS": "counts/s", "GML": "g/mL", "PROPCPS": "counts/s"}
_ADC_MAKERS = ("SIEMENS", "GE MEDICAL", "GE HEALTHCARE", "UIH")


@dataclass(frozen=True, slots=True)
class Window:
    """A window of modality values for display.

    Attributes:
        center: Its centre.
        width: Its width, positive.
        name: Words of the source or the name of a preset.
        function: ``linear``, ``linear_exact`` or ``sigmoid``.
    """

    center: float
    width: float
    name: str = ""
    function: Literal["linear", "linear_exact", "sigmoid"] = "linear"


CT_PRESETS = (
    Window(50.0, 400.0, "soft tissue"),
    Window(-600.0, 1500.0, "lung"),
    Window(40.0, 350.0, "mediastinum"),
    Window(40.0, 80.0, "brain"),
    Window(35.0, 35.0, "stroke"),
    Window(80.0, 200.0, "subdural"),
    Window(400.0, 1800.0, "bone"),
    Window(60.0, 160.0, "liver"),
    Window(150.0, 600.0, "angiography"),
)
"""Usual windows for CT in HU, by name."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How stored values of a frame become modality values: a line, or a table of the instance."""

    slope: float
    intercept: float
    unit: str
    table: Dataset | None = None


def scale_of(groups: Sequence[Dataset]) -> Scale:
    """Return the scale of a frame, by its functional groups first, then by its instance (the last)."""
    dataset = groups[-1]
    transform = functional_group(tuple(groups[:-1]), "PixelValueTransformationSequence")
    source = transform if "RescaleSlope" in transform else dataset
    table = dataset if source is dataset and items(dataset, "ModalityLUTSequence") else None
    slope, intercept = number(source, "RescaleSlope"), number(source, "RescaleIntercept")
    # A slope of 0 would make all voxels alike; it stands for "none" in the files that have it.
    said = text(source, "RescaleType").upper()
    return Scale(slope or 1.0, intercept or 0.0, _unit(dataset, said), table)


def _unit(dataset: Dataset, said: str) -> str:
    modality = text(dataset, "Modality").upper()
    if text(dataset, "SOPClassUID") in _CT:
        return "HU" if said in ("", "HU", "HU_MOD", "US") else said
    if modality == "PT":
        units = text(dataset, "Units").upper()
        return _PET_UNITS.get(units, units or "stored")
    if modality == "MR" and is_adc(dataset) and is_adc_maker(dataset):
        return "ADC"
    return "stored" if said in ("", "US") else said


def is_adc(dataset: Dataset) -> bool:
    """Return whether an MR says that it is a map of the apparent diffusion coefficient."""
    return bool({"ADC", "ADC_UNSPECIFIED"} & set(words(dataset, "ImageType")))


def is_adc_maker(dataset: Dataset) -> bool:
    """Return whether the maker is known to write ADC in 1e-6 mm2/s."""
    return text(dataset, "Manufacturer").upper().startswith(_ADC_MAKERS)


def unit_notes(dataset: Dataset) -> tuple[Note, ...]:
    """Return what a reader should know about the unit of an image."""
    if text(dataset, "Modality").upper() != "MR" or not is_adc(dataset):
        return ()
    if is_adc_maker(dataset):
        return (
            Note(
                "information", "adc_unit", "ADC in 1e-6 mm2/s, by the maker's convention; the file is silent."
            ),
        )
    return (Note("warning", "adc_unit", "The file does not say in which unit its ADC is."),)


def modality_values(stored: NDArray[Any], scale: Scale) -> NDArray[Any]:
    """Return modality values: float32, or the stored type where nothing is rescaled."""
    if scale.table is not None:
        try:
            return np.asarray(apply_modality_lut(stored, scale.table), dtype=np.float32)
        except Exception as error:
            raise DataError(
                f"the modality look-up table cannot be applied ({type(error).__name__})",
                "a table as DICOM describes it",
                "ask the sender for the file again",
            ) from None
    if scale.slope == 1.0 and scale.intercept == 0.0:
        return stored
    values = stored.astype(np.float32)
    values *= np.float32(scale.slope)
    values += np.float32(scale.intercept)
    return values


def is_inverted(dataset: Dataset, unit: str) -> bool:
    """Return whether values are turned over on reading: MONOCHROME1 without a physical unit."""
    return text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1" and unit == "stored"


def turned_over(stored: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Return stored values turned over within their stored bits, so that white is dense."""
    form = pixel_format(dataset)
    low, high = _stored_range(form.bits_stored, signed=form.signed)
    return (low + high - stored.astype(np.int64)).astype(stored.dtype)


def _stored_range(bits: int, *, signed: bool) -> tuple[int, int]:
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def padding_mask(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_] | None:
    """Return where stored values mark no data, or None where they mark it nowhere.

    Args:
        stored: Stored values, not turned over, of any shape.
        dataset: The header they came with.
    """
    value = integer(dataset, "PixelPaddingValue")
    if value is None or stored.dtype.kind == "f":
        return None
    limit = integer(dataset, "PixelPaddingRangeLimit")
    form = pixel_format(dataset)
    ends = [_as_stored(v, form.bits_allocated, signed=form.signed) for v in (value, limit) if v is not None]
    mask = (stored >= min(ends)) & (stored <= max(ends))
    return mask if bool(mask.any()) else None


def _as_stored(value: int, bits: int, *, signed: bool) -> int:
    """Return a header value in the sign of the pixels; writers mix up US and SS."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def windows(groups: Sequence[Dataset], *, unit: str) -> tuple[Window, ...]:
    """Return the windows that a frame comes with, for the values that reading it gives."""
    dataset = groups[-1]
    source = functional_group(tuple(groups[:-1]), "FrameVOILUTSequence")
    source = source if "WindowCenter" in source else dataset
    centers, widths = numbers(source, "WindowCenter"), numbers(source, "WindowWidth")
    names = text(source, "WindowCenterWidthExplanation").split("\\")
    function = text(source, "VOILUTFunction").lower()
    kind: Literal["linear", "linear_exact", "sigmoid"] = "linear"
    if function == "sigmoid":
        kind = "sigmoid"
    elif function == "linear_exact":
        kind = "linear_exact"
    found = [
        Window(center, width, names[i].strip() if i < len(names) else "", kind)
        for i, (center, width) in enumerate(zip(centers, widths, strict=False))
        if width > 0
    ]
    if not found:
        found = [w for table in items(dataset, "VOILUTSequence") if (w := _window_of_table(table))]
    if is_inverted(dataset, unit):
        form = pixel_format(dataset)
        total = sum(_stored_range(form.bits_stored, signed=form.signed))
        scale = scale_of(groups)
        turned = 2 * scale.intercept + scale.slope * total
        found = [Window(turned - w.center, w.width, w.name, w.function) for w in found]
    return tuple(found)


def _window_of_table(table: Dataset) -> Window | None:
    """Return the window that covers the range in which a VOI table rises."""
    descriptor = numbers(table, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    entries = int(descriptor[0]) or 65536
    first = descriptor[1] - 65536 if descriptor[1] >= 32768 else descriptor[1]
    return Window(first + entries / 2, float(entries), text(table, "LUTExplanation") or "VOI LUT")


def value_window(values: NDArray[Any]) -> Window:
    """Return a window from the values themselves: the 1st to the 99th percentile."""
    low, high = np.percentile(values, (1.0, 99.0))
    return Window(float(low + high) / 2, max(float(high - low), 1.0), "from the values")


def presets(modality: str) -> tuple[Window, ...]:
    """Return the usual windows of a modality; empty where its values have no fixed scale."""
    return CT_PRESETS if modality.upper() == "CT" else ()
