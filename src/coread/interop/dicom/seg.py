"""DICOM Segmentation (SEG): masks and label maps, written on the grid of their source.

Reading is in `coread.interop.dicom.regions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from coread.core import (
    CodedConcept,
    Geometry,
    Grid,
    LabelMap,
    Mask,
    Model,
    Origin,
    PlaneMask,
    Reader,
    vocabulary,
)
from coread.errors import GeometryError, InputError
from coread.interop.authorship import Author, stable_uid
from coread.interop.dicom.writing import (
    MANUFACTURER,
    Source,
    algorithm,
    code,
    complete_frames,
    contributing_equipment,
    finish,
    person_name,
    placement,
    reference_images,
)

Encoding = Literal["binary", "labelmap"]
_ANATOMY = CodedConcept("123037004", "SCT", "Anatomical Structure")
_ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
_SPATIAL = CodedConcept("309825002", "SCT", "Spatial and Relational Concept")


@dataclass(frozen=True, slots=True, eq=False)
class TrackedRegion:
    """One segment to write.

    Attributes:
        concept: What it is.
        mask: Where it is.
        tracking: Identifier that follows it through SR and SEG, such as the finding's.
    """

    concept: CodedConcept
    mask: Mask | PlaneMask
    tracking: str


def tracking_uid(study: str, tracking: str) -> str:
    """Return the tracking UID of an identifier in a study; the same in SEG and SR."""
    return stable_uid("tracking", study, tracking)


def property_category(concept: CodedConcept) -> CodedConcept:
    """Return the category of a segmented property: anatomy, abnormality or another place.

    Examples:
        >>> str(property_category(vocabulary.LUNG)), str(property_category(vocabulary.LUNG_NODULE))
        ('Anatomical Structure', 'Morphologically Abnormal Structure')
    """
    if concept in vocabulary.findings():
        return _ABNORMAL
    return _ANATOMY if concept.scheme == "SCT" else _SPATIAL


def write_regions(
    regions: Sequence[TrackedRegion],
    source: Source,
    author: Author,
    *,
    encoding: Encoding = "binary",
    series_number: int = 9001,
    description: str = "Segmentation",
) -> Dataset:
    """Return a SEG of regions on one grid; they may overlap unless the encoding is ``labelmap``.

    Args:
        regions: Segments 1, 2, ... in this order.
        source: The image they were drawn on; its instances lie on the regions' grid.
        author: The model or the reader who drew them, when, with what.
        encoding: ``binary``, or ``labelmap`` (DICOM 2024d; older readers do not know it).
        series_number: Of the new series.
        description: Of the new series.

    Raises:
        GeometryError: The regions lie on different grids.
        InputError: There are none, or they overlap where they may not.
    """
    if not regions:
        raise InputError("a segmentation needs a region, got none")
    grid = regions[0].mask.grid
    stack = [_voxels(region.mask, grid) for region in regions]
    labels = _as_labels(stack)
    if labels is None and encoding == "labelmap":
        raise InputError("the regions overlap", "a label map holds one label a voxel", "use `binary`")
    pixels = np.stack(stack, axis=-1).astype(np.uint8) if labels is None else labels
    study = str(source.dataset.StudyInstanceUID)
    described = [_segment(n + 1, r.concept, r.tracking, author.origin, study) for n, r in enumerate(regions)]
    return _segmentation(
        pixels,
        described,
        grid,
        source,
        author=author,
        kind=encoding.upper(),
        series_number=series_number,
        description=description,
    )


def write_label_map(
    label_map: LabelMap,
    source: Source,
    author: Author,
    *,
    encoding: Encoding = "binary",
    series_number: int = 9001,
    description: str = "Segmentation",
) -> tuple[Dataset, dict[int, int]]:
    """Return a SEG of a label map and, for each label, the number of its segment.

    Segments are numbered 1, 2, ... in the order of the labels, as DICOM asks for; see `write_regions`.

    Raises:
        InputError: It has no label, or more than 65,535.
    """
    values = sorted(label_map.labels)
    if not values:
        raise InputError("a segmentation needs a label, got none")
    numbers = {label: n + 1 for n, label in enumerate(values)}
    table = np.zeros(values[-1] + 1, dtype=np.uint8 if len(values) < 256 else np.uint16)
    table[values] = range(1, len(values) + 1)
    pixels = table[label_map.values]
    study = str(source.dataset.StudyInstanceUID)
    described = []
    for label, number in numbers.items():
        concept = label_map.labels[label]
        tracking = f"{_name(author.origin)}/{concept.scheme}/{concept.value}/{label}"
        described.append(_segment(number, concept, tracking, author.origin, study))
    dataset = _segmentation(
        pixels if isinstance(label_map.grid, Geometry) else pixels[None],
        described,
        label_map.grid,
        source,
        author=author,
        kind=encoding.upper(),
        series_number=series_number,
        description=description,
    )
    return dataset, numbers


def write_fractional(
    values: NDArray[np.uint8],
    grid: Grid,
    source: Source,
    author: Author,
    *,
    concept: CodedConcept,
    tracking: str,
    parameters: dict[str, str],
    says: str,
    series_number: int,
    description: str,
) -> Dataset:
    """Return a FRACTIONAL SEG with values from 0 to 255, as maps on projections are kept.

    Args:
        values: (rows, columns) or (slices, rows, columns).
        concept: What the number means.
        tracking: Identifier that follows it.
        grid: Where it lies.
        source: The image it belongs to.
        parameters: Written as algorithm parameters, so that a reader finds the scale.
        says: One sentence on what the map is.
        author: The model, when, with what.
        series_number: Of the new series.
        description: Of the new series.
    """
    study = str(source.dataset.StudyInstanceUID)
    segment = _segment(1, concept, tracking, author.origin, study, parameters=parameters)
    segment.SegmentDescription = says[:1024]
    # 0..1 in, 0..255 kept: k / 255 * 255 is k again after rounding
    pixels = values.astype(np.float64).reshape(-1, *values.shape[-2:]) / 255.0
    return _segmentation(
        pixels,
        [segment],
        grid,
        source,
        author=author,
        kind="FRACTIONAL",
        series_number=series_number,
        description=description,
    )


def _voxels(mask: Mask | PlaneMask, grid: Grid) -> NDArray[np.bool_]:
    if isinstance(mask, Mask):
        if not isinstance(grid, Geometry) or not mask.geometry.almost_equal(grid):
            raise GeometryError("the regions lie on different grids; write one SEG a grid")
        return mask.voxels
    if mask.plane.shape != grid.shape:
        raise GeometryError("the regions lie on different planes; write one SEG a plane")
    return mask.pixels[None]


def _as_labels(stack: Sequence[NDArray[np.bool_]]) -> NDArray[Any] | None:
    labels = np.zeros(stack[0].shape, dtype=np.uint8 if len(stack) < 256 else np.uint16)
    for number, region in enumerate(stack, 1):
        if labels[region].any():
            return None
        labels[region] = number
    return labels


def _name(origin: Origin) -> str:
    return origin.name if isinstance(origin, Model) else "reader"


def _segment(
    number: int,
    concept: CodedConcept,
    tracking: str,
    origin: Origin,
    study: str,
    *,
    parameters: dict[str, str] | None = None,
) -> highdicom.seg.SegmentDescription:
    identification = algorithm(origin)
    if identification is not None and parameters:
        identification[0].AlgorithmParameters = "; ".join(
            f"{name}={value}" for name, value in parameters.items()
        )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=concept.meaning[:64],
        segmented_property_category=code(property_category(concept)),
        segmented_property_type=code(concept),
        algorithm_type="AUTOMATIC" if identification is not None else "MANUAL",
        algorithm_identification=identification,
        tracking_id=tracking[:64],
        tracking_uid=tracking_uid(study, tracking),
    )


def _segmentation(
    pixels: NDArray[Any],
    segments: list[highdicom.seg.SegmentDescription],
    grid: Grid,
    source: Source,
    *,
    author: Author,
    kind: str,
    series_number: int,
    description: str,
) -> Dataset:
    origin = author.origin
    models = contributing_equipment([origin]) if isinstance(origin, Model) else None
    where: dict[str, Any] = {}
    if isinstance(grid, Geometry):
        where = placement(grid, source.dataset.get("SliceThickness"))
    elif pixels.ndim == 3:  # segments that overlap are stacked on a last axis, and the one frame stays
        pixels = pixels[0]
    dataset = highdicom.seg.Segmentation(
        source_images=reference_images(source, grid),
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=author.new_uid(),
        series_number=series_number,
        sop_instance_uid=author.new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=author.equipment.model,
        software_versions=author.equipment.version,
        device_serial_number=author.equipment.serial,
        max_fractional_value=255,
        content_description=("SIMULATED: " if source.simulated else "") + description[:48],
        content_creator_name=person_name(origin.id) if isinstance(origin, Reader) else None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="SIMULATED" if source.simulated else "COREAD",
        contributing_equipment=models,
        **where,
    )
    finish(dataset, source, author, description)
    if isinstance(grid, Geometry):
        complete_frames(dataset, grid)
    else:
        dataset.PatientOrientation = source.dataset.get("PatientOrientation") or ""
    return dataset


__all__ = [
    "Encoding",
    "TrackedRegion",
    "property_category",
    "tracking_uid",
    "write_fractional",
    "write_label_map",
    "write_regions",
]
