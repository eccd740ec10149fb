"""Maps as DICOM objects, written and read: Parametric Map for volumes, FRACTIONAL SEG for projections.

A projection has no frame of reference, which the Parametric Map needs; its map becomes a FRACTIONAL SEG
of one segment with values from 0 to 255. Which map values 0 and 255 stand for, and their unit, is written
as algorithm parameters ``low``, ``high`` and ``unit`` of the segment, and `read_map` puts them back: steps
of 1/255 of the range remain, and pixels where the map says nothing (NaN) become ``low``.
"""

from __future__ import annotations

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from coread.core import CodedConcept, Geometry, ImagePlane, Map, Model, Origin, vocabulary
from coread.errors import DataError
from coread.interop.authorship import Author
from coread.interop.dicom.pixels import stored_frames
from coread.interop.dicom.regions import frames_grid, referenced_instances
from coread.interop.dicom.seg import write_fractional
from coread.interop.dicom.writing import (
    MANUFACTURER,
    Source,
    code,
    complete_frames,
    concept,
    contributing_equipment,
    finish,
    placement,
    reference_images,
)

# outside the range of every real-world mapping that is written: a pixel without a meaning
NOTHING = float(np.finfo(np.float32).min)
_SIMULATED = "SIMULATED. "
_NAMES_OF_UNITS = {"1": "no units", "%": "percent"}


def write_map(
    values: Map,
    source: Source,
    author: Author,
    *,
    series_number: int = 9101,
) -> Dataset:
    """Return a map as a Parametric Map, or on a projection as a FRACTIONAL SEG.

    Args:
        values: The map.
        source: The image it belongs to; its instances lie on the map's grid.
        author: The model that made it, when, with what.
        series_number: Of the new series.

    Raises:
        InputError: A volume map whose source has no frame of reference.
    """
    if isinstance(values.grid, ImagePlane):
        return _fractional(values, source, author, series_number)
    pixels = np.where(np.isnan(values.values), np.float32(NOTHING), values.values)
    said = values.values[np.isfinite(values.values)]
    low = min(values.low, float(said.min())) if said.size else values.low
    high = max(values.high, float(said.max())) if said.size else values.high
    models = contributing_equipment([author.origin]) if isinstance(author.origin, Model) else None
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label="COREAD",
        lut_explanation=values.says[:64],
        unit=code(unit_concept(values.unit)),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=code(values.meaning),
    )
    dataset = highdicom.pm.ParametricMap(
        source_images=reference_images(source, values.grid),
        pixel_array=pixels.astype(np.float32),
        series_instance_uid=author.new_uid(),
        series_number=series_number,
        sop_instance_uid=author.new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=author.equipment.model,
        software_versions=author.equipment.version,
        device_serial_number=author.equipment.serial,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=(values.low + values.high) / 2,
        window_width=values.high - values.low,
        content_description=("SIMULATED: " if source.simulated else "") + values.meaning.meaning[:48],
        content_label="SIMULATED" if source.simulated else "COREAD",
        content_qualification="RESEARCH",
        contributing_equipment=models,
        **placement(values.grid, source.dataset.get("SliceThickness")),
    )
    finish(dataset, source, author, values.meaning.meaning)
    complete_frames(dataset, values.grid)
    # a LUT explanation ends after 64 characters; the whole sentence is kept here
    dataset.ImageComments = _SIMULATED * source.simulated + values.says
    dataset.FloatPixelPaddingValue = dataset.FloatPixelPaddingRangeLimit = NOTHING
    if "Laterality" not in dataset:
        dataset.Laterality = ""
    return dataset


def read_map(dataset: Dataset) -> Map:
    """Return the map of a Parametric Map or of a FRACTIONAL SEG of one segment.

    Values come back in their unit (real-world value mapping done), NaN where nothing is said.

    Raises:
        DataError: It is neither, or its scale is not written.
    """
    if dataset.get("SOPClassUID") == ParametricMapStorage:
        return _read_parametric(dataset)
    if dataset.get("SegmentationType") == "FRACTIONAL" and len(dataset.SegmentSequence) == 1:
        return _read_fractional(dataset)
    raise DataError(
        f"this object ({dataset.get('Modality')}) is no map",
        "a Parametric Map or a FRACTIONAL SEG of one segment",
        "read segmentations with `regions.read_segmentation`",
    )


def tracking_of(values: Map, origin: Origin) -> str:
    """Return the identifier that follows a map."""
    return f"{origin.name if isinstance(origin, Model) else 'reader'}/{values.meaning.value}"


def unit_concept(unit: str) -> CodedConcept:
    """Return a UCUM unit as a coded concept.

    Examples:
        >>> unit_concept("mL").value, unit_concept("1").meaning
        ('mL', 'no units')
    """
    if unit in ("HU", "[hnsf'U]"):
        return CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
    return CodedConcept(unit, "UCUM", _NAMES_OF_UNITS.get(unit, unit))


def _fractional(
    values: Map,
    source: Source,
    author: Author,
    series_number: int,
) -> Dataset:
    share = (values.values.astype(np.float64) - values.low) / (values.high - values.low)
    pixels = np.rint(np.nan_to_num(np.clip(share, 0, 1), nan=0.0) * 255).astype(np.uint8)
    return write_fractional(
        pixels,
        values.grid,
        source,
        author,
        concept=values.meaning,
        tracking=tracking_of(values, author.origin),
        parameters={"low": repr(float(values.low)), "high": repr(float(values.high)), "unit": values.unit},
        says=values.says,
        series_number=series_number,
        description=values.meaning.meaning,
    )


def _read_parametric(dataset: Dataset) -> Map:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    first = dataset.PerFrameFunctionalGroupsSequence[0]
    owner = shared if "RealWorldValueMappingSequence" in shared else first
    if "RealWorldValueMappingSequence" not in owner:
        raise DataError("the parametric map has no real-world value mapping", "its scale and unit")
    mapping = owner.RealWorldValueMappingSequence[0]
    grid, order, frame_of_reference = frames_grid(dataset)
    stored = _stored(dataset)[order].astype(np.float64)
    padding = dataset.get("FloatPixelPaddingValue")
    nothing = np.isnan(stored)
    if padding is not None:
        ends = sorted((float(padding), float(dataset.get("FloatPixelPaddingRangeLimit", padding))))
        nothing |= (stored >= ends[0]) & (stored <= ends[1])
    slope = float(mapping.get("RealWorldValueSlope", 1.0))
    intercept = float(mapping.get("RealWorldValueIntercept", 0.0))
    values = np.where(nothing, np.nan, stored * slope + intercept).astype(np.float32)
    unit = str(mapping.MeasurementUnitsCodeSequence[0].CodeValue)
    low, high = _window(owner if "FrameVOILUTSequence" in owner else shared, values)
    meaning = vocabulary.PROBABILITY_MAP
    for item in mapping.get("QuantityDefinitionSequence", []):
        if item.ConceptNameCodeSequence[0].CodeValue == "246205007":
            meaning = concept(item.ConceptCodeSequence[0])
    return Map(
        values=values,
        grid=grid,
        meaning=meaning,
        unit="HU" if unit == "[hnsf'U]" else unit,
        low=low,
        high=high,
        says=str(dataset.get("ImageComments") or mapping.get("LUTExplanation", "")).removeprefix(_SIMULATED),
        frame_of_reference=frame_of_reference,
        source_instances=referenced_instances(dataset, order),
    )


def _stored(dataset: Dataset) -> NDArray[np.generic]:
    shape = (int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns))
    if "FloatPixelData" in dataset:
        return np.frombuffer(dataset.FloatPixelData, dtype="<f4").reshape(shape)
    if "DoubleFloatPixelData" in dataset:
        return np.frombuffer(dataset.DoubleFloatPixelData, dtype="<f8").reshape(shape)
    return stored_frames(dataset).reshape(shape)


def _window(owner: Dataset, values: NDArray[np.float32]) -> tuple[float, float]:
    for item in owner.get("FrameVOILUTSequence", []):
        centre, width = item.get("WindowCenter"), item.get("WindowWidth")
        if centre is not None and width:
            centre = float(
                centre[0] if hasattr(centre, "__len__") and not isinstance(centre, str) else centre
            )
            width = float(width[0] if hasattr(width, "__len__") and not isinstance(width, str) else width)
            return centre - width / 2, centre + width / 2
    said = values[np.isfinite(values)]
    low, high = (float(said.min()), float(said.max())) if said.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _read_fractional(dataset: Dataset) -> Map:
    segment = dataset.SegmentSequence[0]
    scale: dict[str, str] = {}
    for item in segment.get("SegmentationAlgorithmIdentificationSequence", []):
        for words in str(item.get("AlgorithmParameters") or "").split(";"):
            name, _, value = words.strip().partition("=")
            scale[name] = value
    top = float(dataset.get("MaximumFractionalValue", 255))
    try:
        low, high = float(scale.get("low", "0")), float(scale.get("high", "1"))
    except ValueError as error:
        raise DataError(f"the scale of the map can't be read: {scale}") from error
    grid, order, frame_of_reference = frames_grid(dataset)
    stored = stored_frames(dataset).astype(np.float64).reshape(-1, dataset.Rows, dataset.Columns)
    values = (low + stored / top * (high - low)).astype(np.float32)
    return Map(
        values=values[order] if isinstance(grid, Geometry) else values[0],
        grid=grid,
        meaning=concept(segment.SegmentedPropertyTypeCodeSequence[0]),
        unit=scale.get("unit", "1"),
        low=low,
        high=high,
        says=str(segment.get("SegmentDescription", "")),
        frame_of_reference=frame_of_reference,
        source_instances=referenced_instances(dataset, order),
    )
